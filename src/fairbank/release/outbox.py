"""The outbox: the only way by which a body leaves the node.

Staging puts verdict, bytes and ledger line in place in one transaction, the caller's; sending follows later and may be
repeated, also after `kill -9`, with exactly those bytes. A release is unique per job, round, site and output: the same
bytes again are the same release, other bytes are a conflict.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.orm import Session

from fairbank import audit, events
from fairbank.audit import NodeAudit
from fairbank.database import reading, writing
from fairbank.errors import FairbankError, RemoteError
from fairbank.events import NodeEvent
from fairbank.ontology.outputs import DoorClass
from fairbank.ontology.record import DatasetRecord
from fairbank.release import gate, ledger, told_sums
from fairbank.release.candidates import Candidate
from fairbank.release.control import ControlMessage
from fairbank.release.errors import (
    GateRefused,
    HubUnreachable,
    NotEnrolled,
    ReleaseConflict,
    ReleaseStateError,
    UnknownRelease,
)
from fairbank.release.gate import Policy, Verdict
from fairbank.release.ledger import EntryState
from fairbank.release.node import Node
from fairbank.release.outbox_files import digest_of_name, keep, keep_sealed, stored
from fairbank.release.records_word import check_record_let_go
from fairbank.release.releases import MOVES, Release, ReleaseState, Sending, release_of
from fairbank.release.store import LedgerRow, ReleaseRow
from fairbank.release.suspension import check_not_suspended
from fairbank.release.tables import dominance_of
from fairbank.release.told_sums import Sums
from fairbank.release.uploads import upload
from fairbank.signing import Digest

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from fairbank.release.hub_client import HubClient

_JSON: Final = "application/json"
# Asked for every output, so they are put together once.
_IN_PLACE = select(ReleaseRow).where(
    ReleaseRow.job == bindparam("job"),
    ReleaseRow.round == bindparam("round"),
    ReleaseRow.site == bindparam("site"),
    ReleaseRow.output == bindparam("output"),
)
_IN_STATE = (
    select(ReleaseRow)
    .where(ReleaseRow.state == bindparam("state"))
    .order_by(ReleaseRow.staged, ReleaseRow.id)
)
_RECORDS = (
    select(ReleaseRow)
    .where(
        ReleaseRow.door_class == DoorClass.RECORD.value,
        ReleaseRow.output == bindparam("output"),
        # What was kept back after a try to send it may have arrived.
        or_(ReleaseRow.state != ReleaseState.WITHHELD.value, ReleaseRow.attempts > 0),
    )
    .order_by(ReleaseRow.round)
)
_ENTRY_OF = select(LedgerRow).where(LedgerRow.release == bindparam("release"))
_RELEASES = ReleaseRow.metadata.tables[ReleaseRow.__tablename__]
_STANDING = select(_RELEASES).where(_RELEASES.c.id == bindparam("of"))
_SENT = (
    update(_RELEASES)
    .where(_RELEASES.c.id == bindparam("of"), _RELEASES.c.state != ReleaseState.SENT.value)
    .values(
        state=bindparam("state"),
        sent=bindparam("sent"),
        problem=bindparam("problem"),
        attempts=_RELEASES.c.attempts + 1,
    )
)
_LEDGER = LedgerRow.metadata.tables[LedgerRow.__tablename__]
_LEFT = update(_LEDGER).where(_LEDGER.c.release == bindparam("of"))


class Outbox:
    """Stages and sends what leaves the node; without a client it only stages (rehearsal).

    Args:
        may_leave: asked, in a reading session, before each piece of an output of a job is sent; raises if what the job
            rests on does not hold any more.
    """

    def __init__(
        self,
        node: Node,
        client: HubClient | None = None,
        *,
        may_leave: Callable[[Session, Release], None] | None = None,
    ) -> None:
        self._node = node
        self._client = client
        self._may_leave = may_leave
        # Staged by this very process and not sent yet. Of any other release an earlier process may have sent a part, so
        # the hub is asked first.
        self._never_sent: set[str] = set()

    # -- control messages ------------------------------------------------------------------------------------------

    def control(
        self,
        method: str,
        path: str,
        message: ControlMessage,
        *,
        timeout_s: float = 60.0,
        once: bool = False,
    ) -> dict[str, Any]:
        """Send a control message at once, note it in the ledger, and return the JSON answer, `{}` for none.

        Arguments and errors are those of `ask`.
        """
        response = self.ask(method, path, message, timeout_s=timeout_s, once=once)
        return self._connected().json_of(response)

    def ask(
        self,
        method: str,
        path: str,
        message: ControlMessage,
        *,
        timeout_s: float = 60.0,
        once: bool = False,
        sent: Callable[[Session], None] | None = None,
    ) -> httpx.Response:
        """Send a control message at once, note it in the ledger, and return the answer as it came.

        Args:
            timeout_s: longest wait for the answer; a long-poll needs more than it asks for.
            once: do not try again after the request may have arrived.
            sent: called once the hub has taken it, in the transaction that notes so, which a power cut may undo.

        Raises:
            GateRefused: if the message says more than its class declares.
            HubUnreachable: if the hub does not answer.
            RemoteError: if it refuses.
        """
        client = self._connected()
        verdict = gate.judge_control(message)
        if not verdict.allowed:
            raise _refused(f"{method} {path}", verdict)
        body = message.to_bytes()
        with writing(self._node.engine) as session:
            seq = ledger.note(
                session,
                clock=self._node.clock,
                door_class=DoorClass.CONTROL,
                name=f"{method} {path}",
                destination=client.base_url,
                body=body,
            )
        try:
            response = client.deliver(
                method, path, body=body, content_type=_JSON, timeout_s=timeout_s, once=once
            )
        except HubUnreachable:
            with writing(self._node.engine) as session:
                ledger.mark_undelivered(session, seq)
            raise
        except FairbankError:
            # The hub refused it, so it has it.
            self._mark_sent(seq)
            raise
        self._mark_sent(seq, sent)
        return response

    # -- staging ---------------------------------------------------------------------------------------------------

    def stage(self, session: Session, candidate: Candidate, *, hold: bool = False) -> Release:
        """Judge an output and put it in the outbox, in the caller's writing transaction.

        A record is judged with all records of its dataset before it. It waits for the curator if it is the first of
        its dataset, and unless the site lets records leave by themselves.

        The bytes are on disk before the transaction commits; the release exists only if it does. Staging the same bytes
        again returns the release that is there. What leaves sealed is judged before it is sealed, and sealed once.

        Args:
            hold: let it wait until the curator has approved it.

        Raises:
            GateRefused: if the gate does not let it leave; the caller's transaction should not go on.
            ReleaseConflict: if other bytes were staged for this job, round, site and output.
        """
        name = self._node.clock.new_id()
        path, digest = keep(candidate.content, self._node.outbox_path, name=name, move=candidate.movable)
        round_ = candidate.round
        if candidate.door_class is DoorClass.RECORD and round_ == 0:
            with suppress(FairbankError):
                round_ = gate.record_of(path, self._policy(())).version
        found = self._find(session, candidate, round_)
        if found is not None:
            return self._same(found, digest)
        before = self.published(session, candidate) if candidate.door_class is DoorClass.RECORD else []
        records = tuple(record for _, record in before)
        verdict = gate.judge(candidate, path, self._policy(records))
        if verdict.allowed and candidate.sums is not None:
            verdict = self._beside_earlier_sums(session, candidate.sums, verdict)
        if not verdict.allowed:
            raise _refused(candidate.output, verdict, kept=path)
        if candidate.sums is not None:
            told_sums.charge(session, candidate.sums, at=self._node.clock.now())
        media_type, plain = candidate.media_type, None
        if candidate.sealed is not None:
            plain, media_type = digest, candidate.sealed.media_type
            path, digest = keep_sealed(path, self._node.outbox_path, name=name, seal=candidate.sealed.seal)
        row = ReleaseRow(
            id=self._node.clock.new_id(),
            door_class=candidate.door_class.value,
            job=candidate.job or "",
            round=round_,
            site=self._node.name,
            output=candidate.output,
            media_type=media_type,
            digest=digest,
            plain_digest=plain,
            size_bytes=path.stat().st_size,
            verdict={"allowed": True, "checks": list(verdict.checks)},
            state=(
                ReleaseState.HELD if hold or self._awaits(candidate, before) else ReleaseState.READY
            ).value,
            staged=self._node.clock.now(),
            sent=None,
            attempts=0,
            problem=None,
        )
        session.add(row)
        self._debit(session, row, EntryState.PENDING, ())
        release = release_of(row)
        self._log(session, "release.stage", release, actor=self._node.key.key_id)
        session.flush()
        self._never_sent.add(release.id)
        return release

    def note_refusal(self, session: Session, candidate: Candidate, refused: GateRefused) -> None:
        """Note in the ledger, in the caller's transaction, that the gate refused an output; its bytes are not kept."""
        assert refused.kept is not None
        digest, size = digest_of_name(refused.kept), refused.kept.stat().st_size
        reasons = list(refused.verdict.reasons)
        row = LedgerRow(
            release=None,
            door_class=candidate.door_class.value,
            name=candidate.output,
            job=candidate.job or "",
            round=candidate.round,
            destination="",
            media_type=candidate.media_type,
            digest=digest,
            size_bytes=size,
            body=None,
            state=EntryState.REFUSED.value,
            reasons=reasons,
            noted=self._node.clock.now(),
            left=None,
        )
        session.add(row)
        audit.record(
            session,
            NodeAudit,
            clock=self._node.clock,
            actor=self._node.key.key_id,
            act="release.refuse",
            target=digest,
            detail={"class": row.door_class, "output": row.name, "reasons": reasons},
        )
        if session.scalar(select(ReleaseRow.id).where(ReleaseRow.digest == digest).limit(1)) is None:
            refused.kept.unlink(missing_ok=True)

    def published(self, session: Session, candidate: Candidate | str) -> list[tuple[Release, DatasetRecord]]:
        """Return the records of a dataset that left, will leave or wait for the curator, oldest first.

        Args:
            candidate: a record of the dataset, or the name of its output.

        Raises:
            ReleaseBytesLost: if one cannot be read: without it nobody can say what a new one would tell.
        """
        output = candidate if isinstance(candidate, str) else candidate.output
        found = [release_of(row) for row in session.scalars(_RECORDS, {"output": output})]
        policy = self._policy(())
        return [
            (release, gate.record_of(stored(self._node.outbox_path, release.digest), policy))
            for release in found
        ]

    # -- the curator's say -----------------------------------------------------------------------------------------

    def approve(self, session: Session, release_id: str, *, by: str, why: str = "") -> Release:
        """Let a held release leave, in the caller's transaction; `by` is the curator's name or key."""
        return self._move(session, release_id, ReleaseState.READY, act="release.approve", by=by, why=why)

    def hold(self, session: Session, release_id: str, *, by: str, why: str = "") -> Release:
        """Let a release that is ready wait for the curator, in the caller's transaction."""
        return self._move(session, release_id, ReleaseState.HELD, act="release.hold", by=by, why=why)

    def withhold(self, session: Session, release_id: str, *, by: str, why: str = "") -> Release:
        """Keep a release back for good, in the caller's transaction; `by` is the curator's name or key."""
        return self._move(session, release_id, ReleaseState.WITHHELD, act="release.withhold", by=by, why=why)

    # -- sending ---------------------------------------------------------------------------------------------------

    def send(self, release_id: str) -> dict[str, Any]:
        """Send a staged release, resuming where a broken upload stopped, and return the hub's answer.

        Sending what has been sent does nothing.

        Raises:
            ReleaseStateError: if it is held or withheld.
            NodeSuspendedHere: if the node is suspended; the release stays in the outbox.
            DecisionUntrusted: if it is a record that had to wait, and no person let it go.
            ReleaseConflict: if the hub has other bytes for this job, round, node and output.
            HubUnreachable: if the hub does not answer; the release stays in the outbox.
        """
        client = self._connected()
        release, head = self._begin(release_id)
        if release.state is ReleaseState.SENT:
            return {"state": "complete"}
        self._check_goes_on(release)
        if release.door_class is DoorClass.RECORD:
            with reading(self._node.engine) as session:
                check_record_let_go(session, self._node, release)
        path = stored(self._node.outbox_path, release.digest)
        first_time = release_id in self._never_sent
        self._never_sent.discard(release_id)
        try:
            chunk = self._node.settings.jobs_chunk_bytes
            answer = upload(
                client,
                release,
                path,
                chunk_bytes=chunk,
                first_time=first_time,
                audit_head=head,
                # Whoever pauses the node, or takes an approval back, stops a long upload too.
                goes_on=partial(self._check_goes_on, release),
            )
        except FairbankError as err:
            self._failed(release_id, err)
            raise
        self._complete(release)
        return answer

    def send_pending(self) -> list[Sending]:
        """Send everything that is ready, oldest first; an unreachable hub ends the round, other errors do not."""
        done: list[Sending] = []
        for release in self.pending():
            try:
                self.send(release.id)
            except (HubUnreachable, NotEnrolled) as err:
                done.append(Sending(release, err))
                break
            except FairbankError as err:
                done.append(Sending(release, err))
                continue
            done.append(Sending(self.release(release.id), None))
        return done

    def pending(self, *, state: ReleaseState = ReleaseState.READY) -> list[Release]:
        """Return the releases in a state, oldest first."""
        with reading(self._node.engine) as session:
            return [release_of(row) for row in session.scalars(_IN_STATE, {"state": state.value})]

    def release(self, release_id: str) -> Release:
        """Return one release.

        Raises:
            UnknownRelease: if there is none of this id.
        """
        with reading(self._node.engine) as session:
            return release_of(_row(session, release_id))

    # -- inside ----------------------------------------------------------------------------------------------------

    def _policy(self, published: tuple[DatasetRecord, ...]) -> Policy:
        settings = self._node.settings
        return Policy(
            node=self._node.name,
            key_id=self._node.key.key_id,
            k=settings.release_minimum_count,
            maximum_bytes=settings.release_maximum_bytes,
            rounding_base=settings.release_rounding_base,
            interval_days=settings.release_publication_interval_days,
            published=published,
            earlier_keys=self._node.earlier_keys,
            dominance=dominance_of(settings),
        )

    def _beside_earlier_sums(self, session: Session, sums: Sums, verdict: Verdict) -> Verdict:
        settings = self._node.settings
        reasons = told_sums.judge(
            session,
            sums,
            k=settings.release_minimum_count,
            base=settings.release_rounding_base,
            most=settings.release_sums_a_month,
            at=self._node.clock.now(),
        )
        return Verdict(tuple(reasons), (*verdict.checks, "earlier sums"))

    def _awaits(self, candidate: Candidate, before: list[tuple[Release, DatasetRecord]]) -> bool:
        """Tell whether a record waits for the curator."""
        if candidate.door_class is not DoorClass.RECORD:
            return False
        approved = any(release.state is not ReleaseState.HELD for release, _ in before)
        return not approved or self._node.settings.release_automatic_approval != "record"

    def _check_goes_on(self, release: Release) -> None:
        with reading(self._node.engine) as session:
            check_not_suspended(session)
            if release.job is not None and self._may_leave is not None:
                self._may_leave(session, release)

    def _connected(self) -> HubClient:
        if self._client is None:
            raise NotEnrolled(
                "This outbox has no connection, so nothing can be sent.",
                why="The node is rehearsing, or has not enrolled with a hub.",
                todo="Run 'fairbank node enrol' with the token of the hub's administrator.",
            )
        return self._client

    def _find(self, session: Session, candidate: Candidate, round_: int) -> ReleaseRow | None:
        place = {
            "job": candidate.job or "",
            "round": round_,
            "site": self._node.name,
            "output": candidate.output,
        }
        return session.scalar(_IN_PLACE, place)

    def _same(self, found: ReleaseRow, digest: Digest) -> Release:
        if digest == (found.plain_digest or found.digest):
            return release_of(found)
        raise ReleaseConflict(
            f"Other bytes have been staged as {found.output!r} of this job and round.",
            why="A release is unique per job, round, site and output, so that nothing is released twice.",
            todo="Send what is staged, or start a new job.",
        )

    def _debit(self, session: Session, row: ReleaseRow, state: EntryState, reasons: tuple[str, ...]) -> None:
        enrolment = self._node.enrolment
        session.add(
            LedgerRow(
                release=row.id,
                door_class=row.door_class,
                name=row.output,
                job=row.job,
                round=row.round,
                destination=enrolment.hub_url if enrolment else "",
                media_type=row.media_type,
                digest=row.digest,
                size_bytes=row.size_bytes,
                body=None,
                state=state.value,
                reasons=list(reasons),
                noted=row.staged,
                left=None,
            )
        )

    def _log(self, session: Session, act: str, release: Release, *, actor: str, why: str = "") -> None:
        audit.record(
            session,
            NodeAudit,
            clock=self._node.clock,
            actor=actor,
            act=act,
            target=release.digest,
            detail={
                "release": release.id,
                "class": release.door_class.value,
                "output": release.output,
                "job": release.job or "",
                "round": release.round,
                "bytes": release.size_bytes,
                **({"why": why} if why else {}),
            },
        )

    def _move(
        self, session: Session, release_id: str, to: ReleaseState, *, act: str, by: str, why: str
    ) -> Release:
        row = _row(session, release_id)
        here = ReleaseState(row.state)
        if to not in MOVES[here]:
            raise ReleaseStateError(
                f"This release is {here.value}, so it cannot become {to.value}.",
                why="What has left cannot be called back, and what was kept back stays so.",
                todo="Look at it with 'fairbank node outbox list'.",
            )
        row.state = to.value
        if to is ReleaseState.WITHHELD:
            entry = session.scalars(_ENTRY_OF, {"release": release_id}).one()
            entry.state = EntryState.WITHHELD.value
        release = release_of(row)
        self._log(session, act, release, actor=by, why=why)
        self._announce(session, f"release.{to.value}", release)
        return release

    def _announce(self, session: Session, kind: str, release: Release) -> None:
        detail = {
            "class": release.door_class.value,
            "job": release.job or "",
            "round": release.round,
            "output": release.output,
            "digest": release.digest,
        }
        events.append(
            session, NodeEvent, clock=self._node.clock, kind=kind, subject=release.id, detail=detail
        )

    def _begin(self, release_id: str) -> tuple[Release, audit.Head]:
        with reading(self._node.engine) as session:
            found = session.connection().execute(_STANDING, {"of": release_id}).first()
            head = audit.head(session, NodeAudit)
        if found is None:
            raise _unknown()
        release = release_of(found)
        if release.state not in (ReleaseState.READY, ReleaseState.SENT):
            raise ReleaseStateError(
                f"This release is {release.state.value}, so it is not sent.",
                why="The curator has not approved it, or keeps it back.",
                todo="Look at it with 'fairbank node outbox show'.",
            )
        return release, head

    def _mark_sent(self, seq: int, sent: Callable[[Session], None] | None = None) -> None:
        # That it leaves is on the disk already; after a power cut the line may still say that it waits for an answer.
        with writing(self._node.engine, lasting=False) as session:
            ledger.mark_sent(session, seq, clock=self._node.clock)
            if sent is not None:
                sent(session)

    def _complete(self, release: Release) -> None:
        now = self._node.clock.now()
        # After a power cut it may be sent again, the same bytes; the hub then says that it has them.
        with writing(self._node.engine, lasting=False) as session:
            connection = session.connection()
            done = {"of": release.id, "state": ReleaseState.SENT.value, "sent": now, "problem": None}
            if connection.execute(_SENT, done).rowcount == 0:
                return
            entry = {"of": release.id, "state": EntryState.SENT.value, "left": now}
            connection.execute(_LEFT, {**entry, "destination": self._connected().base_url})
            self._log(session, "release.send", release, actor=self._node.key.key_id)
            self._announce(session, "release.sent", release)

    def _failed(self, release_id: str, err: FairbankError) -> None:
        with writing(self._node.engine) as session:
            row = _row(session, release_id)
            row.attempts += 1
            row.problem = err.remote_code if isinstance(err, RemoteError) else err.code


def _row(session: Session, release_id: str) -> ReleaseRow:
    row = session.get(ReleaseRow, release_id)
    if row is None:
        raise _unknown()
    return row


def _unknown() -> UnknownRelease:
    return UnknownRelease(
        "There is no release of this id in the outbox.",
        why="Nothing was staged under it at this node.",
        todo="List what is there with 'fairbank node outbox list'.",
    )


def _refused(name: str, verdict: Verdict, *, kept: Path | None = None) -> GateRefused:
    return GateRefused(
        f"The release gate does not let {name!r} leave.",
        verdict=verdict,
        kept=kept,
        why=" ".join(verdict.reasons),
        todo="Nothing was sent. Correct what made the output, or ask for more subjects.",
    )
