"""`fairbank job`, of trainings: watch curves, write the report, export event files, compare settings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.session import CLOCK, api
from fairbank.cli.training import chosen_from, with_options_of_training
from fairbank.errors import RemoteError
from fairbank.federated_jobs.errors import DraftRefused
from fairbank.federated_jobs.reasons import Reason

if TYPE_CHECKING:
    from fairbank.federated_jobs.training_record import TrainingRecord
    from fairbank.web.api_client import HubApi

_JOB = typer.Argument(help="Id of the job.")


def add(app: typer.Typer) -> None:
    """Add the commands to `fairbank job`."""
    for command in (watch, report, tensorboard, settings, sites, with_options_of_training(protections)):
        app.command()(command)


def watch(ctx: typer.Context, job: Annotated[str, _JOB]) -> None:
    """Follow a job until it has ended; Ctrl-C stops following, not the job.

    Of a training it shows a curve for each site in a terminal, and a line for each round elsewhere.

    Example: fairbank job watch 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    client = api(ctx)
    ended = _watch_training(client, job) if _is_training(client, job) else _watch_states(client, job)
    if ended != "completed":
        say(f"See where it stands with: fairbank job show {job}")
        raise typer.Exit(1)
    say(f"Fetch what came of it with: fairbank job results {job} --to results")


def report(
    ctx: typer.Context,
    job: Annotated[str, _JOB],
    to: Annotated[Path, typer.Option(help="File to write (HTML).")] = Path("report.html"),
) -> None:
    """Write the report of a training as one HTML page: curves, sites, communication, time, settings.

    Example: fairbank job report 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --to report.html
    """
    from fairbank.web.trainings import report as page
    from fairbank.web.trainings import write_whole

    say(f"Written: {write_whole(page(api(ctx), job), to)}")


def protections(
    ctx: typer.Context,
    job: Annotated[
        str | None, typer.Argument(help="Id of a training; by default of what the options choose.")
    ] = None,
    sites: Annotated[bool, typer.Option("--sites", help="Also ask the hub what its sites ask for.")] = False,
    format: FormatOption = Format.TABLE,
    **training: Any,
) -> None:
    """Say what protects those whose images are trained on: what is on, what it stops, what not, and what it costs.

    Of a job, or with --sites, it lists what each site asks of trainings, and which rules would make it refuse.

    Example: fairbank job protections --aggregator median --filter clip-norm,bound=10
    """
    from fairbank.federated_jobs.axes.rules import USUAL_AGGREGATOR
    from fairbank.federated_jobs.protections import protections_on, rows_of
    from fairbank.web.trainings import rules_of_sites

    chosen = chosen_from(training)
    if job is not None and chosen is not None:
        raise DraftRefused(
            "A job goes with no choice beside it.",
            why="It says them itself.",
            todo="Leave the job, or the options, out.",
        )
    nodes: list[str] | None = None
    quorum: int | None = None
    if job is not None:
        from fairbank.web.trainings import training_of

        told = training_of(api(ctx), job)
        on, nodes, quorum = frozenset(told.protections), [site.node for site in told.sites], told.quorum
    else:
        aggregator = chosen.aggregator.name if chosen is not None and chosen.aggregator else USUAL_AGGREGATOR
        on = protections_on(aggregator, chosen.training if chosen is not None else None)
    rows = rows_of(on)
    asked = rules_of_sites(api(ctx), on, nodes=nodes, quorum=quorum) if sites or job is not None else []
    if format is Format.JSON:
        show_fields({"protections": rows, "sites": asked}, format=format)
        return
    show_rows(rows, columns=tuple(rows[0]), format=format, empty="")
    if asked:
        show_rows(asked, columns=tuple(asked[0]), format=format, empty="")
    elif job is None:
        say("Each site may ask for more, or refuse: see what they have told with --sites.")


def tensorboard(
    ctx: typer.Context,
    job: Annotated[str, _JOB],
    to: Annotated[Path, typer.Option(help="Folder to write event files into.")],
) -> None:
    """Write the metrics of a training as event files that TensorBoard reads; one folder per site.

    Example: fairbank job tensorboard 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --to runs
    """
    from fairbank.federated_jobs.reports.tensorboard import export
    from fairbank.web.trainings import training_of

    written = export(training_of(api(ctx), job), to)
    say(f"Written: {len(written)} event files. Look at them with: tensorboard --logdir {to}")


