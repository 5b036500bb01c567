"""The registry of tools: publishers submit sealed manifests, others review them, and jobs use what was not revoked."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.federated_jobs.container_tools import Find, finding
from fairbank.federated_jobs.errors import (
    ReviewIncomplete,
    ReviewNotYours,
    ToolNotFound,
    ToolRefused,
    ToolRevoked,
    ToolStateRefused,
)
from fairbank.federated_jobs.hub.tool_revocation import stop_jobs
from fairbank.federated_jobs.hub.tool_store import ToolAnswerRow, ToolVersionRow
from fairbank.federated_jobs.tool_manifests import LARGEST_BYTES, check_installed
from fairbank.federated_jobs.tool_review import (
    BRINGS,
    NEEDS_WORDS,
    SHOWN_TO_ALL,
    VERDICTS,
    ToolCommand,
    ToolCommandBody,
    ToolPart,
    ToolState,
    check_answers,
    step,
)
from fairbank.ontology.signed_objects import Code
from fairbank.ontology.tools import OutputColumn, ToolManifest
from fairbank.signing import Sealed

_SETTLED = [state.value for state in SHOWN_TO_ALL]


def take_in(
    hub: Hub, session: Session, envelope: bytes, *, who: Account, command: ToolCommand
) -> ToolVersionRow:
    """Take a sealed manifest in, as a draft or for review; the same one again is the same version.

    Args:
        command: `draft` or `submit`.

    Raises:
        ToolRefused: if it is too large, not sealed with the account's key, not of installed code, or its name or
            version is taken.
        ToolStateRefused: if the version stands where nothing new is taken.
        BadEnvelope: if its seal does not hold.
        MalformedObject: if it holds what a manifest does not.
    """
    manifest, sealed, key = _opened(envelope, who)
    check_installed(manifest)
    _check_code(session, manifest)
    _check_name(session, manifest, who)
    before = _own(session, manifest.code, who)
    if before is not None and before.digest == sealed.digest and _is_done(before, command):
        return before
    after = _allowed(before, command, who)
    known = session.get(ToolVersionRow, sealed.digest)
    if known is not None and known.state != ToolState.DRAFT.value:
        raise _taken(
            "This very manifest was returned before.", "Correct what the review says, and seal it anew."
        )
    if before is not None and before.state == ToolState.DRAFT.value:
        session.delete(before)
        session.flush()
    now = hub.clock.now()
    row = ToolVersionRow(
        digest=sealed.digest,
        name=manifest.code.name,
        version=manifest.code.version,
        code=manifest.code.digest,
        account=who.name,
        publisher_key=key,
        manifest=sealed.envelope_bytes,
        state=after.value,
        created=now,
        since=now,
        changed_by=who.name,
    )
    session.add(row)
    session.flush()
    _record(hub, session, row, command, who)
    return row


def act(
    hub: Hub,
    session: Session,
    name: str,
    version: str,
    command: ToolCommand,
    *,
    who: Account,
    body: ToolCommandBody,
) -> ToolVersionRow:
    """Take up, accept, return, deprecate or revoke a version; what is revoked runs no longer in any job.

    Raises:
        ToolNotFound: if there is no such version for the eyes of who asks.
        ToolStateRefused: if its state does not allow this to them.
        ReviewNotYours: if they would review what they published.
        ReviewIncomplete: if a review's answers are not complete, or the reason for an end is missing.
    """
    row = find(session, name, version, who)
    if command in BRINGS:
        raise ToolStateRefused(
            "A version is drafted and submitted together with its sealed manifest.",
            why="What is reviewed is what its publisher sealed.",
            todo="Send the manifest: fairbank tool submit.",
        )
    after = _allowed(row, command, who)
    if command in VERDICTS:
        check_answers(command, body.answers)
    elif body.answers:
        raise ReviewIncomplete(
            "Criteria are answered together with a verdict.",
            why="A review is one act.",
            todo="Answer them with --accept or --return.",
        )
    if command in NEEDS_WORDS and body.words is None:
        raise ReviewIncomplete(
            f"It is not said why the version is to {command.value}.",
            why="Whoever uses it has to know what is wrong with it.",
            todo="Say it in a sentence: --why WORDS.",
        )
    row.state, row.since, row.changed_by, row.words = after.value, hub.clock.now(), who.name, body.words
    if command is ToolCommand.TAKE_UP or command in VERDICTS:
        row.reviewer = who.name
    if command is ToolCommand.ACCEPT:
        _check_one_publisher(session, row)
        row.accepted = row.since
    for place, one in enumerate(body.answers):
        session.add(
            ToolAnswerRow(
                digest=row.digest, criterion=one.criterion, place=place, met=one.met, words=one.words
            )
        )
    session.flush()
    _record(hub, session, row, command, who)
    if after is ToolState.REVOKED:
        stop_jobs(hub, session, row.code, actor=who.name)
    return row


def find(session: Session, name: str, version: str | None, who: Account | None) -> ToolVersionRow:
    """Return a version that somebody may see, of several of one version the newest; without version the newest of all.

    Raises:
        ToolNotFound: if there is none.
    """
    found = [row for row in versions(session, who, name=name) if version in (None, row.version)]
    if not found:
        raise ToolNotFound(
            f"The registry shows no tool {name[:60]!r}{f' of version {version[:40]!r}' if version else ''}.",
            why="There is none, or it has not been accepted and is not yours.",
            todo="See 'fairbank tool list'.",
        )
    return found[0]


def versions(session: Session, who: Account | None, *, name: str | None = None) -> list[ToolVersionRow]:
    """Return the versions that somebody may see, by name, the newest first."""
    statement = select(ToolVersionRow).order_by(
        ToolVersionRow.name, ToolVersionRow.created.desc(), ToolVersionRow.digest
    )
    if name is not None:
        statement = statement.where(ToolVersionRow.name == name)
    if who is not None and who.has(Role.ADMIN, Role.AUDITOR):
        seen = ToolVersionRow.state != ToolState.DRAFT.value
    else:
        seen = ToolVersionRow.state.in_(_SETTLED)
    own = seen if who is None else or_(seen, ToolVersionRow.account == who.name)
    return list(session.scalars(statement.where(own)))


def answers(session: Session, row: ToolVersionRow) -> Sequence[ToolAnswerRow]:
    """Return what a reviewer answered, in the order of the answers."""
    return session.scalars(
        select(ToolAnswerRow).where(ToolAnswerRow.digest == row.digest).order_by(ToolAnswerRow.place)
    ).all()


def parts_of(row: ToolVersionRow | None, who: Account) -> frozenset[ToolPart]:
    """Return which parts somebody has in a version; whoever brings a new one is its publisher."""
    if row is None or row.account == who.name or row.publisher_key == who.key_id:
        return frozenset({ToolPart.PUBLISHER})
    return frozenset({ToolPart.REVIEWER} if who.has(Role.ADMIN) else ())


def check_not_revoked(session: Session, code: Code) -> None:
    """Refuse code whose version was revoked.

    Raises:
        ToolRevoked: saying which, and why.
    """
    row = _revoked(session, code.digest)
    if row is not None:
        raise ToolRevoked(
            f"The tool {row.name} {row.version} was revoked on {row.since:%Y-%m-%d}: {row.words}",
            why="A version that was revoked in the registry begins no new job.",
            todo=f"Use another version: fairbank tool show {row.name}.",
        )


def standing_of(session: Session, code: Code) -> ToolVersionRow | None:
    """Return the settled version of the registry that is exactly this code, the newest first; None if there is none."""
    return session.scalars(
        select(ToolVersionRow)
        .where(
            ToolVersionRow.code == code.digest,
            ToolVersionRow.name == code.name,
            ToolVersionRow.version == code.version,
            ToolVersionRow.accepted.is_not(None),
        )
        .order_by(ToolVersionRow.created.desc())
    ).first()


def known_tools(session: Session, code: Code) -> Find:
    """Return how the tool of a job is found here: installed, or a container of the registry that was accepted."""

    def accepted() -> list[ToolManifest]:
        row = standing_of(session, code)
        return [] if row is None else [ToolManifest.open_own(row.manifest)[0]]

    return finding(accepted)


def container_columns(session: Session, code: Code) -> tuple[OutputColumn, ...]:
    """Return the columns of a container's rows; none of installed code."""
    row = standing_of(session, code)
    manifest = None if row is None else ToolManifest.open_own(row.manifest)[0]
    return manifest.columns if manifest is not None and manifest.container is not None else ()


