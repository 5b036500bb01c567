"""`fairbank review`: a committee sees what waits for it, votes on terms, and takes papers to its meeting."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from fairbank.cli.committee_commands import appoint as appoint_substitute
from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.session import api

app = typer.Typer(no_args_is_help=True, help="See what waits for your committee, and vote.")
COLUMNS = (
    "id",
    "due",
    "overdue",
    "awaits_me",
    "title",
    "dataset_title",
    "account",
    "stage",
    "words",
    "verdict",
    "votes",
    "gap",
    "outcome",
)
_ENTRY = typer.Argument(help="Id of the entry, as 'review list' shows it.")
_UNTIL = typer.Option(help="Until when the grant holds.", formats=["%Y-%m-%d"])
_RUNS = typer.Option(help="How many jobs may run under it.", min=1)
_FAMILIES = typer.Option(help="Family of tools allowed; all if not given.")
_OUTPUTS = typer.Option(help="Class of outputs allowed; all that were asked for if not given.")
_CONDITIONS = typer.Option(help="A condition in words; may be repeated.")
_AGREEMENT = typer.Option(help="Title of an agreement that has to be countersigned.")
_COUNTERSIGNER = typer.Option(help="Account of the person who checks and countersigns it.")
_COMMENT = typer.Option(help="A reason; it stands in the letter to the requester, without your name.")


@app.command("list")
def list_open(
    ctx: typer.Context,
    committee: Annotated[str | None, typer.Option(help="Of this committee only (its id).")] = None,
    node: Annotated[str | None, typer.Option(help="Of this node's datasets only.")] = None,
    verdict: Annotated[
        str | None, typer.Option(help="compatible, needs-review or incompatible with the terms of use.")
    ] = None,
    request: Annotated[str | None, typer.Option(help="Of this request only.")] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only what waits for your own vote.")] = False,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only what should be decided already.")] = False,
    all_states: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=500)] = 100,
    format: FormatOption = Format.TABLE,
) -> None:
    """List what waits for your committees, the first due at the top; one entry is one dataset of a request.

    Example: fairbank review list --mine
    """
    rows = api(ctx).get(
        "/v1/reviews",
        signed_in=True,
        committee=committee,
        node=node,
        verdict=verdict,
        request=request,
        mine=mine,
        overdue=overdue,
        all=all_states,
        limit=limit,
    )["reviews"]
    show_rows([_short(row, format) for row in rows], columns=COLUMNS, format=format, empty="Nothing waits.")


@app.command()
def show(
    ctx: typer.Context,
    entry: Annotated[str, typer.Argument(help="Id of the entry, or of a request for all of its entries.")],
    format: FormatOption = Format.TABLE,
) -> None:
    """Show an entry: purpose, evidence, how it fits the terms of use, proposed terms, votes, who may vote.

    Example: fairbank review show 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    hub = api(ctx)
    of_request = hub.get("/v1/reviews", signed_in=True, request=entry, all=True)["reviews"]
    ids = [row["id"] for row in of_request] or [entry]
    answers = [hub.get(f"/v1/reviews/{each}", signed_in=True) for each in ids]
    if format is not Format.TABLE and len(answers) > 1:
        # One document, whatever their number.
        columns = list(dict.fromkeys(key for answer in answers for key in answer))
        show_rows(answers, columns=columns, format=format)
        return
    for answer in answers:
        _show_entry(answer, format)


