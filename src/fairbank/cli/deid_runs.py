"""The runs of `fairbank deid`: plan, run and report, over a plain folder or at a node."""

from __future__ import annotations

import getpass
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.session import CLOCK, node, settings

if TYPE_CHECKING:
    from fairbank.deid.method import Method
    from fairbank.deid.pipeline import Site
    from fairbank.deid.running.folder_run import Ended, FolderOrder, Step
    from fairbank.release.node import Node

_IN = typer.Argument(help="Folder of DICOM files.", exists=True, file_okay=True)
_OUT = typer.Argument(help="Folder for the cleaned files; without one they go to the node's research store.")
_PROFILE = typer.Option(help="basic or research.")
_OPTION = typer.Option(
    help="Option of PS3.15 Annex E beyond those of the profile; may be given several times."
)
_RECIPE = typer.Option(help="The site's own rules, in the format of deid.")
_FACES = typer.Option(
    help="What becomes of heads: hold, deface or in-situ; without it what was decided for the project, or hold."
)
_TRUST = typer.Option(help="What is believed of pixels that say nothing: strict, ultrasound or reviewed.")
_WORKERS = typer.Option(help="Processes that clean files; the node's setting by default.", min=1)
_SCHEDULER = typer.Option(help="Address of a Dask scheduler, to work beyond this machine.")
_REPORT = typer.Option(help="Folder for files.json and the report; OUT/report by default.")


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the noun `deid`."""
    app.command()(plan)
    app.command()(run)
    app.command()(report)


def plan(
    ctx: typer.Context,
    source: Annotated[Path, _IN],
    target: Annotated[Path | None, _OUT] = None,
    profile: Annotated[str, _PROFILE] = "research",
    option: Annotated[list[str] | None, _OPTION] = None,
    recipe: Annotated[Path | None, _RECIPE] = None,
    faces: Annotated[str | None, _FACES] = None,
    pixel_trust: Annotated[str, _TRUST] = "strict",
    workers: Annotated[int | None, _WORKERS] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Say what a run would do: what there is, hours, disk, what will be held and why. Nothing is written.

    Example: fairbank deid plan /data/incoming --profile research
    """
    from fairbank.deid.cleaning import Order
    from fairbank.deid.running.planning import plan_folder
    from fairbank.deid.running.workers import workers as started

    method = _method(profile, option, recipe, faces, pixel_trust, command=settings(ctx).deface_command)
    count = workers or settings(ctx).deid_workers
    with closing(started(count)) as pool:
        found = plan_folder(
            source,
            Order("plan", method),
            target=target or source,
            clock=CLOCK,
            workers=pool,
            processes=count,
        )
    if format is Format.JSON:
        show_fields(asdict(found), format=format)
        return
    columns = ("name", "modality", "files", "series", "size", "frames", "tried", "seconds", "held")
    kinds = [
        {**asdict(line), "seconds": None if line.seconds is None else round(line.seconds, 4)}
        for line in found.kinds
    ]
    show_rows(kinds, columns=columns, format=format, empty="No file.")
    if format is Format.CSV:
        return
    fields: dict[str, object] = {
        "files": found.files,
        "series": found.series,
        "bytes": found.size,
        **{f"not read: {word}": count for word, count in found.left.items()},
        "hours": round(found.hours, 3),
        "disk bytes needed": found.disk,
        "disk bytes free": found.free,
        **{f"will be held: {reason}": count for reason, count in found.will_be_held.items()},
    }
    show_fields(fields, format=format)
    for line in found.advice:
        say(f"- {line}")


