"""`fairbank deid review`: look at what is held, decide by groups, and look at a sample of what went out."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.persons import As, PhraseFile, signer
from fairbank.cli.session import CLOCK, node

if TYPE_CHECKING:
    from fairbank.deid.reports.summary import Sampling
    from fairbank.deid.running.journal import Journal
    from fairbank.deid.running.place import Place

app = typer.Typer(
    no_args_is_help=True, help="Look at what is held, decide by groups; look at a sample of what went out."
)
_FOLDER = typer.Option(help="Output folder of a run.")
_PROJECT = typer.Option(help="Project of the node's research store.")
_GROUP = typer.Argument(help="Group, as `review list` names it.")


@app.command("list")
def list_groups(
    ctx: typer.Context,
    folder: Annotated[Path | None, _FOLDER] = None,
    project: Annotated[str | None, _PROJECT] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """List held files by reason and device: thousands of alike are one line.

    Example: fairbank deid review list --folder /data/clean
    """
    if folder is not None:
        from fairbank.deid.running.verdicts import held_groups

        with _opened(folder) as (_, journal):
            groups = held_groups(journal)
    else:
        from fairbank.deid.project_review import project_groups

        groups = project_groups(node(ctx).engine, _named(project))
    rows = [{**asdict(one), "may": [word.value for word in one.may]} for one in groups]
    columns = ("group", "files", "size", "may", "verdict", "why", "agent", "at")
    show_rows(rows, columns=columns, format=format, empty="Nothing is held.")


@app.command()
def show(
    ctx: typer.Context,
    group: Annotated[str, _GROUP],
    folder: Annotated[Path | None, _FOLDER] = None,
    project: Annotated[str | None, _PROJECT] = None,
    into: Annotated[
        Path | None, typer.Option(help="Folder for the pictures; a private one by default.")
    ] = None,
    most: Annotated[int, typer.Option(help="How many files to show at most.", min=1)] = 40,
) -> None:
    """Write what a group's files show into a folder that only you can read. The pictures identify people.

    Example: fairbank deid review show "pixels-unverified|US|Philips|V5|480x640" --folder /data/clean
    """
    from fairbank.deid.running.looking import write_views

    files, where = _held_files(ctx, group, folder, project)
    where = into or where
    written = write_views(files[:most], where)
    say(
        f"{len(files)} files can be shown; {written} pictures or texts of {min(most, len(files))} are in {where}"
    )
    say("They identify people: look at them here, and delete the folder when you have decided.")


@app.command()
def decide(
    ctx: typer.Context,
    group: Annotated[str, _GROUP],
    verdict: Annotated[str, typer.Argument(help="release, keep-held or discard.")],
    reason: Annotated[str, typer.Option(help="Why, in words that name nobody: reports quote it.")],
    folder: Annotated[Path | None, _FOLDER] = None,
    project: Annotated[str | None, _PROJECT] = None,
    as_: As = "",
    passphrase_file: PhraseFile = None,
) -> None:
    """Decide a group by a recorded rule: for its files of now and of later, from the next run on.

    Example: fairbank deid review decide "pixels-unverified|US||V5|9x9" release --reason "no text" --folder /data/clean
    """
    from fairbank.deid.decisions import Verdict
    from fairbank.deid.running.verdicts import Decision

    words = [one.value for one in Verdict]
    if verdict not in words:
        raise typer.BadParameter(f"{verdict!r} is not one of {', '.join(words)}")
    if folder is not None:
        from fairbank.deid.running.verdicts import record as kept

        decision = Decision(group, Verdict(verdict), reason, getpass.getuser())
        with _opened(folder) as (_, journal):
            concerned = kept(journal, decision, CLOCK)
    else:
        from fairbank.deid.project_review import decide_at_node

        opened = node(ctx)
        who = signer(opened, as_, passphrase_file)
        decision = Decision(group, Verdict(verdict), reason, who.name if who else getpass.getuser())
        concerned = decide_at_node(opened, _named(project), decision, signer=who)
    say(
        f"Recorded. It concerns {concerned} held files, and takes effect when the run or pull is given again."
    )


@app.command()
def sample(
    ctx: typer.Context,
    folder: Annotated[Path | None, _FOLDER] = None,
    project: Annotated[str | None, _PROJECT] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Draw outputs by chance for people to look at: enough to say that at most 1 % show something, at 95 %.

    Example: fairbank deid review sample --folder /data/clean --format csv
    """
    if folder is not None:
        from fairbank.deid.running.samples import draw

        with _opened(folder) as (_, journal):
            outputs = list(draw(journal, getpass.getuser(), CLOCK).outputs)
    else:
        from fairbank.deid.project_samples import draw_of_project

        outputs = draw_of_project(node(ctx).engine, _named(project), getpass.getuser(), CLOCK)
    rows = [{"output": output} for output in outputs]
    show_rows(rows, columns=("output",), format=format, empty="There is no output to draw from.")
    say(
        f"{len(rows)} files were drawn. Note what you see with 'fairbank deid review record'; a new draw starts anew."
    )


