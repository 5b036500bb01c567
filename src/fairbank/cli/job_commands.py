"""`fairbank job`: send a job to the biobanks, watch it, fetch its results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from fairbank.cli import job_trainings
from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.selecting import show_counts, with_options_that_select
from fairbank.cli.session import api
from fairbank.cli.training import (
    chosen_from,
    show_choice,
    show_choices,
    show_rounds,
    with_options_of_training,
)
from fairbank.federated_jobs.errors import DraftRefused

app = typer.Typer(no_args_is_help=True, help="Send a job to the biobanks, watch it, fetch its results.")
job_trainings.add(app)
_JOB = typer.Argument(help="Id of the job.")


@app.command("new")
@with_options_that_select
def new(
    ctx: typer.Context,
    tool: Annotated[str, typer.Argument(help="Name of the tool or training plan.")],
    *,
    grant: Annotated[str, typer.Option(help="Id of the grant, or of the request it answers.")],
    title: Annotated[str, typer.Option(help="Title of the job.")],
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="May be repeated.")
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="IRI; all of the grant's by default.")] = None,
    draft: Annotated[Path, typer.Option(help="File that the draft is written to.")] = Path("job.json"),
    wait: Annotated[int, typer.Option(help="Seconds to wait for the sites' counts.", min=0)] = 20,
    format: FormatOption = Format.TABLE,
    **chosen: Any,
) -> None:
    """Draft a job: choose series, and see how many subjects each granted site has for them.

    An analysis starts from one series per study: the thinnest contiguous, of a soft kernel, without contrast agent.

    Example: fairbank job new intensity-geometry --grant 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --title "First look"
    """
    from fairbank.ontology.selection import in_words
    from fairbank.web.acts import grant as find
    from fairbank.web.acts import parameters_from
    from fairbank.web.publishing import usable_tool
    from fairbank.web.selections import ask_counts, counts, draft_job, write_draft

    client = api(ctx)
    visa = find(client, grant)
    parameters = parameters_from(parameter or [])
    made = draft_job(
        visa,
        tool,
        title=title,
        parameters=parameters,
        datasets=dataset,
        changes=chosen,
        known=usable_tool(client, tool),
    )
    write_draft(made, draft)
    asked = ask_counts(client, made.datasets, visa=visa)
    found = counts(client, asked, wait_s=wait)
    show_counts(found, [in_words(one.selector) for one in made.datasets], format)
    if not found.complete:
        say(f"Not every site has answered; ask again with: fairbank job counts {asked}")
    say(f"The draft is in {draft}. Try it with: fairbank job try {draft}")
    say(f"Send it with: fairbank job submit --draft {draft}")


@app.command("try")
def try_out(
    draft: Annotated[Path, typer.Argument(help="File that 'job new' wrote.")] = Path("job.json"),
    subjects: Annotated[int, typer.Option(help="Synthetic subjects to make.", min=1, max=200)] = 6,
    seed: Annotated[int, typer.Option(help="Seed; the same makes the same twin.", min=0)] = 0,
    model: Annotated[
        Path | None, typer.Option(help="File of the model that the draft names, where its tool applies one.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="New folder to keep images and rows in; else they are removed.")
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Try a drafted analysis on a mock twin: a synthetic cohort like the selection, made and measured here.

    Nothing in it comes from a biobank; the numbers say that the tool runs, and nothing else.

    Example: fairbank job try job.json --subjects 10
    """
    import tempfile

    from fairbank.federated_jobs.twin import try_on_twin
    from fairbank.web.selections import read_draft

    made = read_draft(draft)
    if keep is not None and keep.exists():
        raise DraftRefused(
            f"{keep} is there already.",
            why="A twin is made in a new folder.",
            todo="Name another, or remove it.",
        )
    with tempfile.TemporaryDirectory() as scratch:
        rows = try_on_twin(
            made.tool,
            made.parameters,
            made.datasets[0].selector,
            subjects=subjects,
            seed=seed,
            folder=keep or Path(scratch),
            model=model,
        )
    show_rows(rows, columns=tuple(rows[0]) if rows else (), format=format, empty="No row.")
    say("Synthetic: made here, no value of a biobank is in it.")


