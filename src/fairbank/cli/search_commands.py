"""`fairbank search`: find datasets by words and facets."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from fairbank.catalogue.criteria import FACETS
from fairbank.cli import saved_searches
from fairbank.cli.output import Format, FormatOption, say, show_rows
from fairbank.cli.selecting import show_counts
from fairbank.cli.session import api, settings

app = typer.Typer()
_MANY = "May be repeated."
_Several = list[str] | None


def _with_an_option_for_each_facet(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command that takes `chosen` have an option for each facet of the catalogue's table, before its own."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())
    options = [
        inspect.Parameter(
            facet.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[_Several, typer.Option(help=f"{facet.help} {_MANY}")],
        )
        for facet in FACETS
    ]
    first = [each for each in own if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    rest = [each for each in own if each.kind is inspect.Parameter.KEYWORD_ONLY]
    command.__signature__ = inspect.Signature([*first, *options, *rest])  # type: ignore[attr-defined]  # typer reads it
    return command


@app.command()
@_with_an_option_for_each_facet
def search(
    ctx: typer.Context,
    words: Annotated[str, typer.Argument(help="Words of title, description or keywords.")] = "",
    *,
    slice_thickness_max: Annotated[
        float | None,
        typer.Option(min=0, help="Bound in mm: takes the bands of slice thickness wholly within it."),
    ] = None,
    holds: Annotated[
        _Several,
        typer.Option(help=f"What another distribution lists, such as acquisition-year=2019. {_MANY}"),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact", help="Take a body part and a condition for themselves, without parts and kinds."
        ),
    ] = False,
    min_subjects: Annotated[
        int, typer.Option(min=0, help="Say whether this many matching subjects are certain.")
    ] = 0,
    min_sites: Annotated[int, typer.Option(min=0, help="Say whether this many biobanks match.")] = 0,
    save: Annotated[str | None, typer.Option(help="Keep this search under a name.", metavar="NAME")] = None,
    saved: Annotated[
        str | None,
        typer.Option(help="Ask a kept search again; what else is given replaces its own.", metavar="NAME"),
    ] = None,
    forget: Annotated[str | None, typer.Option(help="Keep a search no longer.", metavar="NAME")] = None,
    facets: Annotated[
        bool, typer.Option("--facets", help="Show what can be chosen instead of the datasets.")
    ] = False,
    live: Annotated[
        bool,
        typer.Option(
            "--live", help="Ask the sites that match how many subjects they have now; needs a log-in."
        ),
    ] = False,
    wait: Annotated[int, typer.Option(help="Seconds to wait for live counts.", min=0)] = 20,
    format: FormatOption = Format.TABLE,
    **chosen: _Several,
) -> None:
    """Find datasets in the catalogue.

    Example: fairbank search lung --modality CT --slice-thickness 1-1.5
    """
    home = settings(ctx).home
    if forget is not None:
        saved_searches.forget(home, forget)
        say(f"The search {forget} is kept no longer.")
        return
    given = {
        "q": words,
        **chosen,
        # As a person writes it, because that is how it is kept and asked.
        "slice_thickness_max": None if slice_thickness_max is None else f"{slice_thickness_max:g}",
        "holds": holds,
        "exact": exact,
        "min_subjects": min_subjects,
        "min_sites": min_sites,
    }
    question = _question(home, given, saved=saved, save=save)
    answer = api(ctx).get("/search", **question)
    if "spelling" in answer:
        say("No result for {no_result_for}; showing {showing}.".format(**answer["spelling"]))
    if live:
        _show_live(ctx, answer, question, wait, format)
    elif facets:
        _show_facets(answer, format)
    else:
        _show_datasets(answer, format)


def _question(home: Path, given: dict[str, Any], *, saved: str | None, save: str | None) -> dict[str, Any]:
    """Return what is asked: what was given, over what is kept under a name; and keep it if that is wished."""
    kept = saved_searches.saved(home, saved) if saved is not None else {}
    question = {**kept, **{key: value for key, value in given.items() if value}}
    if save is not None:
        saved_searches.save(home, save, question)
        say(f"This search is kept as {save}: fairbank search --saved {save}")
    return question


def _show_live(
    ctx: typer.Context, answer: dict[str, Any], question: dict[str, Any], wait: int, format: Format
) -> None:
    from fairbank.ontology.selection import in_words
    from fairbank.ontology.signed_objects import VisaDataset
    from fairbank.web.selections import ask_counts, counts, searched

    selector, left_out = searched(question)
    # What people described has no site that could be asked.
    held = [VisaDataset(iri=one["iri"], selector=selector) for one in answer["datasets"] if one.get("node")]
    if not held:
        say("No site can be asked: nothing that a biobank holds was found.")
        return
    if left_out:
        say(f"Live counts leave out: {', '.join(left_out)}.")
    client = api(ctx)
    asked = ask_counts(client, held)
    found = counts(client, asked, wait_s=wait)
    show_counts(found, [in_words(selector) for _ in held], format)
    if not found.complete:
        say(f"Not every site has answered; ask again with: fairbank job counts {asked}")


def _show_facets(answer: dict[str, Any], format: Format) -> None:
    rows = [{"facet": name, **value} for name, values in answer["facets"].items() for value in values]
    show_rows(rows, columns=("facet", "value", "label", "datasets"), format=format)


def _show_datasets(answer: dict[str, Any], format: Format) -> None:
    rows = [
        {**one, **one["totals"], "conditions": [each["label"] for each in one["conditions"]]}
        for one in answer["datasets"]
    ]
    columns = ("iri", "title", "conditions", "subjects", "studies", "series")
    show_rows(rows, columns=columns, format=format, empty="Nothing found.")
    for name, total in answer["totals"].items():
        say(f"{name}: {total['text']}")
    if "feasibility" in answer:
        say(f"enough: {answer['feasibility']['enough']}: {answer['feasibility']['why']}")
