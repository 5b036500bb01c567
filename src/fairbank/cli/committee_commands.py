"""`fairbank committee`: who decides about which datasets, by what rules, and who stands in for whom."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from fairbank.cli.committee_setup import setup
from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.session import api

app = typer.Typer(no_args_is_help=True, help="Set up committees, their members and who stands in for them.")
_COMMITTEE = typer.Argument(help="Id of the committee.")
_ACCOUNT = typer.Argument(help="Name of the account.")
_DATE = ["%Y-%m-%d"]


@app.command()
def create(
    ctx: typer.Context,
    title: Annotated[str, typer.Argument(help="What it is called.")],
    stage: Annotated[str, typer.Option(help="ethics, technical or data.")] = "data",
    quorum: Annotated[int, typer.Option(help="How many votes a decision needs.", min=1)] = 1,
    four_eyes: Annotated[
        bool, typer.Option("--four-eyes", help="An approval needs two persons who approve.")
    ] = False,
    due_days: Annotated[int, typer.Option(help="Days in which it means to decide.", min=1)] = 28,
    remind_day: Annotated[
        list[int] | None,
        typer.Option(help="Day of a reminder, counted from the due date; may be repeated. -7, -2, 7, 14."),
    ] = None,
    names_voters: Annotated[
        bool, typer.Option("--names-voters", help="Its letters say who voted how.")
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Set a committee up.

    Example: fairbank committee create "Alpha data access" --quorum 2 --four-eyes
    """
    body: dict[str, Any] = {
        "schema": "committee/1",
        "title": title,
        "stage": stage,
        "quorum": quorum,
        "four_eyes": four_eyes,
        "due_days": due_days,
        "names_voters": names_voters,
    }
    if remind_day:
        body["remind_days"] = list(remind_day)
    made = setup(ctx).create(body)
    show_fields({"id": made["id"], "title": made["title"], "stage": made["stage"]}, format=format)
    say(f"Say what it decides about: fairbank committee scope {made['id']} NODE")


