"""`fairbank deid push`: send a project's de-identified series to a research archive."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.session import node


def push(
    ctx: typer.Context,
    project: Annotated[str, typer.Argument(help="Project of the research store.")],
    to: Annotated[
        str, typer.Option(help="Archive to send to, by its name among the node's sources; XNAT or DICOMweb.")
    ],
    into: Annotated[str, typer.Option(help="Project of that XNAT; not for DICOMweb.")] = "",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only say what would be sent; the archive is asked, not changed."),
    ] = False,
    details: Annotated[bool, typer.Option("--details", help="One line for each series.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Send de-identified series to a research XNAT project or a DICOMweb archive, and compare what it then holds.

    Example: fairbank deid push thorax --to research-xnat --into THORAX
    """
    import contextlib

    from fairbank.cli.progress import counting
    from fairbank.deid.identity import IDENTITY_FILE, IdentityStore
    from fairbank.deid.research_store import ResearchStore
    from fairbank.harvest.pushing.leaving import may_leave
    from fairbank.harvest.pushing.opening import open_destination
    from fairbank.harvest.pushing.outgoing import outgoing
    from fairbank.harvest.pushing.push import Push, Pushed

    opened = node(ctx)
    identity = IdentityStore(opened.settings.home / IDENTITY_FILE)
    wanted = outgoing(opened.engine, ResearchStore(opened.settings.store_path), project)
    done: list[Pushed] = []
    with (
        contextlib.closing(open_destination(opened, to, into=into)) as destination,
        counting("Pushing") as move,
    ):
        work = Push(opened, project, destination, (to, into), identity, may_leave(opened), rehearse=dry_run)
        move(0, len(wanted))
        for result in work.run(wanted):
            done.append(result)
            move(len(done), len(wanted))
    if details:
        rows: list[dict[str, object]] = [
            {
                "series": each.series_uid,
                "state": each.state.value,
                "files": each.files,
                "sent": each.sent,
                "code": each.error.code if each.error else "",
            }
            for each in done
        ]
        columns = ("series", "state", "files", "sent", "code")
        show_rows(rows, columns=columns, format=format, empty="The store has no series of this project.")
    else:
        counted = Counter(each.state.value for each in done)
        fields: dict[str, object] = {f"series {state}": count for state, count in sorted(counted.items())}
        show_fields(fields | {"files sent": sum(each.sent for each in done)}, format=format)
    for message in sorted({str(each.error) for each in done if each.error}):
        say(message)
    if not all(each.state.is_well for each in done):
        raise typer.Exit(1)
