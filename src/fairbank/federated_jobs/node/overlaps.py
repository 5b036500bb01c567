"""Overlaps with another site: a person at each lets a blinded set leave, once; both sites get the same count.

What each step holds is in `overlaps/messages.py`, what may be told of a count in `overlaps/telling.py`.
"""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.clock import iso, parse_iso
from fairbank.database import reading, writing
from fairbank.errors import FairbankError, Kind, RemoteError
from fairbank.federated_jobs.manifest import dataset_iri
from fairbank.federated_jobs.node import overlap_secrets
from fairbank.federated_jobs.node.cohort import CohortSource, harvest_index
from fairbank.federated_jobs.node.judging import enrolment_of
from fairbank.federated_jobs.node.peers import pinned
from fairbank.federated_jobs.node.store import OverlapHereRow
from fairbank.federated_jobs.overlaps.errors import (
    OverlapMessageRefused,
    OverlapNotFound,
    OverlapRefused,
    unusable,
)
from fairbank.federated_jobs.overlaps.identifiers import blinded, items_of
from fairbank.federated_jobs.overlaps.messages import (
    ASKED,
    REQUESTED,
    RESPONDED,
    TOLD,
    OverlapAsk,
    OverlapAskReport,
    OverlapCall,
    OverlapClaim,
    Overlaps,
    OverlapStep,
)
from fairbank.federated_jobs.overlaps.telling import FEWEST, tellable
from fairbank.federated_jobs.training_errors import ParcelRefused
from fairbank.ontology.counts import Count, CountKind
from fairbank.ontology.signed_objects import Selector
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox
from fairbank.release.people import Signer
from fairbank.release.person_decisions import Act, decide
from fairbank.release.rounding import smallest_count
from fairbank.release.suspension import check_not_suspended
from fairbank.signing import sha256_digest

log = logging.getLogger(__name__)

ANSWER_WITHIN: Final = timedelta(days=29)
_PEPPER_BYTES: Final = 32


