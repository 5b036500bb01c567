"""The last steps of a granted leg that need more than the table: countersigning its agreement, and completing it."""

from __future__ import annotations

from sqlalchemy import select

from fairbank import audit, events
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import NotAllowed
from fairbank.catalogue.governance import agreements, closing, legs, permitted
from fairbank.catalogue.governance.agreements import Countersignature
from fairbank.catalogue.governance.parts import parts_of
from fairbank.catalogue.governance.store import AgreementRow, AttachmentRow, LegRow
from fairbank.catalogue.governance.workflow import LegState, Part
from fairbank.database import writing


def countersign(hub: Hub, who: Account, request_id: str, wanted: Countersignature) -> LegRow:
    """Countersign the agreement of a leg, by the digest of a document of the request; the leg then becomes active.

    Raises:
        RequestNotFound: if she has no part in the request, or it has no such leg.
        NotAllowed: if the terms name somebody else, or it is her own request.
        AgreementRefused: if none is due, or the digest is of no document of this request.
    """
    with writing(hub.engine) as session:
        row, _ = permitted.request_seen(session, who, request_id)
        leg = permitted.leg_of(session, row, wanted.leg)
        agreement, parts = agreements.required(leg), parts_of(session, who, row, leg)
        if (
            agreement is None
            or (leg.pending_state or leg.state) != LegState.CONDITIONS_ACCEPTED.value
            or not agreements.due(session, leg)
        ):
            raise agreements.refused("No agreement about this dataset waits to be countersigned.")
        if agreement.countersigner != who.name or row.account == who.name:
            raise NotAllowed(
                "The agreement is not yours to countersign.",
                why="The terms name who checks it, and nobody countersigns for her own request.",
                todo=f"Leave it to {agreement.countersigner}.",
            )
        if session.get(AttachmentRow, (row.id, wanted.digest)) is None:
            raise agreements.refused("The request has no document of this digest.")
        version = agreements.version(leg)
        kept = session.get(AgreementRow, (leg.id, version)) or AgreementRow(leg=leg.id, version=version)
        kept.countersigner = who.name
        # The table and its guards first, while the agreement is still due.
        legs.give(hub, session, leg, "countersign", actor=who.name, parts=parts | {Part.COUNTERSIGNER})
        kept.digest, kept.countersigned = wanted.digest, hub.clock.now()
        session.add(kept)
        session.flush()
        detail = {"request": row.id, "digest": wanted.digest}
        audit.record(
            session, audit.HubAudit, clock=hub.clock, actor=who.name, act="agreement.countersign", target=leg.id,
            detail=detail,
        )  # fmt: skip
        events.append(
            session,
            events.HubEvent,
            clock=hub.clock,
            kind="agreement.countersigned",
            subject=leg.id,
            detail=detail,
        )
        legs.settle(hub, session, leg)
    hub.notifier.notify()
    return leg


def complete(hub: Hub, who: Account, request_id: str) -> list[tuple[str, str]]:
    """Complete every leg of a request that can be, and return each such dataset with its state.

    Raises:
        RequestNotFound: if she has no part in the request.
        ClosingReportRefused: if there is no report yet, or no leg that can be completed.
    """
    with writing(hub.engine) as session:
        row, parts = permitted.request_seen(session, who, request_id)
        if Part.REQUESTER not in parts:
            raise closing.refused("Only who asked for access can say that she is done.")
        if not closing.reported(session, row):
            raise closing.refused("There is no closing report yet.")
        done = []
        open_ones = select(LegRow).where(
            LegRow.request == row.id, LegRow.state.in_((LegState.ACTIVE.value, LegState.EXPIRED.value))
        )
        for leg in list(session.scalars(open_ones.order_by(LegRow.dataset))):
            moved = legs.give(
                hub, session, leg, "complete", actor=who.name, parts=parts_of(session, who, row, leg)
            )
            done.append((moved.dataset, moved.state))
            # The last one closes the request.
            legs.settle(hub, session, moved)
        if not done:
            raise closing.refused("None of its datasets is granted or expired.")
    hub.notifier.notify()
    return done
