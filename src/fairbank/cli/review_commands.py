"""`fairbank review`: the access committee sees requests and decides."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_rows
from fairbank.cli.request_commands import COLUMNS, show_request
from fairbank.cli.session import api

app = typer.Typer(no_args_is_help=True, help="See and decide requests (access committee).")
_OPEN = ("submitted", "in_review")
_REQUEST = typer.Argument(help="Id of the request.")


@app.command("list")
def list_open(
    ctx: typer.Context,
    all_states: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """List the requests that wait for a decision.

    Example: fairbank review list
    """
    rows = [
        row
        for row in api(ctx).get("/v1/requests", signed_in=True)["requests"]
        if all_states or row["state"] in _OPEN
    ]
    show_rows(rows, columns=COLUMNS, format=format, empty="Nothing waits.")


@app.command()
def show(ctx: typer.Context, request: Annotated[str, _REQUEST], format: FormatOption = Format.TABLE) -> None:
    """Show a request with the data-use match explained.

    Example: fairbank review show 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    show_request(api(ctx).get(f"/v1/requests/{request}", signed_in=True), format)


@app.command()
def take(ctx: typer.Context, request: Annotated[str, _REQUEST]) -> None:
    """Take a request up for review.

    Example: fairbank review take 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    say(f"The request is {api(ctx).post(f'/v1/requests/{request}/review', {}, signed_in=True)['state']}.")


@app.command()
def approve(
    ctx: typer.Context,
    request: Annotated[str, _REQUEST],
    until: Annotated[datetime, typer.Option(help="Until when the grant holds.", formats=["%Y-%m-%d"])],
    runs: Annotated[int, typer.Option(help="How many jobs may run under it.", min=1)] = 10,
    tool_family: Annotated[
        list[str] | None, typer.Option(help="Family of tools allowed; all if not given.")
    ] = None,
    condition: Annotated[
        list[str] | None, typer.Option(help="A condition in words; may be repeated.")
    ] = None,
    comment: Annotated[str, typer.Option(help="Comment for the requester.")] = "",
) -> None:
    """Grant a request until a date: the hub then issues a visa.

    Example: fairbank review approve 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --until 2027-01-31 --runs 5
    """
    from fairbank.clock import iso

    body = {
        "schema": "decision/1",
        "decision": "approve",
        "until": iso(until.replace(tzinfo=UTC)),
        "maximum_runs": runs,
        "tool_families": list(tool_family or []),
        "conditions": list(condition or []),
        "comment": comment,
    }
    _decide(ctx, request, body)


@app.command()
def decline(
    ctx: typer.Context,
    request: Annotated[str, _REQUEST],
    comment: Annotated[str, typer.Option(help="Reason for the requester.")],
) -> None:
    """Decline a request.

    Example: fairbank review decline 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --comment "No ethics approval."
    """
    _decide(ctx, request, {"schema": "decision/1", "decision": "decline", "comment": comment})


@app.command("return")
def send_back(
    ctx: typer.Context,
    request: Annotated[str, _REQUEST],
    comment: Annotated[str, typer.Option(help="What is missing.")],
) -> None:
    """Return a request to its author for correction.

    Example: fairbank review return 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --comment "Please name the ethics approval."
    """
    _decide(ctx, request, {"schema": "decision/1", "decision": "return", "comment": comment})


def _decide(ctx: typer.Context, request: str, body: dict[str, object]) -> None:
    answer = api(ctx).post(f"/v1/requests/{request}/decision", body, signed_in=True)
    say(f"The request is {answer['state']}.")