class OverlapState(StrEnum):
    """Where an overlap stands at this site."""

    ASKED = "asked"
    DECIDE = "decide"
    SENT = "sent"
    DONE = "done"
    DECLINED = "declined"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class OverlapDesk:
    """Counts overlaps for one node.

    Attributes:
        source: says which subjects of a dataset may be used now.
    """

    node: Node
    outbox: Outbox
    source: CohortSource = harvest_index

    def ask(
        self, peer: str, *, dataset: str, peer_dataset: str, project: str, by: str, signer: Signer | None
    ) -> str:
        """Ask another site, as a person of this one, and return the id of the overlap.

        Raises:
            OverlapRefused: if the peer is not pinned, the dataset is too small, or this was counted before.
            PersonNeeded: if persons are named here and none signs.
        """
        from fairbank.federated_jobs.parcels import new_key, public_key

        node, now = self.node, self.node.clock.now()
        base = enrolment_of(node).public_base_iri
        private = new_key()
        said = OverlapAsk(
            id=node.clock.new_id(),
            asker=node.name,
            answerer=peer,
            own=_digest(dataset_iri(base, node.name, dataset)),
            other=_digest(dataset_iri(base, peer, peer_dataset)),
            project=_digest(project),
            key=public_key(private),
            created=iso(now),
            expires=iso(now + ANSWER_WITHIN),
        )
        envelope = said.seal(node.key)
        with writing(node.engine) as session:
            check_not_suspended(session)
            self._pin(session, peer)
            self._subjects(session, dataset)
            _refuse_again(session, said)
            overlap_secrets.keep(node, said.id, {"sealing": private.hex()})
            self._decided(session, Act.OVERLAP_ASK, said.id, envelope, by=by, signer=signer)
            row = _row(said, envelope, node, OverlapState.ASKED, dataset=dataset)
            row.decided, row.decided_by = now, by
            session.add(row)
        self._tell_ask(said, envelope)
        return said.id

    def answer(
        self, overlap: str, identifiers: Mapping[str, str], *, dataset: str, project: str, by: str,
        signer: Signer | None,
    ) -> int:  # fmt: skip
        """Let this site's blinded set leave, as a person of it; return how many subjects are in it.

        Args:
            identifiers: the identifier of each subject, by pseudonym; those who may not be used now are left out.
            dataset, project: what the person means; they have to be what was asked.

        Raises:
            OverlapRefused: if it is not this site's turn, another was asked, or too few subjects can be counted.
            OverlapMessageRefused: if what the peer sent cannot be used.
            PersonNeeded: if persons are named here and none signs.
        """
        from fairbank.federated_jobs.overlaps.intersecting import MOST_ITEMS, require_library

        require_library()
        node = self.node
        with writing(node.engine) as session:
            check_not_suspended(session)
            row = _found(session, overlap)
            said = OverlapAsk.open(row.envelope, trusted=None)[0]
            _check_turn(row, said, node, dataset=dataset, project=project)
            pin = self._pin(session, row.peer)
            _refuse_again(session, said, but=overlap)
            items = items_of(identifiers, self._subjects(session, dataset))
            if not self._smallest() <= len(items) <= MOST_ITEMS:
                raise _refused(
                    f"A set has at least {self._smallest()} and at most {MOST_ITEMS} subjects whose identifier is "
                    "in the table and whose images may be used now."
                )
            parcel = (
                self._responding(row, said, items, pin) if row.asked_here else self._requesting(said, items)
            )
            self._decided(session, Act.OVERLAP_ANSWER, overlap, row.envelope, by=by, signer=signer)
            row.dataset, row.items, row.run = dataset, len(items), True
            row.outgoing, row.step = parcel, RESPONDED if row.asked_here else REQUESTED
            row.incoming, row.state = None, OverlapState.SENT.value
            row.decided, row.decided_by = node.clock.now(), by
            told = len(items)
        self.tell()
        return told

    def decline(self, overlap: str, *, by: str, signer: Signer | None) -> None:
        """Say no, as a person of this site; nothing of its set leaves.

        Raises:
            OverlapRefused: if it is over already.
            PersonNeeded: if persons are named here and none signs.
        """
        with writing(self.node.engine) as session:
            row = _found(session, overlap)
            if row.state not in (OverlapState.ASKED.value, OverlapState.DECIDE.value):
                raise _refused("It waits for nobody here.")
            self._decided(session, Act.OVERLAP_DECLINE, overlap, row.envelope, by=by, signer=signer)
            row.state, row.outgoing = OverlapState.DECLINED.value, ""
            row.decided, row.decided_by = self.node.clock.now(), by
        overlap_secrets.forget(self.node, overlap)
        self.tell()

    def poll(self) -> None:
        """Tell what the hub does not know yet, fetch what peers sent, and work out what needs nobody's word.

        Raises:
            HubUnreachable: if the hub does not answer.
            OverlapNotFound: if the hub is of a version that knows none.
            NodeSuspendedHere: if the site's people have suspended the node.
        """
        with reading(self.node.engine) as session:
            check_not_suspended(session)
        self._expire()
        self.tell()
        path = f"/v1/nodes/{self.node.name}/overlaps"
        try:
            response = self.outbox.ask("POST", path, OverlapClaim())
        except RemoteError as err:
            if err.status != Kind.NOT_FOUND.http_status:
                raise
            raise _old_hub() from err
        for call in Overlaps.parse(response.content).overlaps:
            try:
                self._take(call)
            except FairbankError as err:
                log.warning("an overlap cannot be gone on with: %s", err.code)
        self.tell()

    def tell(self) -> None:
        """Hand the hub the messages that it has not taken yet."""
        with reading(self.node.engine) as session:
            rows = list(session.scalars(select(OverlapHereRow).where(OverlapHereRow.outgoing.is_not(None))))
        for row in rows:
            message = OverlapStep(declined=True) if row.outgoing == "" else OverlapStep(
                step=row.step, parcel=row.outgoing
            )  # fmt: skip
            try:
                self.outbox.control("POST", f"/v1/nodes/{self.node.name}/overlaps/{row.id}/steps", message)
            except RemoteError as err:
                log.warning("the hub does not take a message of an overlap: %s", err.remote_code)
                if err.status is None or err.status >= 500:
                    raise
            with writing(self.node.engine) as session:
                session.get_one(OverlapHereRow, row.id).outgoing = None

    # -- what comes --------------------------------------------------------------------------------------------------

    def _take(self, call: OverlapCall) -> None:
        said = OverlapAsk.open(call.ask.encode(), trusted=None)[0]
        with writing(self.node.engine) as session:
            row = session.get(OverlapHereRow, said.id)
            if row is None:
                self._receive(session, call, said)
            elif call.declined and row.state in _OPEN:
                row.state = OverlapState.DECLINED.value
                overlap_secrets.forget(self.node, row.id)
            elif call.parcel is not None and _is_next(row, call):
                self._go_on(session, row, call.step, call.parcel)

    def _expire(self) -> None:
        """End what nobody went on with in time, also where the hub has forgotten it."""
        with writing(self.node.engine) as session:
            for row in session.scalars(select(OverlapHereRow).where(OverlapHereRow.state.in_(_OPEN))):
                said = OverlapAsk.open(row.envelope, trusted=None)[0]
                if self.node.clock.now() >= parse_iso(said.expires):
                    row.state, row.outgoing = OverlapState.FAILED.value, None
                    overlap_secrets.forget(self.node, row.id)

    def _receive(self, session: Session, call: OverlapCall, said: OverlapAsk) -> None:
        if (
            said.answerer != self.node.name
            or call.declined
            or self.node.clock.now() >= parse_iso(said.expires)
        ):
            return
        envelope = call.ask.encode()
        # Only a peer that people here have pinned can ask them anything.
        OverlapAsk.open(envelope, trusted=[self._pin(session, said.asker)])
        session.add(_row(said, envelope, self.node, OverlapState.DECIDE, dataset=None))
        audit.record(
            session,
            audit.NodeAudit,
            clock=self.node.clock,
            actor=said.asker,
            act="overlap.receive",
            target=said.id,
            detail={"ask": sha256_digest(envelope)},
        )

    def _go_on(self, session: Session, row: OverlapHereRow, step: int, parcel: str) -> None:
        if step == REQUESTED:
            row.incoming, row.state = parcel, OverlapState.DECIDE.value
            return
        try:
            pin = self._pin(session, row.peer)
            if step == RESPONDED:
                self._count(row, parcel, pin)
            else:
                told = Count.model_validate(self._opened(row, step, parcel, pin)["count"])
                if told.value is not None and told.value < self._smallest():
                    raise unusable("The peer told a count that is too small to be told.")
                _settle(row, told)
        except (OverlapMessageRefused, KeyError, TypeError, ValueError) as err:
            # A set has left: it is over, and is not begun again.
            log.warning("an overlap has failed: %s", type(err).__name__)
            row.state = OverlapState.FAILED.value
        else:
            self._audit_told(session, row)
        overlap_secrets.forget(self.node, row.id)

    def _count(self, row: OverlapHereRow, parcel: str, pin: str) -> None:
        from fairbank.federated_jobs.overlaps.intersecting import size

        told, kept = self._opened(row, RESPONDED, parcel, pin), overlap_secrets.kept(self.node, row.id)
        found = size(bytes.fromhex(kept["psi"]), _raw(told["setup"]), _raw(told["response"]))
        k, base = max(self._k(), int(told["k"])), max(self._base(), int(told["base"]))
        count = tellable(found, row.items or 0, int(told["items"]), k=k, base=base)
        _settle(row, count)
        content = {"count": count.model_dump(mode="json", exclude_none=True)}
        said = OverlapAsk.open(row.envelope, trusted=None)[0]
        row.outgoing, row.step = self._sealed(row.id, TOLD, row.peer, said.key, content), TOLD

    # -- what leaves -------------------------------------------------------------------------------------------------

    def _requesting(self, said: OverlapAsk, items: frozenset[str]) -> str:
        """Return the second message: this site answers, draws the pepper, and sends its blinded set."""
        from fairbank.federated_jobs.overlaps.intersecting import request
        from fairbank.federated_jobs.parcels import new_key, public_key

        pepper, private = os.urandom(_PEPPER_BYTES), new_key()
        secret, asked = request(blinded(items, pepper))
        overlap_secrets.keep(self.node, said.id, {"sealing": private.hex(), "psi": secret.hex()})
        content = {
            "key": public_key(private),
            "pepper": pepper.hex(),
            "items": len(items),
            "request": base64.b64encode(asked).decode(),
        }
        return self._sealed(said.id, REQUESTED, said.asker, said.key, content)

    def _responding(self, row: OverlapHereRow, said: OverlapAsk, items: frozenset[str], pin: str) -> str:
        """Return the third message: this site asked, and answers the other's set with its own."""
        from fairbank.federated_jobs.overlaps.intersecting import respond

        assert row.incoming is not None
        told = self._opened(row, REQUESTED, row.incoming, pin)
        try:
            pepper, of, to = bytes.fromhex(told["pepper"]), int(told["items"]), str(told["key"])
            if len(pepper) != _PEPPER_BYTES:
                raise ValueError("a pepper has 32 bytes")
            setup, response = respond(blinded(items, pepper), _raw(told["request"]), of=of)
        except (KeyError, TypeError, ValueError) as err:
            raise unusable("It is not what the step asks for.") from err
        content = {
            "setup": base64.b64encode(setup).decode(),
            "response": base64.b64encode(response).decode(),
            "items": len(items),
            "k": self._k(),
            "base": self._base(),
        }
        return self._sealed(said.id, RESPONDED, row.peer, to, content)

    def _sealed(self, overlap: str, step: int, peer: str, to: str, content: Mapping[str, Any]) -> str:
        from fairbank.federated_jobs.parcels import Address
        from fairbank.federated_jobs.small_parcels import seal_text

        return seal_text(
            json.dumps(content).encode(),
            address=Address(overlap, step, self.node.name),
            recipients={peer: to},
            key=self.node.key,
            scratch=overlap_secrets.folder(self.node),
        )

    def _opened(self, row: OverlapHereRow, step: int, parcel: str, pin: str) -> dict[str, Any]:
        from fairbank.federated_jobs.parcels import Address
        from fairbank.federated_jobs.small_parcels import open_text

        try:
            content = json.loads(
                open_text(
                    parcel,
                    address=Address(row.id, step, row.peer),
                    node=self.node.name,
                    private=bytes.fromhex(overlap_secrets.kept(self.node, row.id)["sealing"]),
                    trusted=[pin],
                    scratch=overlap_secrets.folder(self.node),
                )
            )
        except ParcelRefused as err:
            raise unusable(f"Its seal does not hold: {err.fault.value}.") from err
        except (ValueError, RecursionError) as err:
            raise unusable("It is not what the step asks for.") from err
        if not isinstance(content, dict):
            raise unusable("It is not what the step asks for.")
        return content

    def _tell_ask(self, said: OverlapAsk, envelope: bytes) -> None:
        signed = json.loads(envelope)["signatures"][0]
        report = OverlapAskReport(
            id=said.id,
            own=said.own,
            other=said.other,
            project=said.project,
            key=said.key,
            created=said.created,
            expires=said.expires,
            signer=signed["keyid"],
            signature=signed["sig"],
        )
        path = f"/v1/nodes/{self.node.name}/overlaps/with/{said.answerer}"
        try:
            self.outbox.control("POST", path, report)
        except FairbankError as err:
            # Nothing of a set has left: what was not asked can be asked again.
            with writing(self.node.engine) as session:
                session.delete(session.get_one(OverlapHereRow, said.id))
            overlap_secrets.forget(self.node, said.id)
            if isinstance(err, RemoteError) and err.status == Kind.NOT_FOUND.http_status:
                raise _old_hub() from err
            raise

    # -- what is asked of the site -----------------------------------------------------------------------------------

    def _pin(self, session: Session, peer: str) -> str:
        """Return the identity key of a peer that the site's people have pinned: a hub could put in its own."""
        pins = pinned(session, self.node) or {}
        if peer not in pins:
            raise OverlapRefused(
                f"This site has not pinned the key of the node {peer!r}.",
                why="A hub that named a key of its own could take part in the peer's place.",
                todo="Let the peer's people tell you their node's key, and pin it: [[peer]] in the policy file.",
            )
        return pins[peer]

    def _subjects(self, session: Session, dataset: str) -> frozenset[str]:
        """Return the subjects of a dataset who may be used now."""
        found = self.source(session, dataset, Selector(), at=self.node.clock.now())
        subjects = frozenset(one.subject for one in found)
        if len(subjects) < self._smallest():
            raise _refused(
                "The dataset here has too few subjects who may be used now, or there is none of this name."
            )
        return subjects

    def _k(self) -> int:
        return max(FEWEST, self.node.settings.release_minimum_count)

    def _base(self) -> int:
        return max(1, self.node.settings.release_rounding_base)

    def _smallest(self) -> int:
        return smallest_count(self._k(), self._base())

    def _decided(
        self, session: Session, act: Act, overlap: str, envelope: bytes, *, by: str, signer: Signer | None
    ) -> None:
        detail = {"ask": sha256_digest(envelope)}
        decide(session, self.node, act, overlap, detail, signer=signer)
        audit.record(
            session,
            audit.NodeAudit,
            clock=self.node.clock,
            actor=by,
            act=act.value,
            target=overlap,
            detail=detail,
        )

    def _audit_told(self, session: Session, row: OverlapHereRow) -> None:
        audit.record(
            session,
            audit.NodeAudit,
            clock=self.node.clock,
            actor=self.node.name,
            act="overlap.tell",
            target=row.id,
            detail={"exact": row.kind == CountKind.EXACT.value},
        )


