"""`fairbank job`: send a job to the biobanks, watch it, fetch its results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.session import api

app = typer.Typer(no_args_is_help=True, help="Send a job to the biobanks, watch it, fetch its results.")
_JOB = typer.Argument(help="Id of the job.")


@app.command()
def submit(
    ctx: typer.Context,
    tool: Annotated[str, typer.Argument(help="Name of the tool or training plan.")],
    grant: Annotated[str, typer.Option(help="Id of the grant, or of the request it answers.")],
    title: Annotated[str, typer.Option(help="Title of the job.")],
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="May be repeated.")
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="IRI; all of the grant's by default.")] = None,
    rounds: Annotated[int, typer.Option(help="Rounds of training.", min=1)] = 1,
    quorum: Annotated[
        int | None, typer.Option(help="Sites that must deliver; all by default.", min=1)
    ] = None,
    seed: Annotated[str, typer.Option(help="Seed, a whole number.")] = "0",
    format: FormatOption = Format.TABLE,
) -> None:
    """Send a job; it is signed with your key and runs only where the sites approve it.

    Example: fairbank job submit intensity-geometry --grant 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --title "First look"
    """
    from fairbank.web.acts import grant as find
    from fairbank.web.acts import parameters_from, send_job

    client = api(ctx)
    manifest, answer = send_job(
        client,
        find(client, grant),
        tool,
        parameters_from(parameter or []),
        title=title,
        datasets=dataset,
        rounds=rounds,
        quorum=quorum,
        seed=seed,
    )
    show_fields({"id": answer["id"], "state": answer["state"], "code": manifest.code.digest}, format=format)
    say(f"Watch it with: fairbank job watch {answer['id']}")


@app.command("list")
def list_jobs(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List your jobs, newest first.

    Example: fairbank job list
    """
    rows = api(ctx).get("/v1/jobs", signed_in=True)["jobs"]
    show_rows(rows, columns=("id", "state", "title", "created"), format=format, empty="No job.")


@app.command()
def show(ctx: typer.Context, job: Annotated[str, _JOB], format: FormatOption = Format.TABLE) -> None:
    """Show where a job stands at each site.

    Example: fairbank job show 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    _show(api(ctx).get(f"/v1/jobs/{job}", signed_in=True), format)


@app.command()
def watch(ctx: typer.Context, job: Annotated[str, _JOB]) -> None:
    """Follow a job until it has ended; Ctrl-C stops following, not the job.

    Example: fairbank job watch 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    state: dict[str, Any] = {}
    for state in api(ctx).watch_job(job):
        sites = ", ".join(f"{site['node']} {site['state']}" for site in state["sites"])
        say(f"{state['state']}, round {state['round']} of {state['rounds']}: {sites}")
    if state.get("state") != "completed":
        raise typer.Exit(1)


@app.command()
def cancel(ctx: typer.Context, job: Annotated[str, _JOB]) -> None:
    """Cancel a job; the sites stop working on it.

    Example: fairbank job cancel 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    say(f"The job is {api(ctx).post(f'/v1/jobs/{job}/cancel', {}, signed_in=True)['state']}.")


@app.command()
def retry(
    ctx: typer.Context,
    job: Annotated[str, _JOB],
    node: Annotated[
        str | None, typer.Option(help="Only at this node; wherever it may help by default.")
    ] = None,
) -> None:
    """Have a job tried again where it failed by a crash, a limit, a fault or a deadline.

    Example: fairbank job retry 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    path = f"/v1/jobs/{job}/retry" + (f"?node={node}" if node else "")
    answer = api(ctx).post(path, {}, signed_in=True)
    say(f"The job is {answer['state']}; it is tried again at {', '.join(answer['nodes'])}.")


@app.command()
def usage(
    ctx: typer.Context,
    job: Annotated[str | None, typer.Argument(help="Id of the job; all of yours by default.")] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show what a job has cost at each site, or all jobs by site; an administrator sees those of everybody.

    Example: fairbank job usage
    """
    rows = api(ctx).get(f"/v1/jobs/{job}/usage" if job else "/v1/usage", signed_in=True)["sites"]
    columns = ("account", "node", "jobs", "rounds", "cpu_s", "gpu_s", "bytes_up", "bytes_down")
    show_rows(rows, columns=columns, format=format, empty="Nothing has been computed.")


@app.command()
def priority(
    ctx: typer.Context,
    job: Annotated[str, _JOB],
    level: Annotated[str, typer.Argument(help="low, normal or high.")],
) -> None:
    """Let a job wait for others, or go before them; its requester may lower it, an administrator do both.

    Example: fairbank job priority 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 low
    """
    wish = {"schema": "priority/1", "priority": level}
    answer = api(ctx).post(f"/v1/jobs/{job}/priority", wish, signed_in=True)
    say(f"The priority of the job is {answer['priority']}.")


@app.command()
def results(
    ctx: typer.Context,
    job: Annotated[str, _JOB],
    to: Annotated[Path | None, typer.Option(help="Folder to fetch the files into.")] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """List a job's results, or fetch them.

    Example: fairbank job results 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --to results
    """
    client = api(ctx)
    files = client.get(f"/v1/jobs/{job}/results", signed_in=True)["files"]
    if to is not None:
        to.mkdir(parents=True, exist_ok=True)
        rounds = max((file["round"] for file in files), default=1)
        for file in files:
            client.download(file["digest"], to / _file_name(file, several=rounds > 1))
    columns = ("name", "media_type", "size_bytes", "round", "digest")
    show_rows(files, columns=columns, format=format, empty="No result yet.")


_SUFFIX = {"application/json": ".json", "application/vnd.safetensors": ".safetensors"}


def _file_name(file: dict[str, Any], *, several: bool) -> str:
    # Each round of a training has a model of the same name.
    suffix = "" if "." in file["name"] else _SUFFIX.get(file["media_type"], "")
    prefix = f"round-{file['round']:03}-" if several else ""
    return f"{prefix}{file['name']}{suffix}"


def _show(state: dict[str, Any], format: Format) -> None:
    if format is Format.JSON:
        show_fields(state, format=format)
        return
    show_rows(state["sites"], columns=("node", "state", "reason", "round", "since"), format=format)
    say(f"{state['title']}: {state['state']}, round {state['round']} of {state['rounds']}")