def _revoked(session: Session, digest: str) -> ToolVersionRow | None:
    return session.scalars(
        select(ToolVersionRow).where(
            ToolVersionRow.code == digest, ToolVersionRow.state == ToolState.REVOKED.value
        )
    ).first()


def _opened(envelope: bytes, who: Account) -> tuple[ToolManifest, Sealed, str]:
    """Return a manifest that an account sealed, with the key that it did so with."""
    if len(envelope) > LARGEST_BYTES:
        raise ToolRefused(
            "The tool manifest is too large.",
            why=f"A manifest has at most {LARGEST_BYTES} bytes.",
            todo="Shorten its texts.",
        )
    if who.key_id is None:
        raise ToolRefused(
            "This account has no key, so it cannot have sealed a tool.",
            why="A tool is sealed with the key that its publisher registered.",
            todo="Register a key first: logging in does it, fairbank login NAME.",
        )
    manifest, sealed = ToolManifest.open(envelope, trusted=[who.key_id])
    if manifest.publisher_key != who.key_id:
        raise ToolRefused(
            "The manifest names another publisher's key than the one that sealed it.",
            why="A publisher answers for a tool with a key of their own.",
            todo="Write your own key into it, or leave that to 'fairbank tool submit'.",
        )
    return manifest, sealed, who.key_id