def overlaps_here(node: Node) -> list[OverlapHereRow]:
    """Return the overlaps that this site asked for or was asked about, newest first."""
    with reading(node.engine) as session:
        return list(session.scalars(select(OverlapHereRow).order_by(OverlapHereRow.received.desc())))


def go_on(node: Node, outbox: Outbox, source: CohortSource) -> None:
    """Fetch what the other sites of overlaps sent, where one waits for that; errors are those of `poll`."""
    with reading(node.engine) as session:
        waits = session.scalar(select(func.count()).where(OverlapHereRow.state.in_(_OPEN)))
    if waits:
        OverlapDesk(node, outbox, source).poll()


def count_of(row: OverlapHereRow) -> Count | None:
    """Return what came of an overlap; None while nothing has."""
    if row.kind is None:
        return None
    return Count(kind=CountKind(row.kind), value=row.value, k=row.k)


_OPEN: Final = (OverlapState.ASKED.value, OverlapState.DECIDE.value, OverlapState.SENT.value)


def _is_next(row: OverlapHereRow, call: OverlapCall) -> bool:
    if row.asked_here:
        state = {REQUESTED: OverlapState.ASKED, TOLD: OverlapState.SENT}.get(call.step)
    else:
        state = {RESPONDED: OverlapState.SENT}.get(call.step)
    return state is not None and row.state == state.value


