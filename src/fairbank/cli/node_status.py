"""`fairbank node status`: whether the node takes part, what it approves by itself, and what needs its people."""

from __future__ import annotations

import typer

from fairbank.cli.output import Format, FormatOption, show_fields, show_rows
from fairbank.cli.session import node


def add_to(node_app: typer.Typer) -> None:
    """Add this verb to the noun `node`."""
    node_app.command()(status)


def status(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """Say whether this node takes part, what it approves by itself, what waits for its people, and what needs them.

    Exits with 1 if anything needs somebody: a pause of the node, an alarm, a policy file that cannot be used, a hub
    that seals nothing, reports that it refuses.

    Example: fairbank node status
    """
    from fairbank.clock import iso
    from fairbank.federated_jobs.node.attention import needed
    from fairbank.federated_jobs.node.site_status import site_status

    opened = node(ctx)
    found = site_status(opened)
    policy, pinned = found.policy, opened.enrolment
    needs = [
        {"code": one.code, "what": one.what, "why": one.why, "what to do": one.todo} for one in needed(opened)
    ]
    if policy.problem is not None:
        by_itself = f"nothing: {policy.problem}"
    elif policy.policy is None:
        by_itself = f"no policy file; {found.rules} pinned rules"
    else:
        by_itself = f"{len(policy.policy.allow)} rules of {policy.path.name}; {found.rules} pinned rules"
    show_fields(
        {
            "name": opened.name,
            "hub": pinned.hub_url if pinned else "not enrolled",
            "takes part": "yes" if found.paused is None else f"no: paused since {iso(found.paused)}",
            "approves by itself": by_itself,
            "jobs that wait for a decision": found.jobs_waiting,
            "jobs that go on": found.jobs_going_on,
            "jobs paused here": found.jobs_paused,
            "outputs that wait for a decision": found.outputs_held,
            "outputs ready to leave": found.outputs_ready,
            "needs somebody": needs if format is Format.JSON else [one["code"] for one in needs],
        },
        format=format,
    )
    if format is Format.TABLE:
        columns = ("code", "what", "why", "what to do")
        show_rows(needs, columns=columns, format=format, empty="Nothing needs anybody.")
    if needs:
        raise typer.Exit(1)