def _own(session: Session, code: Code, who: Account) -> ToolVersionRow | None:
    """Return the newest that an account has of a version."""
    return session.scalars(
        select(ToolVersionRow)
        .where(
            ToolVersionRow.name == code.name,
            ToolVersionRow.version == code.version,
            ToolVersionRow.account == who.name,
        )
        .order_by(ToolVersionRow.created.desc(), ToolVersionRow.since.desc())
    ).first()


def _is_done(row: ToolVersionRow, command: ToolCommand) -> bool:
    """Tell whether the same manifest was sent like this before."""
    state = ToolState(row.state)
    if command is ToolCommand.DRAFT:
        return state is ToolState.DRAFT
    return state not in (ToolState.DRAFT, ToolState.RETURNED)


def _allowed(row: ToolVersionRow | None, command: ToolCommand, who: Account) -> ToolState:
    state = None if row is None else ToolState(row.state)
    found, parts = step(state, command), parts_of(row, who)
    if found is not None and found.parts & parts:
        return found.after
    if found is not None and found.parts == {ToolPart.REVIEWER} and who.has(Role.ADMIN):
        raise ReviewNotYours(
            f"You published this tool, so you may not {command.value.replace('-', ' ')} it.",
            why="Two persons look at each tool: the one who answers for it, and another.",
            todo="Ask another administrator of the hub.",
        )
    named = "There is no such version yet" if row is None else f"{row.name} {row.version} is {row.state}"
    raise ToolStateRefused(
        f"{named}, so you cannot {command.value.replace('-', ' ')} it.",
        why="Each state allows some things to its publisher and some to reviewers; all else is refused.",
        todo="See where it stands: fairbank tool show. A change of what was accepted is a new version.",
    )


def _check_code(session: Session, manifest: ToolManifest) -> None:
    if _revoked(session, manifest.code.digest) is not None:
        raise _taken("This code was revoked.", "Correct the code; it has another digest then.")


def _check_name(session: Session, manifest: ToolManifest, who: Account) -> None:
    """Refuse a name that belongs to another publisher: one with an accepted version, or one that waits for review."""
    other = session.scalars(
        select(ToolVersionRow).where(
            ToolVersionRow.name == manifest.code.name,
            ToolVersionRow.account != who.name,
            or_(
                ToolVersionRow.accepted.is_not(None),
                ToolVersionRow.state.in_([ToolState.SUBMITTED.value, ToolState.IN_REVIEW.value]),
            ),
        )
    ).first()
    if other is not None:
        raise _taken(
            f"Another publisher answers for the tool {manifest.code.name!r}, or has submitted it.",
            "Ask an administrator of the hub who answers for it.",
        )


def _check_one_publisher(session: Session, row: ToolVersionRow) -> None:
    others = session.scalars(
        select(ToolVersionRow.digest).where(
            ToolVersionRow.name == row.name,
            ToolVersionRow.account != row.account,
            ToolVersionRow.accepted.is_not(None),
        )
    ).first()
    if others is not None:
        raise _taken(f"Another publisher answers for the tool {row.name!r} by now.", "Return it.")


def _taken(what: str, todo: str) -> ToolRefused:
    return ToolRefused(
        what, why="A name has one publisher, and a version that was accepted never changes.", todo=todo
    )


def _record(hub: Hub, session: Session, row: ToolVersionRow, command: ToolCommand, who: Account) -> None:
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=who.name,
        act=f"tool.{command.value}",
        target=row.digest,
        detail={"name": row.name, "version": row.version, "code": row.code, "state": row.state},
    )
