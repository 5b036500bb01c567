"""`fairbank deid verify`: looks at de-identified files a second time, ours or another tool's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.progress import counting
from fairbank.cli.session import CLOCK, node, settings

if TYPE_CHECKING:
    from fairbank.deid.method import Method
    from fairbank.deid.verification.folder import KnownSubjects, Originals

_AS_SAID = "as-said"


def verify(
    ctx: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of de-identified DICOM files.", exists=True)
    ] = None,
    project: Annotated[
        str,
        typer.Option(help="Project whose research store is verified, or whose keys FOLDER was made with."),
    ] = "",
    key_file: Annotated[
        Path | None, typer.Option(help="The key that FOLDER was made with, to find which original is which.")
    ] = None,
    original: Annotated[
        Path | None, typer.Option(help="Folder of the files before cleaning.", exists=True)
    ] = None,
    method: Annotated[
        str, typer.Option(help="basic, research, or as-said: what each file says of itself.")
    ] = _AS_SAID,
    dciodvfy: Annotated[
        str, typer.Option(help="Ask dciodvfy of all files, of a sample (one a series) or none.")
    ] = "sample",
    report: Annotated[Path | None, typer.Option(help="File for the whole report, as JSON.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes; the setting deid_workers if not given.", min=1)
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Read de-identified files again and say what is wrong with them; ends with 1 if anything is.

    Example: fairbank deid verify /data/cleaned --original /data/incoming --key-file site.key --report verified.json
    """
    from fairbank.deid.verification.folder import Conformance, verify_folder
    from fairbank.deid.verification.report import problem_rows, summary
    from fairbank.deid.verification.report import report as full

    if folder is None and not project:
        raise typer.BadParameter("name a FOLDER, or a --project of this node")
    asked = _one_of(dciodvfy, [one.value for one in Conformance])
    chosen = _method(method)
    place = folder or settings(ctx).store_path / _checked(project)
    with counting("verifying") as move:
        found = verify_folder(
            place,
            method=chosen,
            originals=_originals(ctx, original, project, key_file),
            conformance=Conformance(asked),
            workers=workers or settings(ctx).deid_workers,
            progress=move,
        )
    whole = full(found, method=chosen)
    if report is not None:
        _write(report, whole)
    if format is Format.JSON:
        show_fields(whole, format=format)
    else:
        rows = problem_rows(found)
        show_rows(rows, columns=("rule", "tag", "element", "files"), format=format, empty="Nothing is wrong.")
        for name, value in summary(found).items():
            say(f"{name}: {value}")
        say(f"review by people: {whole['review']['files to look at']} files, drawn in the report")
        say(whole["statement"])
    if found.problems:
        raise typer.Exit(1)


def _originals(
    ctx: typer.Context, folder: Path | None, project: str, key_file: Path | None
) -> Originals | None:
    from fairbank.deid.verification.folder import Originals

    if folder is None:
        return None
    subjects = _subjects(ctx, project, key_file)
    if subjects is None:
        say("Without --key-file or a --project of this node no original can be matched: names, days and references "
            "are not compared.")  # fmt: skip
    return Originals(folder, subjects)


def _subjects(ctx: typer.Context, project: str, key_file: Path | None) -> KnownSubjects | None:
    from fairbank.deid.verification.known_subjects import OfKeyFile, OfNode

    if key_file is not None:
        from fairbank.deid.key_file import KeyFile

        return OfKeyFile(KeyFile.read(key_file), project or "default")
    if not project:
        return None
    from fairbank.deid.identity import IDENTITY_FILE, IdentityStore

    return OfNode(IdentityStore.open_or_create(node(ctx).settings.home / IDENTITY_FILE, clock=CLOCK), project)


def _method(word: str) -> Method | None:
    from fairbank.deid.method import Method
    from fairbank.deid.profiles import Profile

    words = [one.value for one in Profile]
    if _one_of(word, [*words, _AS_SAID]) == _AS_SAID:
        return None
    return Method(Profile(word))


def _one_of(word: str, words: list[str]) -> str:
    if word not in words:
        raise typer.BadParameter(f"{word!r} is not one of {', '.join(words)}")
    return word


def _checked(project: str) -> str:
    from fairbank.deid.identity import checked_project

    return checked_project(project)


def _write(path: Path, whole: dict[str, Any]) -> None:
    from fairbank.deid.errors import ReportNotWritten

    try:
        path.write_text(json.dumps(whole, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    except OSError as err:
        raise ReportNotWritten(
            "The report could not be written.",
            why="The folder does not exist, is full, or may not be written to.",
            todo="Name another file with --report.",
        ) from err
