"""The options that say a piece of a request, shared by the commands that write one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

From = Annotated[
    Path | None, typer.Option("--from", help="YAML file, as 'fairbank request template' writes it.")
]
Title = Annotated[str | None, typer.Option(help="Title of the study.")]
Datasets = Annotated[list[str] | None, typer.Option("--dataset", help="IRI of a dataset; may be repeated.")]
Minimum = Annotated[
    int | None, typer.Option(min=1, help="With fewer datasets granted the project cannot be done.")
]
Purposes = Annotated[
    list[str] | None,
    typer.Option("--purpose", help="DUO code of the purpose, such as DUO:0000007; may be repeated."),
]
Diseases = Annotated[
    list[str] | None, typer.Option("--disease", help="MONDO code of a disease; may be repeated.")
]
Commercial = Annotated[
    bool | None, typer.Option("--commercial/--not-commercial", help="Whether the purpose is commercial.")
]
Statement = Annotated[str | None, typer.Option(help="The purpose in words.")]
Outputs = Annotated[
    list[str] | None,
    typer.Option("--output", help="aggregate, measurements, model-update or download; may be repeated."),
]
Until = Annotated[datetime | None, typer.Option(help="Until when access is wanted.", formats=["%Y-%m-%d"])]
Organisation = Annotated[str | None, typer.Option(help="Who asks; the account's organisation if not given.")]
OrganisationKind = Annotated[str | None, typer.Option(help="public, not-for-profit or for-profit.")]
Country = Annotated[str | None, typer.Option(help="Country of use, two letters.")]
Project = Annotated[str | None, typer.Option(help="Name or number of the project.")]
People = Annotated[
    list[str] | None,
    typer.Option("--person", help="'NAME; ORGANISATION; ROLE' or with '; ACCOUNT'; may be repeated."),
]
Funding = Annotated[list[str] | None, typer.Option(help="Who pays; may be repeated.")]
PublicationPlan = Annotated[str | None, typer.Option(help="How results will be published.")]
Clear = Annotated[list[str] | None, typer.Option(help="Name of a piece to take out; may be repeated.")]


def pieces(
    file: Path | None,
    *,
    until: datetime | None = None,
    person: list[str] | None = None,
    clear: list[str] | None = None,
    **given: Any,
) -> dict[str, Any]:
    """Return the pieces that a file and options name; options come before the file.

    Raises:
        RequestFileUnreadable: if the file cannot be read.
        BadParameter: if a person is not written as she should be.
    """
    from fairbank.clock import iso

    found: dict[str, Any] = {}
    if file is not None:
        from fairbank.web.request_acts import read_pieces

        found = read_pieces(file)
    found |= {name: value for name, value in given.items() if value is not None and value != []}
    if until is not None:
        found["until"] = iso(until.replace(tzinfo=UTC))
    if person:
        found["people"] = [_person(each) for each in person]
    return found | dict.fromkeys(clear or ())


def _person(text: str) -> dict[str, str]:
    parts = [part.strip() for part in text.split(";")]
    if len(parts) not in (3, 4) or not all(parts):
        raise typer.BadParameter("a person is written as 'NAME; ORGANISATION; ROLE' or with '; ACCOUNT'")
    return dict(zip(("name", "organisation", "role", "account"), parts, strict=False))
