"""`fairbank request`: ask for access to datasets, and follow what becomes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fairbank.cli import request_drafts
from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.request_drafts import Id
from fairbank.cli.session import api

app = typer.Typer(no_args_is_help=True, help="Ask for access to datasets.")
COLUMNS = ("id", "state", "title", "account", "datasets", "until")
_Note = Annotated[str, typer.Option(help="Why, for those who read the history.")]
_Datasets = Annotated[
    list[str] | None, typer.Option("--dataset", help="Only this dataset (IRI); may be repeated.")
]
for _command in (
    request_drafts.template,
    request_drafts.new,
    request_drafts.edit,
    request_drafts.attach,
    request_drafts.discard,
    request_drafts.submit,
    request_drafts.amend,
    request_drafts.renew,
):
    app.command()(_command)


@app.command("list")
def list_requests(
    ctx: typer.Context,
    state: Annotated[
        str | None,
        typer.Option(help="Of the request (draft, open, …) or of a dataset in it (in_review, active, …)."),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="IRI of a dataset.")] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only what you asked for yourself.")] = False,
    text: Annotated[str | None, typer.Option(help="What stands in the title.")] = None,
    most: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    format: FormatOption = Format.TABLE,
) -> None:
    """List the requests that you have a part in, what changed last first.

    Example: fairbank request list --state in_review
    """
    rows = _listed(ctx, "requests", most, state=state, dataset=dataset, mine=mine or None, q=text)
    if format is Format.TABLE:
        from fairbank.catalogue.governance.workflow import LegState

        # People read "granted" where the table of the workflow says active.
        rows = [
            {**row, "legs": {LegState(each).words: number for each, number in row["legs"].items()}}
            for row in rows
        ]
    columns = ("id", "state", "title", "account", "legs", "minimum", "changed")
    show_rows(rows, columns=columns, format=format, empty="No request.")


@app.command()
def show(ctx: typer.Context, request: Id, format: FormatOption = Format.TABLE) -> None:
    """Show how a request stands, what happens next and who is awaited, and how its purpose fits the data-use terms.

    Example: fairbank request show 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    show_progress(api(ctx).get(f"/v1/requests/{request}/progress", signed_in=True), format)


@app.command()
def changes(ctx: typer.Context, request: Id, format: FormatOption = Format.TABLE) -> None:
    """Show the sealed versions of a request, and what each changed.

    Example: fairbank request changes 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    rows = api(ctx).get(f"/v1/requests/{request}/versions", signed_in=True)["versions"]
    columns = ("version", "received", "until", "changes", "concerned")
    show_rows(rows, columns=columns, format=format, empty="Nothing is sealed yet.")


@app.command()
def document(
    ctx: typer.Context,
    request: Id,
    digest: Annotated[str, typer.Argument(help="Digest of the document.")],
    to: Annotated[Path, typer.Option(help="File to write.")],
) -> None:
    """Fetch a document of a request; its digest is checked.

    Example: fairbank request document 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 sha256:0a… --to vote.pdf
    """
    from fairbank.web.request_acts import document as fetch

    say(f"Written to {fetch(api(ctx), request, digest, to)}.")


@app.command()
def withdraw(ctx: typer.Context, request: Id) -> None:
    """Take a request back; what was granted ends.

    Example: fairbank request withdraw 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    answer = api(ctx).post(f"/v1/requests/{request}/withdraw", {}, signed_in=True)
    say(f"The request is {answer['state']}.")


@app.command()
def pause(ctx: typer.Context, request: Id, note: _Note = "") -> None:
    """Let a request rest: its jobs stop, and nobody is awaited.

    Example: fairbank request pause 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --note "Our ethics committee looks again."
    """
    _command_whole(ctx, request, "pause", note)


@app.command()
def resume(ctx: typer.Context, request: Id, note: _Note = "") -> None:
    """Go on with a paused request.

    Example: fairbank request resume 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    _command_whole(ctx, request, "resume", note)


@app.command("accept-conditions")
def accept_conditions(
    ctx: typer.Context,
    request: Id,
    dataset: _Datasets = None,
    note: _Note = "",
    format: FormatOption = Format.TABLE,
) -> None:
    """Accept the conditions of what was approved.

    Example: fairbank request accept-conditions 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    _command_legs(ctx, request, "accept-conditions", dataset, note, format)


@app.command("refuse-conditions")
def refuse_conditions(
    ctx: typer.Context,
    request: Id,
    dataset: _Datasets = None,
    note: _Note = "",
    format: FormatOption = Format.TABLE,
) -> None:
    """Refuse the conditions: the datasets are no longer asked for.

    Example: fairbank request refuse-conditions 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --dataset IRI
    """
    _command_legs(ctx, request, "refuse-conditions", dataset, note, format)


@app.command()
def comment(
    ctx: typer.Context,
    request: Id,
    text: Annotated[str, typer.Argument(help="What you say.")],
    to: Annotated[
        str, typer.Option(help="everybody, or committee: then the requester never reads it.")
    ] = "everybody",
    dataset: Annotated[str | None, typer.Option(help="IRI of the dataset that it is about.")] = None,
) -> None:
    """Say something about a request to everybody of it, or to the committee only.

    Example: fairbank request comment 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 "The vote is attached now."
    """
    body = {"schema": "comment/1", "text": text, "audience": to} | ({"leg": dataset} if dataset else {})
    answer = api(ctx).post(f"/v1/requests/{request}/comments", body, signed_in=True)
    say(f"Said to {answer['audience']}.")


