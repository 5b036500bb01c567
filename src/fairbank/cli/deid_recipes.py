"""`fairbank deid explain`: what a DicomEdit script or a recipe leaves of each rule of the standard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairbank.cli.output import Format, FormatOption, say, show_rows

if TYPE_CHECKING:
    from fairbank.deid.method import Method


def add_to(app: typer.Typer) -> None:
    """Add the command to `fairbank deid`."""
    app.command()(explain)


def explain(
    script: Annotated[Path, typer.Argument(help="A DicomEdit 6 script, or a recipe (FORMAT dicom).")],
    profile: Annotated[
        str, typer.Option(help="Profile that a recipe is explained with: basic or research.")
    ] = "research",
    option: Annotated[
        list[str] | None,
        typer.Option(help="Option beyond the profile, such as retain_uids; may be repeated."),
    ] = None,
    open_only: Annotated[
        bool, typer.Option("--open", help="Only rules of which something is left, or that a recipe changes.")
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Explain what a site's own script leaves of each rule of DICOM PS3.15, Table E.1-1, tag by tag.

    Example: fairbank deid explain site-anon.das --open
    """
    if _is_recipe(script):
        _explain_recipe(script, _method(script, profile, option or []), open_only=open_only, format=format)
    else:
        _explain_script(script, open_only=open_only, format=format)


def _is_recipe(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    lines = [line.strip() for line in head.splitlines()]
    return any(line.upper().startswith(b"FORMAT DICOM") for line in lines)


def _explain_script(path: Path, *, open_only: bool, format: Format) -> None:
    from fairbank.deid.recipes.coverage import Left, covered_by, summary, unsafe_retained
    from fairbank.deid.recipes.dicomedit import read_script

    script = read_script(path)
    rows = covered_by(script)
    shown: list[dict[str, Any]] = [
        {
            "tag": row.tag,
            "name": row.name,
            "basic": row.basic,
            "top": row.top,
            "nested": row.nested,
            "left": row.left.value,
            "lines": " ".join(str(line) for line in row.lines),
        }
        for row in rows
        if not open_only or row.left is not Left.NOTHING
    ]
    show_rows(
        shown,
        columns=("tag", "name", "basic", "top", "nested", "left", "lines"),
        format=format,
        empty="Nothing is left.",
    )
    for words, count in summary(rows).items():
        say(f"{count} {words}")
    if script.retained_private:
        say(
            f"{len(script.retained_private)} private elements are retained; "
            f"{unsafe_retained(script)} of them are not on the standard's list of safe ones."
        )
    if script.alters_pixels:
        say(
            f"Areas of images are blanked by lines {_listed(script.alters_pixels)}; "
            "nothing here can tell whether these are all."
        )
    if script.not_understood:
        say(f"Not understood, and counted as doing nothing: lines {_listed(script.not_understood)}")
    say("What a script promises is not what its files hold: fairbank deid verify FOLDER looks at them.")


def _explain_recipe(path: Path, method: Method, *, open_only: bool, format: Format) -> None:
    from fairbank.deid.recipes.coverage import explained

    rows: list[dict[str, Any]] = [
        {
            "tag": row.tag,
            "name": row.name,
            "basic": row.basic,
            "profile": row.profile,
            "with_recipe": row.with_recipe,
            "line": row.line,
        }
        for row in explained(method)
        if not open_only or row.profile != row.with_recipe
    ]
    columns = ("tag", "name", "basic", "profile", "with_recipe", "line")
    show_rows(rows, columns=columns, format=format, empty="The recipe changes no rule of the table.")
    if method.recipe is not None and method.recipe.pixel_rules:
        say(f"{len(method.recipe.pixel_rules)} rules on areas of images go to the pixel stage.")


def _method(path: Path, profile: str, options: list[str]) -> Method:
    from fairbank.deid.method import Method
    from fairbank.deid.profiles import Profile
    from fairbank.deid.recipes.reading import read_recipe
    from fairbank.deid.rules import Option

    if profile not in [one.value for one in Profile]:
        raise typer.BadParameter(f"{profile!r} is not one of {', '.join(Profile)}")
    unknown = sorted(set(options) - {one.value for one in Option})
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is not one of {', '.join(Option)}")
    return Method(Profile(profile), frozenset(Option(one) for one in options), read_recipe(path))


def _listed(lines: list[int]) -> str:
    return ", ".join(str(line) for line in lines)