@app.command()
def take(ctx: typer.Context, entry: Annotated[str, _ENTRY]) -> None:
    """Take an entry up that waits for triage.

    Example: fairbank review take 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    _command(ctx, entry, "take-up", note="")


@app.command()
def propose(
    ctx: typer.Context,
    entry: Annotated[str, _ENTRY],
    until: Annotated[datetime, _UNTIL],
    runs: Annotated[int, _RUNS] = 100,
    tool_family: Annotated[list[str] | None, _FAMILIES] = None,
    output: Annotated[list[str] | None, _OUTPUTS] = None,
    condition: Annotated[list[str] | None, _CONDITIONS] = None,
    agreement: Annotated[str | None, _AGREEMENT] = None,
    countersigner: Annotated[str | None, _COUNTERSIGNER] = None,
) -> None:
    """Put terms to the vote; where others were proposed, the vote begins anew.

    Example: fairbank review propose 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --until 2027-01-31 --runs 5
    """
    terms = _terms(until, runs, tool_family, output, condition, agreement, countersigner)
    made = api(ctx).post(
        f"/v1/reviews/{entry}/proposal", {"schema": "proposal/1", "terms": terms}, signed_in=True
    )
    say(f"The terms are put to the vote as proposal {made['id']}.")


@app.command()
def vote(
    ctx: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="ID... WORD", help="Entries or requests, then approve, decline, return or abstain."
        ),
    ],
    comment: Annotated[str, _COMMENT] = "",
    proposal: Annotated[
        str | None, typer.Option(help="Id of the proposal that you have read; refused if it was replaced.")
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Vote on one or more entries; one that fails does not stop the rest. A request's id stands for all its entries.

    Example: fairbank review vote 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 01a1fdee-cff5-7f63-b5f0-d16d1d20c889 approve
    """
    *ids, word = words
    if not ids or word not in ("approve", "decline", "return", "abstain"):
        raise typer.BadParameter("name at least one id, then approve, decline, return or abstain")
    body: dict[str, Any] = {"schema": "votes/1", "ids": ids, "word": word, "comment": comment}
    if proposal is not None:
        body["proposal"] = proposal
    _show_results(api(ctx).post("/v1/reviews/votes", body, signed_in=True)["results"], format)


@app.command()
def approve(
    ctx: typer.Context,
    request: Annotated[str, typer.Argument(help="Id of the request.")],
    until: Annotated[datetime, _UNTIL],
    runs: Annotated[int, _RUNS] = 10,
    tool_family: Annotated[list[str] | None, _FAMILIES] = None,
    output: Annotated[list[str] | None, _OUTPUTS] = None,
    condition: Annotated[list[str] | None, _CONDITIONS] = None,
    agreement: Annotated[str | None, _AGREEMENT] = None,
    countersigner: Annotated[str | None, _COUNTERSIGNER] = None,
    comment: Annotated[str, _COMMENT] = "",
    format: FormatOption = Format.TABLE,
) -> None:
    """Approve all datasets of a request on which you have a vote: propose these terms where none are, and vote.

    Example: fairbank review approve 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --until 2027-01-31 --runs 5
    """
    body = {
        "schema": "approval/1",
        "request": request,
        "terms": _terms(until, runs, tool_family, output, condition, agreement, countersigner),
        "comment": comment,
    }
    _show_results(api(ctx).post("/v1/reviews/approvals", body, signed_in=True)["results"], format)


@app.command("return")
def send_back(
    ctx: typer.Context,
    entry: Annotated[str, _ENTRY],
    comment: Annotated[str, typer.Option(help="What is missing.")],
) -> None:
    """Return an entry to the requester for correction, without a vote (chair, or an administrator).

    Example: fairbank review return 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --comment "Please name the ethics approval."
    """
    _command(ctx, entry, "return", note=comment)


@app.command()
def appoint(
    ctx: typer.Context,
    entry: Annotated[str, _ENTRY],
    account: Annotated[str, typer.Argument(help="Name of the account.")],
    stands_for: Annotated[
        str | None, typer.Option(help="Member in whose place; beside them if not given.")
    ] = None,
) -> None:
    """Appoint somebody to vote on one entry (chair, or an administrator).

    Example: fairbank review appoint 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 sue --stands-for carl
    """
    appoint_substitute(ctx, entry, account, stands_for)


@app.command()
def conflict(
    ctx: typer.Context,
    entry: Annotated[str, _ENTRY],
    reason: Annotated[str, typer.Option(help="Why you do not take part; the hub keeps it.")],
) -> None:
    """Declare a conflict of interest: you take no part in what concerns this request.

    Example: fairbank review conflict 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --reason "I advise this project."
    """
    body = {"schema": "conflict/1", "reason": reason}
    api(ctx).post(f"/v1/reviews/{entry}/conflict", body, signed_in=True)
    say("You take no part in what concerns this request.")


@app.command()
def comment(
    ctx: typer.Context,
    entry: Annotated[str, _ENTRY],
    text: Annotated[str, typer.Argument(help="The comment.")],
    public: Annotated[
        bool, typer.Option("--public", help="The requester reads it too; the committee only if not given.")
    ] = False,
) -> None:
    """Comment on an entry.

    Example: fairbank review comment 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 "Is the cohort large enough?"
    """
    request = api(ctx).get(f"/v1/reviews/{entry}", signed_in=True)["request"]
    body = {
        "schema": "comment/1",
        "leg": entry,
        "text": text,
        "audience": "everybody" if public else "committee",
    }
    api(ctx).post(f"/v1/requests/{request}/comments", body, signed_in=True)
    say("The comment is there.")


