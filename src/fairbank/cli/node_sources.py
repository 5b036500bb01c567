"""`fairbank node source`: the archives that a node reads. `fairbank harvest add-source` and `check` are short forms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_rows
from fairbank.cli.session import node

if TYPE_CHECKING:
    from fairbank.harvest.sources.protocol import SourceKind

app = typer.Typer(
    no_args_is_help=True, help="Remember, list, try and forget the archives that the node reads."
)
_NAME = typer.Argument(help="Name of the source.")


@app.command()
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What you call the archive.")],
    location: Annotated[str, typer.Argument(help="Its address, or the path of a folder or file.")],
    kind: Annotated[
        str, typer.Option(help="What it is, as 'node source list --kinds' says; by default xnat or folder.")
    ] = "",
    user: Annotated[str, typer.Option(help="User of the archive.")] = "",
    password_file: Annotated[
        Path | None, typer.Option(help="File of mode 0600 with that user's password or token.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="An option of this kind of source; may be repeated."),
    ] = None,
) -> None:
    """Remember an archive; one of the same name is replaced.

    Example: fairbank node source add archive https://xnat.example.org --user reader --password-file xnat.secret
    """
    remember(ctx, name, location, kind=kind, user=user, password_file=password_file, options=option)


@app.command("list")
def list_(
    ctx: typer.Context,
    kinds: Annotated[
        bool, typer.Option("--kinds", help="List the kinds of source and the options that each takes.")
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """List the archives that the node reads, or what kinds there are.

    Example: fairbank node source list --kinds
    """
    if kinds:
        _show_kinds(format)
    else:
        show_sources(ctx, format)


@app.command()
def check(ctx: typer.Context, source: Annotated[str, _NAME], format: FormatOption = Format.TABLE) -> None:
    """Try an archive, and list the projects that it shows.

    Example: fairbank node source check archive
    """
    try_source(ctx, source, format)


@app.command()
def remove(ctx: typer.Context, source: Annotated[str, _NAME]) -> None:
    """Forget an archive; what it described is no longer published, what was pulled from it stays.

    Example: fairbank node source remove archive
    """
    from fairbank.harvest.status import remove_source

    gone = remove_source(node(ctx), source)
    say(f"The source {source} is forgotten; {gone} series that it described are no longer published.")


def remember(
    ctx: typer.Context,
    name: str,
    location: str,
    *,
    kind: str = "",
    user: str = "",
    password_file: Path | None = None,
    options: list[str] | None = None,
) -> None:
    """Remember an archive; without a kind an address is an XNAT, and anything else a folder."""
    from fairbank.harvest.sources.opening import add_source
    from fairbank.harvest.sources.protocol import SourceKind

    guess = SourceKind.XNAT if location.startswith(("http://", "https://")) else SourceKind.FOLDER
    chosen = _kind(kind) if kind else guess
    add_source(
        node(ctx),
        name,
        kind=chosen,
        location=location,
        user=user,
        secret_file=password_file,
        options=_pairs(options or []),
    )
    say(f"The source {name} ({chosen.value}) is remembered. Try it: fairbank node source check {name}")


def show_sources(ctx: typer.Context, format: Format) -> None:
    """Print the archives that the node reads."""
    from fairbank.harvest.sources.opening import sources

    rows = [
        {"name": row.name, "kind": row.kind, "location": row.location, "options": row.options}
        for row in sources(node(ctx))
    ]
    columns = ("name", "kind", "location", "options")
    show_rows(rows, columns=columns, format=format, empty="No source yet: fairbank node source add.")


def try_source(ctx: typer.Context, source: str, format: Format) -> None:
    """Reach an archive, and print the projects that it shows."""
    from fairbank.harvest.sources import trying

    tried = trying.try_source(node(ctx), source)
    rows = [{"project": id, "title": title} for id, title in tried.containers]
    say(f"{source} answers: {tried.version}. It can: {', '.join(tried.can) or 'list what it has'}.")
    if tried.clock_offset_s is not None:
        say(f"Its clock differs from this machine's by {tried.clock_offset_s:.0f} seconds.")
    show_rows(rows, columns=("project", "title"), format=format, empty="It shows no project to this user.")


def _show_kinds(format: Format) -> None:
    from fairbank.harvest.sources.opening import known_kinds, options_of

    rows: list[dict[str, str]] = []
    for kind in known_kinds():
        options = options_of(kind)
        rows += [
            {"kind": kind.value, "option": option, "meaning": text} for option, text in options.items()
        ] or [{"kind": kind.value, "option": "", "meaning": f"{kind.words}; takes no options"}]
    show_rows(rows, columns=("kind", "option", "meaning"), format=format)


def _kind(word: str) -> SourceKind:
    from fairbank.harvest.sources.opening import known_kinds

    kinds = {kind.value: kind for kind in known_kinds()}
    if word not in kinds:
        raise typer.BadParameter(f"{word!r} is not one of {', '.join(kinds)}")
    return kinds[word]


def _pairs(given: list[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE")
        if name in named:
            raise typer.BadParameter(f"the option {name!r} is given twice")
        named[name] = value
    return named