def _check_turn(row: OverlapHereRow, said: OverlapAsk, node: Node, *, dataset: str, project: str) -> None:
    if row.state != OverlapState.DECIDE.value:
        raise _refused("It is not this site's turn.")
    if node.clock.now() >= parse_iso(said.expires):
        raise _refused("It was to be answered before now.")
    asked = said.own if row.asked_here else said.other
    base = enrolment_of(node).public_base_iri
    if asked != _digest(dataset_iri(base, node.name, dataset)):
        raise _refused("Another dataset of this site was asked about.")
    if said.project != _digest(project):
        raise _refused("It was asked for another project.")


def _refuse_again(session: Session, said: OverlapAsk, *, but: str = "") -> None:
    """Refuse what would be a second run for the same datasets and project, whoever asked for the first."""
    pair = [said.own, said.other]
    rows = session.scalars(
        select(OverlapHereRow).where(
            OverlapHereRow.id != but,
            OverlapHereRow.project == said.project,
            OverlapHereRow.own.in_(pair),
            OverlapHereRow.other.in_(pair),
            or_(OverlapHereRow.run.is_(True), OverlapHereRow.state.in_(_OPEN)),
        )
    ).all()
    if rows and (not but or any(row.run for row in rows)):
        raise _refused("These two datasets were counted for this project, or are being counted.")