@app.command()
def packet(
    ctx: typer.Context,
    committee: Annotated[str, typer.Argument(help="Id of the committee.")],
    to: Annotated[Path | None, typer.Option(help="File to write; the terminal if not given.")] = None,
    format: Annotated[str, typer.Option(help="html or json.")] = "html",
) -> None:
    """Write one file for a meeting: all that waits for a committee, by due date.

    Example: fairbank review packet 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --to meeting.html
    """
    _write(
        api(ctx).text(
            f"/v1/committees/{committee}/packet", signed_in=True, format=_paper(format, "html", "json")
        ),
        to,
    )


@app.command()
def letter(
    ctx: typer.Context,
    entry: Annotated[str, typer.Argument(help="Id of the entry, or of the dataset in 'request show'.")],
    to: Annotated[Path | None, typer.Option(help="File to write; the terminal if not given.")] = None,
    format: Annotated[str, typer.Option(help="text, html or json.")] = "text",
) -> None:
    """Write the letter about a decision: terms, reasons, who decided, how to object.

    Example: fairbank review letter 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --to letter.html --format html
    """
    wanted = _paper(format, "text", "html", "json")
    _write(api(ctx).text(f"/v1/reviews/{entry}/letter", signed_in=True, format=wanted), to)


def _show_entry(answer: dict[str, Any], format: Format) -> None:
    if format is not Format.TABLE:
        show_fields(answer, format=format)
        return
    apart = ("schema", "match", "asked", "seats", "carried_before")
    show_fields({key: value for key, value in answer.items() if key not in apart}, format=format)
    show_fields(answer["asked"] or {}, format=format)
    say(f"{answer['dataset']}: {answer['verdict']}")
    for one in answer["match"]:
        named = f"{one.get('code', '')} {one.get('label', '')}".strip()
        say(f"  {named}: {one.get('verdict', '')}. {one.get('reason', '')}")
    show_rows(
        answer.get("seats", []),
        columns=("member", "chair", "may_vote", "vote", "same_institution", "barred"),
        format=format,
        empty="You may not see the votes, or nobody can vote.",
    )


def _terms(
    until: datetime,
    runs: int,
    families: list[str] | None,
    outputs: list[str] | None,
    conditions: list[str] | None,
    agreement: str | None,
    countersigner: str | None,
) -> dict[str, Any]:
    from fairbank.clock import iso

    if (agreement is None) != (countersigner is None):
        raise typer.BadParameter("--agreement and --countersigner belong together")
    terms: dict[str, Any] = {
        "until": iso(until.replace(tzinfo=UTC)),
        "maximum_runs": runs,
        "tool_families": list(families or []),
        "output_classes": list(outputs or []),
        "conditions": list(conditions or []),
    }
    if agreement is not None:
        terms["agreement"] = {"title": agreement, "countersigner": countersigner}
    return terms


def _command(ctx: typer.Context, entry: str, command: str, *, note: str) -> None:
    hub = api(ctx)
    request = hub.get(f"/v1/reviews/{entry}", signed_in=True)["request"]
    path = f"/v1/requests/{request}/legs/{entry}/commands/{command}"
    answer = hub.post(path, {"schema": "command/1", "note": note}, signed_in=True)
    say(f"The entry is {answer.get('pending_state') or answer['state']}.")


def _show_results(results: list[dict[str, Any]], format: Format) -> None:
    rows = [
        {**result, "why": f"{result['error']['code']}: {result['error']['title']}" if result["error"] else ""}
        for result in results
    ]
    show_rows(rows, columns=("id", "status", "state", "outcome", "why"), format=format)
    if any(result["status"] != "ok" for result in results):
        raise typer.Exit(1)


def _short(row: dict[str, Any], format: Format) -> dict[str, Any]:
    if format is Format.JSON:
        return row
    votes = ", ".join(f"{number} {word}" for word, number in (row["votes"] or {}).items() if number)
    return {**row, "due": (row["due"] or "")[:10], "votes": votes}


def _paper(format: str, *known: str) -> str:
    if format not in known:
        raise typer.BadParameter(f"it is one of {', '.join(known)}", param_hint="--format")
    return format


def _write(text: str, to: Path | None) -> None:
    if to is None:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        return
    to.write_text(text, encoding="utf-8")
    to.chmod(0o600)
    say(f"Written to {to}.")
