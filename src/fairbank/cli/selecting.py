"""Options that choose series, shared by the verbs that select, and how live counts are printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairbank.cli.output import Format, show_rows
from fairbank.cli.session import CLOCK
from fairbank.ontology.counts import Count
from fairbank.ontology.signed_objects import Pick, Unit

if TYPE_CHECKING:
    from fairbank.federated_jobs.count_protocol import Counts

_Several = list[str] | None
_MANY = "May be repeated."
_OPTIONS: dict[str, Any] = {
    "unit": Annotated[Unit | None, typer.Option(help="What one item is.")],
    "pick": Annotated[Pick | None, typer.Option(help="Which series of an item are taken.")],
    "modality": Annotated[_Several, typer.Option(help=f"DICOM modality, such as CT. {_MANY}")],
    "body_part": Annotated[_Several, typer.Option(help=f"Body part, such as CHEST. {_MANY}")],
    "manufacturer": Annotated[_Several, typer.Option(help=f"Manufacturer. {_MANY}")],
    "minimum_instances": Annotated[int | None, typer.Option(help="Fewest instances of a series.", min=1)],
    "slice_thickness_min_mm": Annotated[
        str | None, typer.Option("--slice-thickness-min", help="Smallest thickness of slices in mm.")
    ],
    "slice_thickness_max_mm": Annotated[
        str | None, typer.Option("--slice-thickness-max", help="Largest thickness of slices in mm.")
    ],
    "kernel": Annotated[_Several, typer.Option(help=f"sharp, soft or unknown; of CT. {_MANY}")],
    "contrast": Annotated[_Several, typer.Option(help=f"Contrast agent: yes, no or unknown. {_MANY}")],
    "sex": Annotated[_Several, typer.Option(help=f"F, M, O or unknown. {_MANY}")],
    "age_band": Annotated[_Several, typer.Option(help=f"Band of the age in years, such as 60-64. {_MANY}")],
    "acquired_from": Annotated[int | None, typer.Option(help="First year of acquisition.")],
    "acquired_to": Annotated[int | None, typer.Option(help="Last year of acquisition.")],
}


def with_options_that_select(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command that takes `chosen` have an option for each field of a selector, after its own."""
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


def show_counts(counts: Counts, words: Iterable[str], format: Format) -> None:
    """Print what sites answered: one row per dataset, with what was selected of it."""
    rows = [
        {
            "dataset": answer.dataset,
            "site": answer.node,
            "subjects": answer.subjects.value
            if answer.subjects.is_exact
            else _without_a_number(answer.subjects, format),
            "count": answer.subjects.model_dump(mode="json", exclude_none=True),
            "selected": said,
        }
        for answer, said in zip(counts.answers, words, strict=True)
    ]
    # The tagged form is for programs: `subjects` alone mixes numbers and words.
    tagged = ("count",) if format is Format.JSON else ()
    show_rows(rows, columns=("dataset", "site", "subjects", *tagged, "selected"), format=format)


def _without_a_number(count: Count, format: Format) -> str:
    return count.in_full(CLOCK.now()) if format is Format.TABLE else str(count)
