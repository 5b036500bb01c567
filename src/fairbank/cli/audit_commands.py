"""`fairbank audit`: show, verify, seal, export and compare the audit logs of the hub or node in the home folder."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairbank.cli.audit_log import Log, open_log, write_new
from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.progress import counting
from fairbank.cli.session import CLOCK

if TYPE_CHECKING:
    from fairbank.audit_export import Anchors

app = typer.Typer(
    no_args_is_help=True,
    help="Show, verify, seal, export and compare the audit log of the hub or node in the home folder.",
)
_ENTRY = ("seq", "at", "actor", "act", "target", "detail")


@app.command()
def show(
    ctx: typer.Context,
    last: Annotated[int, typer.Option(help="How many entries.", min=1)] = 50,
    act: Annotated[
        str, typer.Option(help="Only this act, such as leg.approve; 'leg.' for all of legs.")
    ] = "",
    actor: Annotated[str, typer.Option(help="Only what this account, person or key did.")] = "",
    target: Annotated[str, typer.Option(help="Only what was done to this id, digest or IRI.")] = "",
    since: Annotated[str, typer.Option(help="Only from this day, or moment with a zone, on.")] = "",
    format: FormatOption = Format.TABLE,
) -> None:
    """Show the newest entries.

    Example: fairbank audit show --act leg. --since 2026-11-01
    """
    from fairbank import audit
    from fairbank.database import reading

    log = open_log(ctx)
    wanted = audit.Wanted(act=act, actor=actor, target=target, since=_moment(since))
    with reading(log.engine) as session:
        found = audit.entries(session, log.table, wanted, limit=last, newest=True)
    rows = [{column: getattr(entry, column) for column in _ENTRY} for entry in found]
    show_rows(rows, columns=_ENTRY, format=format, empty="There is no such entry.")


@app.command()
def verify(
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="An exported log, instead of the one here.")] = None,
    anchors: Annotated[
        list[Path] | None, typer.Option(help="What another side was shown of this log; may be given again.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="Key that may have sealed the file or the anchors, besides known ones."),
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Verify a whole log: each entry, the guards and pages of the database, its checkpoints, what others were shown.

    Fails at the first entry that was changed, removed or put in. The end of a log can be cut off unseen by whoever owns
    it: only what another side was shown proves that nothing is missing.

    Example: fairbank audit verify --anchors from-the-hub.json
    """
    keys = frozenset(key or ())
    shown = anchors or []
    _show_verified(
        _verify_file(file, shown, keys) if file is not None else _verify_here(open_log(ctx), shown, keys),
        format,
    )