def run(
    ctx: typer.Context,
    source: Annotated[Path, _IN],
    target: Annotated[Path | None, _OUT] = None,
    project: Annotated[
        str | None, typer.Option(help="Project: part of every key. In a folder 'default' if not given.")
    ] = None,
    profile: Annotated[str, _PROFILE] = "research",
    key_file: Annotated[
        Path | None, typer.Option(help="File of the key, mode 0600, for a run into a folder.")
    ] = None,
    option: Annotated[list[str] | None, _OPTION] = None,
    recipe: Annotated[Path | None, _RECIPE] = None,
    faces: Annotated[str | None, _FACES] = None,
    pixel_trust: Annotated[str, _TRUST] = "strict",
    workers: Annotated[int | None, _WORKERS] = None,
    scheduler: Annotated[str | None, _SCHEDULER] = None,
    report: Annotated[Path | None, _REPORT] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """De-identify a folder of DICOM files, into a folder or into the node's research store. Go on by repeating it.

    Example: fairbank deid run /data/incoming /data/clean --profile research --key-file /etc/fairbank/study.key
    """
    if target is None:
        if project is None:
            raise typer.BadParameter("name a folder to write to, or the --project of the research store")
        if key_file or report or scheduler:
            raise typer.BadParameter("--key-file, --report and --scheduler go with a folder to write to")
        method = _node_method(ctx, project, profile, option, recipe, faces, pixel_trust)
        _run_at_node(ctx, source, project, method, workers, format)
        return
    if key_file is None:
        raise typer.BadParameter("a run into a folder needs --key-file")
    method = _method(profile, option, recipe, faces, pixel_trust, command=settings(ctx).deface_command)
    from fairbank.deid.cleaning import Order
    from fairbank.deid.running.folder_run import FolderOrder, KeyPath

    order = FolderOrder(
        source=source,
        target=target,
        keys=KeyPath(key_file.absolute()),
        order=Order(project or "default", method),
        agent=getpass.getuser(),
        report=report or target / "report",
    )
    ended = _run_folder(order, workers or settings(ctx).deid_workers, scheduler)
    _show_ended(ended, order, format)


def report(
    ctx: typer.Context,
    folder: Annotated[Path | None, typer.Argument(help="Output folder of a run.")] = None,
    project: Annotated[str | None, typer.Option(help="Project of the node's research store.")] = None,
    into: Annotated[
        Path | None, typer.Option(help="Folder for the report; FOLDER/report by default.")
    ] = None,
) -> None:
    """Write the report anew: a page, JSON and provenance, nothing in it identifies anybody.

    Example: fairbank deid report /data/clean
    """
    from fairbank.deid.reports.writing import write_report

    if folder is not None:
        where = into or folder / "report"
        paths = _write_folder_report(folder, where)
    elif project is not None:
        from fairbank.deid.reports.project import project_summary

        opened = node(ctx)
        where = into or opened.settings.home / "reports" / project
        told = project_summary(
            opened.engine, project, store=opened.settings.store_path, held=_waiting(opened, project)
        )
        paths = write_report(told, where)
    else:
        raise typer.BadParameter("name the output folder of a run, or the --project of the research store")
    for path in paths:
        say(f"Wrote {path}")


def _waiting(opened: Node, project: str) -> Iterator[tuple[str, str, Path]]:
    """Yield a few held files of each group that a person may release: group, neutral name, and where it is."""
    from fairbank.deid.decisions import Verdict
    from fairbank.deid.project_review import held_on_this_machine, project_groups
    from fairbank.deid.reports.thumbnails import MOST_OF_A_GROUP

    for one in project_groups(opened.engine, project):
        if Verdict.RELEASE in one.may:
            for name, path in held_on_this_machine(opened, project, one.group)[:MOST_OF_A_GROUP]:
                yield one.group, name, path


def _run_folder(order: FolderOrder, count: int, scheduler: str | None) -> Ended:
    from fairbank.deid.running.folder_run import run_folder
    from fairbank.deid.running.place import writing_errors
    from fairbank.deid.running.workers import workers

    with closing(workers(count, scheduler)) as pool, _stopping() as stopped, _progress() as step:
        ended = run_folder(order, clock=CLOCK, workers=pool, stopped=stopped, step=step)
    with writing_errors():
        _write_folder_report(order.target, order.report)
    return ended


def _write_folder_report(folder: Path, where: Path) -> tuple[Path, ...]:
    from fairbank.deid.reports.folder import folder_summary
    from fairbank.deid.reports.writing import write_report
    from fairbank.deid.running.journal import Journal
    from fairbank.deid.running.place import Place

    place = Place(folder.absolute()).existing()
    with closing(Journal(place.journal)) as journal:
        return write_report(folder_summary(place, journal, where), where)


def _show_ended(ended: Ended, order: FolderOrder, format: Format) -> None:
    fields: dict[str, object] = {"files": ended.files}
    for (state, reason), count in sorted(ended.by_reason.items(), key=lambda one: -one[1]):
        fields[state if reason is None else f"{state}: {reason}"] = count
    fields |= {f"not read: {word}": count for word, count in ended.left.items()}
    fields["seconds"] = round(ended.seconds, 1)
    show_fields(fields, format=format)
    say(f"The report is in {order.report}")
    if not ended.complete:
        say("Stopped before all was done. Give the same command again: it goes on from here.")
        raise typer.Exit(130)
    if ended.failed:
        raise typer.Exit(1)


def _run_at_node(
    ctx: typer.Context, folder: Path, project: str, method: Method, workers: int | None, format: Format
) -> None:
    from fairbank.database import reading
    from fairbank.deid.cleaning import Order
    from fairbank.deid.folder_groups import groups_under
    from fairbank.deid.pipeline import deidentify_series, summarise
    from fairbank.harvest.consents import admitted, gate

    opened = node(ctx)
    with reading(opened.engine) as session:
        may = admitted(session, gate(session, project, at=CLOCK.now()))
    site = _site_of(opened)
    outcomes = deidentify_series(
        groups_under(folder, site.identity),
        Order(project=project, method=method),
        site=site,
        agent=getpass.getuser(),
        admitted=may,
        workers=workers or opened.settings.deid_workers,
    )
    summary = summarise(outcomes)
    fields: dict[str, object] = {
        f"files {status.value}": count for status, count in summary.by_status.items()
    }
    fields |= {f"reason: {reason.value}": count for reason, count in summary.by_reason.items()}
    show_fields(fields or {"files": 0}, format=format)
    if summary.failed:
        raise typer.Exit(1)


def _site_of(opened: Node) -> Site:
    """Return what de-identification works with at a node."""
    from fairbank.deid.identity import IDENTITY_FILE, IdentityStore
    from fairbank.deid.pipeline import Site
    from fairbank.deid.research_store import ResearchStore

    identity = IdentityStore.open_or_create(opened.settings.home / IDENTITY_FILE, clock=CLOCK)
    return Site(identity, ResearchStore(opened.settings.store_path), opened.engine, CLOCK)


def _node_method(
    ctx: typer.Context,
    project: str,
    profile: str,
    options: list[str] | None,
    recipe: Path | None,
    faces: str | None,
    pixel_trust: str,
) -> Method:
    """Return the method of a run at the node, with what was decided of the project's heads."""
    from fairbank.deid.policies import FacePolicy
    from fairbank.harvest.decided_faces import decided_at

    asked = None if faces is None else _word(FacePolicy, faces)
    opened = node(ctx)
    decided = decided_at(opened, project, asked).value
    return _method(profile, options, recipe, decided, pixel_trust, command=opened.settings.deface_command)


def _method(
    profile: str,
    options: list[str] | None,
    recipe: Path | None,
    faces: str | None,
    pixel_trust: str,
    *,
    command: str,
) -> Method:
    from fairbank.deid.method import Method
    from fairbank.deid.policies import FacePolicy, PixelTrust
    from fairbank.deid.profiles import Profile
    from fairbank.deid.recipes.reading import read_recipe
    from fairbank.deid.rules import Option

    return Method(
        profile=_word(Profile, profile),
        more=frozenset(_word(Option, option) for option in options or ()),
        recipe=None if recipe is None else read_recipe(recipe),
        trust=_word(PixelTrust, pixel_trust),
        faces=_word(FacePolicy, faces or "hold"),
        deface_command=command,
    )


def _word(words: Any, said: str) -> Any:
    """Return a word of a closed list, dashes or underscores alike."""
    for one in words:
        if one.value.replace("_", "-") == said.replace("_", "-"):
            return one
    raise typer.BadParameter(f"{said!r} is not one of {', '.join(one.value for one in words)}")


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Let the first SIGINT or SIGTERM finish the series in hand; a second one ends at once."""
    asked = threading.Event()

    def ask(number: int, frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        say("Finishing the series in hand; once more ends at once.")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress() -> Iterator[Callable[[Step], None]]:
    """Show files per second, what is left, and how many are held, where a person is looking."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]} files/s, {task.fields[held]} held, ready in"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task("Looking", total=None, held=0, speed="-")

        def show(step: Step) -> None:
            if not step.files:
                bars.update(task, completed=step.looked_at)
                return
            speed = bars.tasks[0].speed
            bars.update(
                task,
                description="Cleaning",
                total=step.files,
                completed=step.done,
                held=step.held,
                speed="-" if speed is None else f"{speed:.0f}",
            )

        yield show