@app.command("list")
def list_committees(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List your committees; administrators see all.

    Example: fairbank committee list
    """
    show_rows(
        setup(ctx).every(),
        columns=("id", "title", "stage", "quorum", "four_eyes", "seats", "chair", "decides_about"),
        format=format,
        empty="No committee.",
    )


@app.command()
def show(
    ctx: typer.Context, committee: Annotated[str, _COMMITTEE], format: FormatOption = Format.TABLE
) -> None:
    """Show a committee's rules, members, substitutes, and what it decides about.

    Example: fairbank committee show 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    show_fields(setup(ctx).one(committee), format=format)


@app.command()
def members(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List who sits on which committee, and who stands in for whom.

    Example: fairbank committee members
    """
    rows = []
    for found in setup(ctx).every():
        named = {"committee": found["title"], "stage": found["stage"]}
        rows += [{**named, **each} for each in found["members"]]
        rows += [{**named, **each} for each in found["substitutes"]]
    show_rows(
        rows,
        columns=("committee", "stage", "account", "chair", "stands_for", "since", "until"),
        format=format,
        empty="Nobody yet.",
    )


@app.command("add-member")
def add_member(
    ctx: typer.Context,
    committee: Annotated[str, _COMMITTEE],
    account: Annotated[str, _ACCOUNT],
    chair: Annotated[bool, typer.Option("--chair", help="She presides.")] = False,
) -> None:
    """Let somebody sit on a committee; her account needs the role committee.

    Example: fairbank committee add-member 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 carla --chair
    """
    setup(ctx).member(committee, account, chair=chair)
    say(f"{account} {'presides' if chair else 'sits on'} the committee.")


@app.command("remove-member")
def remove_member(
    ctx: typer.Context, committee: Annotated[str, _COMMITTEE], account: Annotated[str, _ACCOUNT]
) -> None:
    """Let somebody leave: her votes on what is open are no longer counted.

    Example: fairbank committee remove-member 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 carla
    """
    setup(ctx).member(committee, account, chair=None)
    say(f"{account} has left the committee.")


@app.command()
def scope(
    ctx: typer.Context,
    committee: Annotated[str, _COMMITTEE],
    node: Annotated[str, typer.Argument(help="Name of the node.")],
    dataset: Annotated[
        str | None, typer.Option(help="IRI of one dataset; all of the node's if not given.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="It no longer decides about this.")] = False,
) -> None:
    """Say what a committee decides about: all of a node's datasets, or one.

    Example: fairbank committee scope 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 alpha
    """
    body = {"schema": "committee-scope/1", "node": node}
    if dataset is not None:
        body["dataset"] = dataset
    setup(ctx).scope(committee, body, remove=remove)
    say(f"The committee {'no longer decides' if remove else 'decides'} about {dataset or f'all of {node}'}.")


@app.command()
def delegate(
    ctx: typer.Context,
    committee: Annotated[str, _COMMITTEE],
    account: Annotated[str | None, typer.Argument(help="Who votes for you.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Until when.", formats=_DATE)] = None,
    since: Annotated[
        datetime | None, typer.Option(help="From when; now if not given.", formats=_DATE)
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="End all that you have delegated.")] = False,
) -> None:
    """Let somebody vote for you for a period; your own vote goes before hers.

    Example: fairbank committee delegate 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 dora --until 2027-01-31
    """
    path = f"/v1/committees/{committee}/delegations"
    if end:
        api(ctx).delete(path)
        say("You vote yourself again.")
        return
    if account is None or until is None:
        raise typer.BadParameter("name an account and --until, or --end")
    body = {"schema": "committee-delegation/1", "account": account, "until": _moment(until)}
    if since is not None:
        body["since"] = _moment(since)
    api(ctx).post(path, body, signed_in=True)
    say(f"{account} votes for you until {until:%Y-%m-%d}.")


@app.command()
def substitute(
    ctx: typer.Context,
    review: Annotated[str, typer.Argument(help="Id of the entry, as 'review list' shows it.")],
    account: Annotated[str, _ACCOUNT],
    stands_for: Annotated[
        str | None, typer.Option(help="Member in whose place; beside them if not given.")
    ] = None,
) -> None:
    """Appoint somebody to vote on one entry (chair, or an administrator).

    Example: fairbank committee substitute 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 sue --stands-for carl
    """
    appoint(ctx, review, account, stands_for)


@app.command()
def dissolve(ctx: typer.Context, committee: Annotated[str, _COMMITTEE]) -> None:
    """End a committee; what waits for it goes to the next in charge, and its votes do not.

    Example: fairbank committee dissolve 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    setup(ctx).dissolve(committee)
    say("The committee is dissolved.")


@app.command("test-notice")
def test_notice(
    ctx: typer.Context, committee: Annotated[str, _COMMITTEE], format: FormatOption = Format.TABLE
) -> None:
    """Send each member a notice that only tries the way to her (chair, or an administrator).

    Example: fairbank committee test-notice 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    rows = setup(ctx).test_notice(committee)
    show_rows(rows, columns=("account", "status", "problem"), format=format, empty="It has no member.")
    if any(row["status"] != "ok" for row in rows):
        raise typer.Exit(1)


@app.command()
def notices(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List your notices, and whether they could be sent.

    Example: fairbank committee notices
    """
    show_rows(
        api(ctx).get("/v1/notices", signed_in=True)["notices"],
        columns=("made", "subject", "sent", "problem"),
        format=format,
        empty="No notice.",
    )


@app.command()
def address(
    ctx: typer.Context,
    email: Annotated[str | None, typer.Argument(help="E-mail address; none to end it.")] = None,
) -> None:
    """Say where your notices are sent.

    Example: fairbank committee address carla@biobank.example.org
    """
    body = {"schema": "address/1"} | ({"email": email} if email else {})
    api(ctx).put("/v1/notices/address", body, signed_in=True)
    say(f"Your notices go to {email}." if email else "Your notices are kept, and not sent.")


def appoint(ctx: typer.Context, review: str, account: str, stands_for: str | None) -> None:
    """Appoint a substitute for one entry, and say so."""
    body = {"schema": "committee-substitute/1", "account": account}
    if stands_for is not None:
        body["stands_for"] = stands_for
    api(ctx).post(f"/v1/reviews/{review}/substitutes", body, signed_in=True)
    say(f"{account} votes on this{f' for {stands_for}' if stands_for else ''}.")


def _moment(date: datetime) -> str:
    from fairbank.clock import iso

    return iso(date.replace(tzinfo=UTC))