@app.command()
def checkpoint(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """Seal the log as it is now; also done by itself, each hour or thousand entries and at the end.

    Example: fairbank audit checkpoint
    """
    from fairbank.clock import iso

    sealed = open_log(ctx).sealed()
    if sealed is None:
        say("The log is empty; there is nothing to seal.")
        return
    fields = {
        "log": sealed.log, "size": sealed.size, "head": sealed.head, "root": sealed.root,
        "created": iso(sealed.created), "key": sealed.signer,
    }  # fmt: skip
    show_fields(fields, format=format)


@app.command()
def export(
    ctx: typer.Context,
    to: Annotated[Path, typer.Argument(help="The new file.")],
    as_provenance: Annotated[
        bool, typer.Option("--prov", help="As provenance (PROV-O, Turtle), which cannot be verified.")
    ] = False,
) -> None:
    """Write the whole log into a file: a line per entry and a sealed checkpoint, verifiable anywhere.

    Example: fairbank audit export log.jsonl
    """
    from fairbank import audit_export
    from fairbank.database import reading

    log = open_log(ctx)
    sealed = log.sealed()
    if sealed is None:
        say("The log is empty.")
        return
    with write_new(to) as opened, counting("entries") as move:
        if as_provenance:
            written = _write_provenance(log, opened, move)
        else:
            with reading(log.engine) as session:
                written = audit_export.write_log(session, log.table, opened, checkpoint=sealed, progress=move)
    say(f"{written} entries are in {to.name}.")


@app.command()
def anchors(
    ctx: typer.Context,
    to: Annotated[Path, typer.Argument(help="The new file.")],
    node: Annotated[str, typer.Option(help="The node whose log it is about; at a hub.")] = "",
) -> None:
    """Write down, sealed, what this side was shown of the other's log, for 'audit verify --anchors' over there.

    Example: fairbank audit anchors for-the-hub.json
    """
    from fairbank.federated_jobs.hub import node_logs
    from fairbank.federated_jobs.node import hub_log

    log = open_log(ctx)
    if log.hub is not None:
        if not node:
            raise typer.BadParameter("a hub says of which node", param_hint="--node")
        content = node_logs.anchors_of(log.hub, node)
    else:
        assert log.node is not None
        content = hub_log.anchors(log.node)
    with write_new(to) as opened:
        opened.write(content)
    say(f"Send {to.name} to those whose log it is about.")


@app.command()
def compare(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Anchor files of other sides, about the same log.")],
    format: FormatOption = Format.TABLE,
) -> None:
    """Compare what several sides were shown of one log; at a node, also what it was shown itself.

    Two sides that were shown different logs have found a forked hub; a node stops working for it.

    Example: fairbank audit compare from-northfield.json from-lakeside.json
    """
    from fairbank import audit_export
    from fairbank.federated_jobs.node import hub_log

    log = open_log(ctx)
    shown = [audit_export.open_anchors(path.read_bytes(), trusted=None) for path in files]
    if log.node is not None and log.node.enrolment is not None:
        shown.append(audit_export.open_anchors(hub_log.anchors(log.node), trusted=None))
    found = audit_export.forks(shown)
    if not found:
        rows = [_side(each) for each in shown]
        show_rows(rows, columns=("log", "seen_by", "key", "heads", "checkpoints"), format=format)
        say("They do not contradict each other.")
        return
    own = (
        log.node.enrolment.public_base_iri if log.node is not None and log.node.enrolment is not None else ""
    )
    for fork in found:
        if log.node is not None and fork.log == own:
            hub_log.tell_fork(log.node, fork)
    raise audit_export.forked(found[0])


@app.command()
def alarms(
    ctx: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Also those that were cleared.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """List what does not fit in the other side's log; a node does no work while an alarm stands.

    Example: fairbank audit alarms
    """
    from fairbank import audit_alarms
    from fairbank.database import reading

    log = open_log(ctx)
    with reading(log.engine) as session:
        found = audit_alarms.alarms(session, log.table, standing=not every)
    columns = ("id", "raised", "log", "kind", "detail", "cleared", "cleared_by", "why")
    rows: list[dict[str, Any]] = [{column: getattr(each, column) for column in columns} for each in found]
    show_rows(rows, columns=columns if every else columns[:5], format=format, empty="No alarm stands.")


@app.command()
def clear(
    ctx: typer.Context,
    alarm: Annotated[str, typer.Argument(help="Its id.")],
    why: Annotated[str, typer.Option(help="What you found out; it is kept.")],
    by: Annotated[str, typer.Option(help="Who decides; by default the account of this machine.")] = "",
) -> None:
    """Let the work go on after looking into an alarm: what the other log says from now on is believed again.

    Example: fairbank audit clear 0193e6a0-1111-7abc-8def-000000000001 --why "The hub was restored from a backup"
    """
    from fairbank import audit_alarms
    from fairbank.database import writing

    log = open_log(ctx)
    with writing(log.engine) as session:
        cleared = audit_alarms.clear(
            session, log.table, clock=CLOCK, alarm_id=alarm, by=by or getpass.getuser(), why=why
        )
    say(f"The alarm about {cleared.log} is cleared.")


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as err:
        raise typer.BadParameter("write 2026-01-31, or 2026-01-31T12:00:00Z", param_hint="--since") from err
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _verify_here(log: Log, shown: list[Path], keys: frozenset[str]) -> dict[str, Any]:
    from sqlalchemy import select

    from fairbank import audit_checkpoints, audit_export
    from fairbank.database import reading

    with reading(log.engine) as session, counting("entries") as move:
        owners = log.owners(session) | keys
        whole = audit_checkpoints.verify_whole(session, log.table, trusted=owners, progress=move)

        def hash_of(seq: int) -> str | None:
            return session.scalar(select(log.table.hash).where(log.table.seq == seq))

        witnesses = log.witnesses(session) | keys
        compared = 0
        for path in shown:
            told = audit_export.open_anchors(path.read_bytes(), trusted=witnesses)
            _expect_log(told, log.name)
            compared += audit_export.check_anchors(told, tree=whole.tree, hashes=hash_of, owners=owners)
    return {
        "log": log.name, "entries": whole.head.seq, "head": whole.head.hash, "checkpoints": whole.checkpoints,
        "shown to others": compared, "verified": True,
    }  # fmt: skip


def _verify_file(file: Path, shown: list[Path], keys: frozenset[str]) -> dict[str, Any]:
    from fairbank import audit_export

    with file.open("rb") as opened, counting("entries") as move:
        whole = audit_export.verify_log(opened, trusted=keys or None, progress=move)
    sealed = whole.checkpoint
    compared = 0
    for path in shown:
        told = audit_export.open_anchors(path.read_bytes(), trusted=keys or None)
        _expect_log(told, sealed.log)
        compared += audit_export.check_anchors(
            told, tree=whole.tree, hashes=whole.hash_of, owners=keys | {sealed.signer}
        )
    return {
        "log": sealed.log, "entries": whole.head.seq, "head": whole.head.hash, "sealed by": sealed.signer,
        "shown to others": compared, "verified": True,
    }  # fmt: skip


def _expect_log(told: Anchors, log: str) -> None:
    if told.log != log:
        raise typer.BadParameter(f"it is about the log of {told.log}, not of {log}", param_hint="--anchors")


def _show_verified(fields: dict[str, Any], format: Format) -> None:
    show_fields(fields, format=format)
    if not fields["shown to others"]:
        say("Whether its end was cut off, only another side can tell: give its anchors with --anchors.")


def _side(told: Anchors) -> dict[str, Any]:
    return {
        "log": told.log, "seen_by": told.seen_by, "key": told.signer, "heads": len(told.heads),
        "checkpoints": len(told.checkpoints),
    }  # fmt: skip


def _write_provenance(log: Log, to: Any, move: Any) -> int:
    from fairbank import audit
    from fairbank.catalogue.governance.provenance import visas
    from fairbank.clock import iso
    from fairbank.database import reading
    from fairbank.ontology import audit_provenance

    last, named = 0, set[str]()
    with reading(log.engine) as session:
        while found := audit.entries(session, log.table, audit.Wanted(), after=last, limit=2000):
            for row in found:
                entry = audit_provenance.Entry(
                    row.seq, iso(row.at), row.actor, row.act, row.target, row.detail, row.hash
                )
                told = audit_provenance.triples(entry, base_iri=log.base_iri, log_iri=log.iri)
                to.writelines(line.encode() for line in audit_provenance.turtle(told))
                if isinstance(row.detail.get("visa"), str):
                    named.add(row.detail["visa"])
            last = found[-1].seq
            move(last, last)
        if log.hub is not None:
            lines = audit_provenance.turtle(visas(session, named, base_iri=log.base_iri))
            to.writelines(line.encode() for line in lines)
    return last
