"""Options that choose on the axes of training, and how choices and rounds are printed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairbank.cli.output import Format, say, show_fields, show_rows
from fairbank.ontology.signed_objects import Objective

if TYPE_CHECKING:
    from fairbank.federated_jobs.axes.words import Chosen

_Several = list[str] | None
_CHOICE = "NAME or NAME,OPTION=VALUE,…"
_OPTIONS: dict[str, Any] = {
    "plan": Annotated[str | None, typer.Option(help="Compute plan of a training; 'aggregation' by default.")],
    "plan_option": Annotated[_Several, typer.Option(metavar="OPTION=VALUE", help="May be repeated.")],
    "aggregator": Annotated[str | None, typer.Option(help=f"How updates are merged: {_CHOICE}.")],
    "local_step": Annotated[str | None, typer.Option(help=f"What changes in local training: {_CHOICE}.")],
    "filter": Annotated[
        _Several,
        typer.Option(help=f"What changes in an update before it leaves: {_CHOICE}; may be repeated."),
    ],
    "freeze": Annotated[
        _Several, typer.Option(metavar="GLOB", help="Layers that are not trained; may be repeated.")
    ],
    "start_from": Annotated[
        str | None,
        typer.Option(
            metavar="DIGEST",
            help="Model to start from, or a bundle or weights that you brought; the job's seed makes one by default.",
        ),
    ],
    "objective": Annotated[
        Objective | None, typer.Option(help="By what the model is judged over its sites; 'mean' by default.")
    ],
    "by_group": Annotated[
        bool | None,
        typer.Option("--by-group", help="Also have metrics told by sex, age and maker, where a site may."),
    ],
    "epsilon": Annotated[
        str | None,
        typer.Option(help="Add noise: what all rounds together may cost each patient of a site, such as 3."),
    ],
    "delta": Annotated[
        str | None,
        typer.Option(
            help="Beside epsilon: at most a tenth of one over a site's patients; 0.00001 by default."
        ),
    ],
    "clip_norm": Annotated[
        str | None, typer.Option(help="Beside epsilon: the longest gradient of a patient; 1 by default.")
    ],
    "secure_aggregation": Annotated[
        bool | None,
        typer.Option("--secure-aggregation", help="The hub sees the sum of the updates and none of them."),
    ],
    "bound": Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help="With --secure-aggregation: by how much one weight may change in a round; 8 by default.",
        ),
    ],
}


def with_options_of_training(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command that takes `training` have an option for each choice, after its own."""
    own = [
        each
        for each in signature(command, eval_str=True).parameters.values()
        if each.kind is not Parameter.VAR_KEYWORD
    ]
    options = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in _OPTIONS.items()
    ]
    command.__signature__ = Signature([*own, *options])  # type: ignore[attr-defined]  # typer reads it
    return command


def chosen_from(given: Mapping[str, Any]) -> Chosen | None:
    """Return what the options choose, None if none was given.

    Raises:
        PlanRefused: if an axis has no such choice.
        OptionRefused: if an option of a choice is unknown, or is not written as OPTION=VALUE.
    """
    from fairbank.federated_jobs.axes.words import chosen_in_words

    if all(value is None for value in given.values()):
        return None
    return chosen_in_words(
        plan=given["plan"],
        plan_options=given["plan_option"] or (),
        aggregator=given["aggregator"],
        local_step=given["local_step"],
        filters=given["filter"] or (),
        frozen=given["freeze"] or (),
        start_from=given["start_from"],
        objective=given["objective"],
        by_group=bool(given["by_group"]),
        epsilon=given["epsilon"],
        delta=given["delta"],
        clip_norm=given["clip_norm"],
        secure_aggregation=bool(given["secure_aggregation"]),
        bound=given["bound"],
    )


def show_choices(format: Format) -> None:
    """Print every choice on every axis."""
    from fairbank.federated_jobs.axes.going_together import all_choices, options_of

    rows = [
        {
            "axis": axis,
            "name": choice.name,
            "options": ", ".join(one.name for one in options_of(choice)),
            "what": choice.title,
        }
        for axis, choice in all_choices()
    ]
    show_rows(rows, columns=("axis", "name", "options", "what"), format=format)
    say("One with its options, and what it does not go with: fairbank job plans NAME")


def show_choice(name: str, format: Format) -> None:
    """Print one choice with its options, and what it does not go with."""
    from fairbank.federated_jobs.axes.going_together import (
        choice_named,
        options_of,
        refused_under_masks,
        refused_with,
    )

    axis, choice = choice_named(name)
    options = [{"option": one.name, "value": one.kind, "default": one.default} for one in options_of(choice)]
    refused = [{"axis": axis, "name": other, "why": what} for axis, other, what in refused_with(choice)]
    if (what := refused_under_masks(choice)) is not None:
        refused.append({"axis": "protection", "name": "secure aggregation", "why": what})
    if format is Format.JSON:
        head = {"axis": axis, "name": choice.name, "what": choice.title, "source": choice.source}
        show_fields({**head, "options": options, "not_with": refused}, format=format)
        return
    say(f"{axis} {choice.name}: {choice.title}.")
    say(f"After {choice.source}.")
    show_rows(options, columns=("option", "value", "default"), format=format, empty="It has no options.")
    say("It does not go with:" if refused else "It goes with everything else, each with its usual options.")
    if refused:
        show_rows(refused, columns=("axis", "name", "why"), format=format)


def show_rounds(history: Sequence[Mapping[str, Any]], format: Format) -> None:
    """Print who took part in each round of a job."""
    rows = [
        {
            "round": one["round"],
            "state": one["state"],
            "asked": ", ".join(one.get("asked", ())),
            "merged": ", ".join(_with_age(site, one.get("behind", {})) for site in one.get("merged", ())),
            "late": ", ".join(one.get("late", ())),
            "lost": ", ".join(one.get("lost", ())),
        }
        for one in history
    ]
    if rows:
        show_rows(rows, columns=("round", "state", "asked", "merged", "late", "lost"), format=format)
    for one in history:
        for each in one.get("left_out", ()):
            say(
                f"Round {one['round']}: {each['by']} left out {each['sender']}'s of {each['round']}: {each['fault']}."
            )


def _with_age(site: str, behind: Mapping[str, int]) -> str:
    """Return a site, with how many versions its update was behind where it was.

    >>> _with_age("north", {"north": 2}), _with_age("west", {})
    ('north (2 behind)', 'west')
    """
    return f"{site} ({behind[site]} behind)" if site in behind else site
