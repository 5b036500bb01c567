"""`fairbank request`: ask for access to datasets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.session import api

app = typer.Typer(no_args_is_help=True, help="Ask for access to datasets.")
COLUMNS = ("id", "state", "title", "account", "datasets", "until")


@app.command()
def submit(
    ctx: typer.Context,
    title: Annotated[str, typer.Option(help="Title of the study.")],
    dataset: Annotated[list[str], typer.Option(help="IRI of a dataset; may be repeated.")],
    purpose: Annotated[
        list[str], typer.Option(help="DUO code of the purpose, such as DUO:0000007; may be repeated.")
    ],
    statement: Annotated[str, typer.Option(help="The purpose in words.")],
    output: Annotated[list[str], typer.Option(help="count, measurements or model-update; may be repeated.")],
    until: Annotated[datetime, typer.Option(help="Until when access is wanted.", formats=["%Y-%m-%d"])],
    format: FormatOption = Format.TABLE,
) -> None:
    """Ask for access; the request is signed with your key.

    Example: fairbank request submit --title Nodules --dataset IRI --purpose DUO:0000007 --statement "…"
    --output measurements --until 2027-01-31
    """
    from fairbank.web.acts import Wish, request_access

    wish = Wish(
        title=title,
        datasets=dataset,
        data_use=purpose,
        statement=statement,
        output_classes=output,
        until=until.replace(tzinfo=UTC),
    )
    answer = request_access(api(ctx), wish)
    show_fields({"id": answer["id"], "state": answer["state"]}, format=format)
    say(f"Follow it with: fairbank request show {answer['id']}")


@app.command("list")
def list_requests(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List your requests, or all of them if you sit on the committee.

    Example: fairbank request list
    """
    show_rows(
        api(ctx).get("/v1/requests", signed_in=True)["requests"],
        columns=COLUMNS,
        format=format,
        empty="No request.",
    )


@app.command()
def show(
    ctx: typer.Context,
    request: Annotated[str, typer.Argument(help="Id of the request.")],
    format: FormatOption = Format.TABLE,
) -> None:
    """Show a request, how its purpose fits the data-use terms, and its history.

    Example: fairbank request show 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    show_request(api(ctx).get(f"/v1/requests/{request}", signed_in=True), format)


@app.command()
def withdraw(ctx: typer.Context, request: Annotated[str, typer.Argument(help="Id of the request.")]) -> None:
    """Take a request back.

    Example: fairbank request withdraw 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    answer = api(ctx).post(f"/v1/requests/{request}/withdraw", {}, signed_in=True)
    say(f"The request is {answer['state']}.")


def show_request(answer: dict[str, object], format: Format) -> None:
    """Print a request; the envelope and the matches only as JSON, or as lines of their own."""
    if format is not Format.TABLE:
        show_fields(answer, format=format)
        return
    shown = {
        key: value for key, value in answer.items() if key not in ("envelope", "matches", "history", "grant")
    }
    show_fields(shown, format=format)
    matches = answer["matches"]
    assert isinstance(matches, list)
    for match in matches:
        say(f"{match['dataset']}: {match['verdict']}")
        for one in match["explanations"]:
            named = f"{one['code']} {one['label']}".strip()
            say(f"  {named}: {one['verdict']}. {one['reason']}")