@app.command("counts")
def show_answers(
    ctx: typer.Context,
    question: Annotated[str, typer.Argument(help="Id of the question.")],
    wait: Annotated[int, typer.Option(help="Seconds to wait for answers.", min=0)] = 0,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show what sites have answered to a question for live counts.

    Example: fairbank job counts 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    from fairbank.web.selections import counts

    found = counts(api(ctx), question, wait_s=wait)
    show_counts(found, ["" for _ in found.answers], format)


@app.command()
@with_options_of_training
def submit(
    ctx: typer.Context,
    tool: Annotated[str | None, typer.Argument(help="Name of the tool or training plan.")] = None,
    grant: Annotated[str | None, typer.Option(help="Id of the grant, or of the request it answers.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of the job.")] = None,
    draft: Annotated[
        Path | None, typer.Option(help="File that 'job new' wrote; says tool, grant, title and selection.")
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="May be repeated.")
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="IRI; all of the grant's by default.")] = None,
    rounds: Annotated[
        int | None,
        typer.Option(help="Rounds of training, or most rounds of a fit; as usual by default.", min=1),
    ] = None,
    quorum: Annotated[
        int | None, typer.Option(help="Sites that must deliver; all by default.", min=1)
    ] = None,
    seed: Annotated[str, typer.Option(help="Seed, a whole number.")] = "0",
    format: FormatOption = Format.TABLE,
    **training: Any,
) -> None:
    """Send a job; it is signed with your key and runs only where the sites approve it.

    Without a draft it selects all that the grant does. Of a training, 'fairbank job plans' tells what can be chosen.

    Example: fairbank job submit intensity-geometry --grant 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --title "First look"
    """
    from fairbank.web.acts import grant as find
    from fairbank.web.acts import parameters_from, send_job
    from fairbank.web.selections import read_draft

    client = api(ctx)
    given = parameters_from(parameter or [])
    datasets: list[Any] | None = dataset
    if draft is not None:
        made = read_draft(draft)
        _refuse_both(tool, grant, dataset)
        tool, grant, title = made.tool, made.grant, title or made.title
        given, datasets = {**made.parameters, **given}, list(made.datasets)
    if tool is None or grant is None or title is None:
        raise DraftRefused(
            "A job needs a tool, a grant and a title.",
            why="Nothing says them: neither a draft nor options.",
            todo="Give TOOL, --grant and --title, or --draft with the file that 'fairbank job new' wrote.",
        )
    manifest, answer = send_job(
        client,
        find(client, grant),
        tool,
        given,
        title=title,
        datasets=datasets,
        rounds=rounds,
        quorum=quorum,
        seed=seed,
        training=chosen_from(training),
    )
    show_fields({"id": answer["id"], "state": answer["state"], "code": manifest.code.digest}, format=format)
    say(f"Watch it with: fairbank job watch {answer['id']}")


@app.command()
def plans(
    name: Annotated[str | None, typer.Argument(help="One of them, to see its options.")] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """List what a training can choose: plans, aggregators, local steps and filters; or one with its options.

    Example: fairbank job plans cyclic-weight-transfer
    """
    if name is None:
        show_choices(format)
    else:
        show_choice(name, format)


def _refuse_both(*given: object) -> None:
    if any(each is not None for each in given):
        raise DraftRefused(
            "A draft goes with no tool, grant or dataset beside it.",
            why="It says them itself.",
            todo="Change the draft, or leave --draft out.",
        )


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
    path = f"/v1/jobs/{job}/retry" + (f"?node={quote(node, safe='')}" if node else "")
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
    from fairbank.federated_jobs.protocol import Priority

    words = [each.value for each in Priority]
    if level not in words:
        raise typer.BadParameter(f"{level!r} is not one of {', '.join(words)}", param_hint="LEVEL")
    wish = {"schema": "priority/1", "priority": level}
    answer = api(ctx).post(f"/v1/jobs/{job}/priority", wish, signed_in=True)
    say(f"The priority of the job is {answer['priority']}.")


@app.command()
def results(
    ctx: typer.Context,
    job: Annotated[str, _JOB],
    to: Annotated[Path | None, typer.Option(help="Folder to fetch the files into.")] = None,
    cite: Annotated[
        bool,
        typer.Option("--cite", help="Write methods, versions of datasets and acknowledgements instead."),
    ] = False,
    excluded: Annotated[
        bool, typer.Option("--excluded", help="Show what the sites left out, by reason, instead.")
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """List a job's results, fetch them, or write what to say about them.

    Example: fairbank job results 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --to results
    """
    client = api(ctx)
    if cite:
        from fairbank.web.citing import citation

        sys.stdout.write(citation(client, job))
        return
    from fairbank.web.result_files import LEFT_OUT, left_out

    if excluded:
        show_rows(
            left_out(client, job),
            columns=("site", "reason", "series", "subjects"),
            format=format,
            empty="Nothing was left out.",
        )
        return
    files = client.get(f"/v1/jobs/{job}/results", signed_in=True)["files"]
    if to is not None:
        to.mkdir(parents=True, exist_ok=True)
        rounds = max((file["round"] for file in files), default=1)
        for file in files:
            client.download(file["digest"], to / _file_name(file, several=rounds > 1))
    columns = ("name", "media_type", "size_bytes", "round", "digest")
    show_rows(files, columns=columns, format=format, empty="No result yet.")
    if any(file["name"] == LEFT_OUT for file in files):
        say(f"Some series were left out; see which reasons with: fairbank job results {job} --excluded")


@app.command()
def plot(
    ctx: typer.Context,
    job: Annotated[str, _JOB],
    to: Annotated[Path, typer.Option(help="File to write (SVG).")] = Path("plot.svg"),
    kind: Annotated[
        str | None,
        typer.Option(
            help="distribution (by default), forest, bland-altman or exclusions; none of a statistic."
        ),
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="Column of numbers; `mean`, or the first biomarker, by default.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="For bland-altman: the column of the second measurement.")
    ] = None,
    other: Annotated[
        str | None,
        typer.Option(help="For bland-altman: the job of the second measurement; this one by default."),
    ] = None,
) -> None:
    """Draw what an analysis measured (values, means with 95 % intervals, agreement, what was left out), or a statistic.

    Example: fairbank job plot 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --kind forest --column mean_hu --to forest.svg
    """
    from fairbank.web.plotting import plot_job

    client = api(ctx)
    to.write_text(plot_job(client, job, kind, column, against=against, other=other), encoding="utf-8")
    say(f"Written: {to}")


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
    show_rows(state["sites"], columns=("node", "state", "reason", "round", "percent", "since"), format=format)
    if state["rounds"] > 1:
        show_rounds(state.get("history", []), format)
    say(f"{state['title']}: {state['state']}, round {state['round']} of {state['rounds']}")