def _settle(row: OverlapHereRow, count: Count) -> None:
    row.kind, row.value, row.k = count.kind.value, count.value, count.k
    row.state = OverlapState.DONE.value


def _row(
    said: OverlapAsk, envelope: bytes, node: Node, state: OverlapState, *, dataset: str | None
) -> OverlapHereRow:
    asked_here = said.asker == node.name
    return OverlapHereRow(
        id=said.id,
        asked_here=asked_here,
        peer=said.answerer if asked_here else said.asker,
        dataset=dataset,
        own=said.own,
        other=said.other,
        project=said.project,
        envelope=envelope,
        state=state.value,
        step=ASKED,
        received=node.clock.now(),
    )


def _found(session: Session, overlap: str) -> OverlapHereRow:
    row = session.get(OverlapHereRow, overlap)
    if row is None:
        raise OverlapNotFound(
            "This node knows no such overlap.",
            why="It is between two other nodes, or was not fetched yet.",
            todo="See 'fairbank node overlap list'.",
        )
    return row


def _digest(text: str) -> str:
    return sha256_digest(text.encode())


def _raw(text: Any) -> bytes:
    return base64.b64decode(text, validate=True)


def _refused(why: str) -> OverlapRefused:
    return OverlapRefused("This overlap is not counted.", why=why, todo="See 'fairbank node overlap list'.")


def _old_hub() -> OverlapNotFound:
    return OverlapNotFound(
        "The hub knows no such node, or no overlaps at all.",
        why="The name is wrong, or the hub is of an earlier version.",
        todo="See 'fairbank hub nodes list' at the hub, or ask its administrator to upgrade it.",
    )