@app.command()
def record(
    ctx: typer.Context,
    outputs: Annotated[
        list[str] | None,
        typer.Argument(help="Files as `review sample` lists them; all not seen yet if none."),
    ] = None,
    folder: Annotated[Path | None, _FOLDER] = None,
    project: Annotated[str | None, _PROJECT] = None,
    clean: Annotated[bool, typer.Option("--clean", help="They show nothing identifying.")] = False,
    identifying: Annotated[
        bool, typer.Option("--identifying", help="They show something identifying.")
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Note what was seen in files of the sample; what identifies is taken back and held at once, with its kind.

    Example: fairbank deid review record --folder /data/clean --clean
    """
    if clean == identifying:
        raise typer.BadParameter("say what the files show: --clean or --identifying")
    if not clean and not outputs:
        raise typer.BadParameter("name the files that show something: they and their kind are taken back")
    seen = _record_in_folder if folder is not None else _record_at_node
    found, taken = seen(ctx, folder or Path(), project, tuple(outputs or ()), clean)
    if found is not None:
        show_fields(asdict(found), format=format)
    if not clean:
        say(f"{taken} files were taken back and are held: these, and others of their group or series.")
        say(
            "Find what was missed before you let any of them go; 'fairbank deid review list' names their group."
        )


def _record_in_folder(
    ctx: typer.Context, folder: Path, project: str | None, outputs: tuple[str, ...], clean: bool
) -> tuple[Sampling | None, int]:
    from fairbank.deid.running.samples import record_look, sampling_of, unseen
    from fairbank.deid.running.taking_back import take_back

    agent = getpass.getuser()
    with _opened(folder) as (place, journal):
        outputs = outputs or tuple(unseen(journal))
        record_look(journal, outputs, agent, CLOCK, clean=clean)
        taken = 0 if clean else take_back(place, journal, outputs, agent, CLOCK)
        return sampling_of(journal), taken


def _record_at_node(
    ctx: typer.Context, folder: Path, project: str | None, outputs: tuple[str, ...], clean: bool
) -> tuple[Sampling | None, int]:
    from fairbank.deid import project_samples
    from fairbank.deid.research_store import ResearchStore

    opened, named, agent = node(ctx), _named(project), getpass.getuser()
    outputs = outputs or tuple(project_samples.unseen_of_project(opened.engine, named))
    project_samples.record_look_of_project(opened.engine, named, outputs, agent, CLOCK, clean=clean)
    taken = 0
    if not clean:
        store = ResearchStore(opened.settings.store_path)
        taken = project_samples.take_back_of_project(opened.engine, store, named, outputs, agent, CLOCK)
    return project_samples.sampling_of_project(opened.engine, named), taken


def _held_files(
    ctx: typer.Context, group: str, folder: Path | None, project: str | None
) -> tuple[list[Path], Path]:
    """Return the held files of a group that are on this machine, and a private folder for what they show."""
    if folder is not None:
        with _opened(folder) as (place, journal):
            rows = journal.of_group(group) or [row for row in journal.held() if row.reason == group]
            return [place.root / str(row.quarantine) for row in rows], place.inner / "views"
    from fairbank.deid.project_review import held_on_this_machine

    opened = node(ctx)
    files = [path for _, path in held_on_this_machine(opened, _named(project), group)]
    return files, opened.settings.home / "views"


def _named(project: str | None) -> str:
    if project is None:
        raise typer.BadParameter("name the output folder of a run with --folder, or a --project of the node")
    return project


@contextmanager
def _opened(folder: Path) -> Iterator[tuple[Place, Journal]]:
    from fairbank.deid.running.journal import Journal
    from fairbank.deid.running.place import Place

    place = Place(folder.absolute()).existing()
    with closing(Journal(place.journal)) as journal:
        yield place, journal