@app.command()
def countersign(
    ctx: typer.Context,
    request: Id,
    dataset: Annotated[str, typer.Option(help="IRI of the dataset whose terms require the agreement.")],
    digest: Annotated[str, typer.Option(help="Digest of the agreement that you have read.")],
) -> None:
    """Countersign a data-use agreement that you were named for; read it first ('request document').

    Example: fairbank request countersign 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --dataset IRI --digest sha256:0a…
    """
    body = {"schema": "countersignature/1", "leg": dataset, "digest": digest}
    answer = api(ctx).post(f"/v1/requests/{request}/countersign", body, signed_in=True)
    say(f"The dataset is {answer['state']}.")


@app.command()
def complete(
    ctx: typer.Context,
    request: Id,
    summary: Annotated[str, typer.Option(help="What came of it, also if nothing did.")],
    publication: Annotated[
        list[str] | None, typer.Option(help="'TITLE; DOI', or 'TITLE; WHERE' without one; may be repeated.")
    ] = None,
    output: Annotated[list[str] | None, typer.Option(help="'TITLE; WHERE'; may be repeated.")] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Report what came of a project, and complete it: what is granted ends.

    Example: fairbank request complete 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --summary "Done." --publication "T; 10.1/x"
    """
    from fairbank.catalogue.governance.closing import as_publication

    hub = api(ctx)
    report = {
        "schema": "closing-report/1",
        "summary": summary,
        "publications": [as_publication(*_pair(each)) for each in publication or ()],
        "outputs": [dict(zip(("title", "reference"), _pair(each), strict=True)) for each in output or ()],
    }
    hub.post(f"/v1/requests/{request}/closing-report", report, signed_in=True)
    done = hub.post(f"/v1/requests/{request}/complete", {}, signed_in=True)
    show_rows(done["legs"], columns=("dataset", "state"), format=format)


def show_progress(view: dict[str, Any], format: Format) -> None:
    """Print how a request stands: one table for it, one for its datasets, then what was said and done."""
    if format is not Format.TABLE:
        show_fields(view, format=format)
        return
    step = view["next"]
    shown = {key: view[key] for key in ("id", "state", "title", "account", "version", "submitted", "changed")}
    shown |= {
        "next": step["sentence"],
        "awaited": step["awaited"],
        "since": step["since"],
        "due": step["due"],
    }
    if view["minimum"]:
        shown["minimum"] = view["minimum"]["sentence"]
    show_fields(shown, format=format)
    rows = [
        {**leg, "state": leg["words"], "next": leg["next"]["sentence"], "awaited": leg["next"]["awaited"]}
        for leg in view["legs"]
    ]
    if rows:
        say("")
        columns = ("dataset", "state", "verdict", "next", "awaited", "due", "expires")
        show_rows(rows, columns=columns, format=format)
    for leg in view["legs"]:
        for one in leg["match"]:
            named = f"{one['code']} {one['label']}".strip()
            say(f"{leg['dataset']}: {named}: {one['verdict']}. {one['reason']}")
    for each in view["documents"]:
        say(f"document {each['digest']}: {each['name']}")
    for each in view["comments"]:
        say(f"{each['at']} {each['account']} to {each['audience']}: {each['text']}")


def show_request(answer: dict[str, object], format: Format) -> None:
    """Print a request as the hub keeps it; the envelope and the matches only as JSON, or as lines of their own."""
    if format is not Format.TABLE:
        show_fields(answer, format=format)
        return
    hidden = ("envelope", "matches", "history", "grant", "grants", "legs")
    show_fields({key: value for key, value in answer.items() if key not in hidden}, format=format)
    matches = answer["matches"]
    assert isinstance(matches, list)
    for match in matches:
        say(f"{match['dataset']}: {match['verdict']}")
        for one in match["explanations"]:
            named = f"{one['code']} {one['label']}".strip()
            say(f"  {named}: {one['verdict']}. {one['reason']}")


def _listed(ctx: typer.Context, what: str, most: int, **query: Any) -> list[dict[str, Any]]:
    from fairbank.web.request_acts import listed

    return listed(api(ctx), what, most, **query)


def _command_whole(ctx: typer.Context, request: str, command: str, note: str) -> None:
    body = {"schema": "command/1", "note": note}
    answer = api(ctx).post(f"/v1/requests/{request}/commands/{command}", body, signed_in=True)
    say(f"The request is {answer['state']}.")


def _command_legs(
    ctx: typer.Context, request: str, command: str, datasets: list[str] | None, note: str, format: Format
) -> None:
    from fairbank.web.request_acts import on_legs

    done = on_legs(api(ctx), request, command, list(datasets or ()), note)
    show_rows(done, columns=("dataset", "state"), format=format, empty="None of its datasets waits for that.")


def _pair(text: str) -> tuple[str, str]:
    title, semicolon, where = text.rpartition(";")
    if not semicolon or not title.strip() or not where.strip():
        raise typer.BadParameter(f"{text!r} is not 'TITLE; WHERE'")
    return title.strip(), where.strip()