def settings(ctx: typer.Context, job: Annotated[str, _JOB], format: FormatOption = Format.TABLE) -> None:
    """Show which settings each site of a training signed, and in what they differ.

    Example: fairbank job settings 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    from fairbank.web.trainings import settings_of

    view = settings_of(api(ctx), job)
    libraries = sorted({name for site in view.sites for name in site.versions})
    rows = [
        {
            "node": site.node,
            **{name: site.versions.get(name) for name in libraries},
            "processor": f"{site.processor.value} ({site.vendor.value})",
            "gpu": f"{site.gpus} × {site.gpu.value}" if site.gpus else "none",
            "deviates": [each.value for each in site.deviates],
            "parameters": list(site.parameters),
            "differs": list(site.differs),
            "statement": site.digest,
        }
        for site in view.sites
    ]
    columns = ("node", *libraries, "processor", "gpu", "deviates", "parameters", "differs", "statement")
    show_rows(rows, columns=columns, format=format, empty="No site has told its settings.")
    if view.silent:
        say(f"Not told: {', '.join(view.silent)}.")


def sites(
    ctx: typer.Context,
    grant: Annotated[str, typer.Option(help="Id of the grant, or of the request it answers.")],
    wait: Annotated[int, typer.Option(help="Seconds to wait for the sites' counts.", min=0)] = 20,
    format: FormatOption = Format.TABLE,
) -> None:
    """List the sites of a grant: how many subjects each has, its images, and which sites hold alike ones.

    The groups are proposed by published counts; give the datasets of one with --dataset to 'job submit'.

    Example: fairbank job sites --grant 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    from fairbank.web.site_planning import sites_of_grant

    rows = sites_of_grant(api(ctx), grant, wait_s=wait)
    columns = ("group", "site", "subjects", "images", "dataset")
    show_rows(rows, columns=columns, format=format, empty="The grant names no dataset.")
    if len({row["group"] for row in rows}) == 1:
        say("One group: all sites hold images of about the same kinds.")


def _is_training(client: HubApi, job: str) -> bool:
    from fairbank.federated_jobs.training_errors import NotATraining
    from fairbank.web.trainings import training_of

    try:
        training_of(client, job)
    except RemoteError as err:
        # A hub of the version before has no such route; it answers with another code than for a job that is not there.
        if err.remote_code == NotATraining.code or err.status == 404:
            return False
        raise
    return True


def _watch_states(client: HubApi, job: str) -> str:
    state: dict[str, Any] = {}
    for state in client.watch_job(job):
        sites = ", ".join(f"{site['node']} {_stands(site)}" for site in state["sites"])
        say(
            f"{state['state']}{_because(Reason(state['reason']))}, round {state['round']} of {state['rounds']}: {sites}"
        )
    return str(state.get("state"))


def _watch_training(client: HubApi, job: str) -> str:
    if sys.stderr.isatty():
        return _watch_screen(client, job)
    from fairbank.federated_jobs.reports.terminal import lines_of
    from fairbank.web.trainings import follow

    said, told, state = 0, "", ""
    for record in follow(client, job):
        state = record.state.value
        for line in lines_of(record, after=said):
            say(line)
        said = max((one.round for one in record.done if one.closed is not None), default=said)
        sites = ", ".join(f"{site.node} {site.state.value}{_because(site.reason)}" for site in record.sites)
        now = f"{state}{_because(record.reason)}, round {record.round} of {record.rounds}: {sites}"
        if now != told:
            say(now)
        told = now
    return state


def _watch_screen(client: HubApi, job: str) -> str:
    from rich.console import Console
    from rich.live import Live

    from fairbank.federated_jobs.reports.terminal import screen
    from fairbank.web.trainings import follow

    console = Console(stderr=True)
    latest: list[TrainingRecord] = []

    def drawn() -> Any:
        return screen(latest[-1], now=CLOCK.now(), width=console.width) if latest else ""

    # Drawn anew once a second, so that what is left counts down while nothing comes.
    with Live(
        get_renderable=drawn, console=console, refresh_per_second=1, vertical_overflow="ellipsis"
    ) as live:
        for record in follow(client, job):
            latest[:] = [record]
            live.refresh()
    return latest[-1].state.value if latest else ""


def _stands(site: dict[str, Any]) -> str:
    percent = "" if site.get("percent") is None else f" ({site['percent']} %)"
    return f"{site['state']}{percent}{_because(Reason(site['reason']))}"


def _because(reason: Reason) -> str:
    return "" if reason is Reason.NONE else f" ({reason.value})"
