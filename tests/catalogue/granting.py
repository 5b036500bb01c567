"""Takes requests to where a test needs them: committees by rows, proposals and votes as the routes make them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from fairbank.catalogue import accounts
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import legs, requests
from fairbank.catalogue.governance.parts import parts_of
from fairbank.catalogue.governance.store import (
    CommitteeRow,
    LegRow,
    MemberRow,
    ProposalRow,
    RequestRow,
    ScopeRow,
    VersionRow,
    VoteRow,
)
from fairbank.catalogue.governance.terms import Terms
from fairbank.catalogue.store import AccountRow
from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Purpose, Request
from fairbank.signing import SigningKey

DAYS_ASKED, DAYS_GRANTED = 90, 30


class Someone:
    """An account with a key, made without logging in."""

    def __init__(self, hub: Hub, name: str, *roles: Role, organisation: str = "") -> None:
        self.key = SigningKey.generate()
        with writing(hub.engine) as session:
            accounts.create_account(
                session,
                hub,
                name=name,
                password="correct horse battery",
                roles=roles,
                organisation=organisation or f"House of {name}",
            )
            session.get_one(AccountRow, name).key_id = self.key.key_id
        self.name = name


def a_committee(
    hub: Hub,
    nodes: Iterable[str],
    members: Sequence[str],
    *,
    quorum: int = 1,
    four_eyes: bool = False,
    stage: str = "data",
    dataset: str = "",
) -> str:
    """Set up a committee over whole nodes, or one dataset; its first member presides. Return its id."""
    now = hub.clock.now()
    with writing(hub.engine) as session:
        row = CommitteeRow(
            id=hub.clock.new_id(),
            title=f"{stage} committee",
            stage=stage,
            quorum=quorum,
            four_eyes=four_eyes,
            due_days=14,
            remind_days=[],
            created=now,
        )
        session.add(row)
        session.flush()
        session.add_all(ScopeRow(committee=row.id, node=node, dataset=dataset) for node in nodes)
        for place, name in enumerate(members):
            session.add(
                MemberRow(id=hub.clock.new_id(), committee=row.id, account=name, chair=place == 0, since=now)
            )
        return row.id


def a_request(hub: Hub, who: Any, datasets: Sequence[str], **changes: Any) -> Request:
    """Return a request, ready to be sealed with the key of `who`."""
    now = hub.clock.now()
    given: dict[str, Any] = {
        "id": hub.clock.new_id(),
        "requester_key": who.key.key_id,
        "requester_account": who.name,
        "organisation": "University",
        "title": "Nodules",
        "datasets": tuple(datasets),
        "purpose": Purpose(data_use=("DUO:0000006",), statement="Nodule detection."),
        "output_classes": (OutputClass.MEASUREMENTS,),
        "until": iso(now + timedelta(days=DAYS_ASKED)),
        "created": iso(now),
    }
    return Request(**(given | changes))


def the_next(hub: Hub, request_id: str, **changes: Any) -> Request:
    """Return the version of a request after its newest one."""
    with reading(hub.engine) as session:
        row = session.get_one(RequestRow, request_id)
        newest = session.get_one(VersionRow, (request_id, row.version))
        before, _ = Request.open(newest.envelope, trusted=None)
        own: dict[str, Any] = {
            "version": row.version + 1,
            "amends": newest.digest,
            "created": iso(hub.clock.now()),
        }
    return Request(**({key: getattr(before, key) for key in Request.model_fields} | own | changes))


def account_of(hub: Hub, who: Any) -> Account:
    """Return the account of somebody by her name."""
    with reading(hub.engine) as session:
        return next(each for each in accounts.accounts(session) if each.name == who.name)


def submit(hub: Hub, who: Any, request: Request) -> str:
    """Seal and submit a version; return the id of the request."""
    return requests.submit(hub, account_of(hub, who), request.seal(who.key)).id


def propose_and_vote(hub: Hub, account: Account, leg_id: str, word: str = "approve", **terms: Any) -> None:
    """Propose terms if there are none yet, vote, and let the hub do what follows."""
    with writing(hub.engine) as session:
        leg = session.get_one(LegRow, leg_id)
        request = session.get_one(RequestRow, leg.request)
        parts = parts_of(session, account, request, leg)
        now = hub.clock.now()
        if leg.proposal is None:
            until = iso(now + timedelta(days=DAYS_GRANTED))
            legs.give(hub, session, leg, "propose", actor=account.name, parts=parts)
            proposal = ProposalRow(
                id=hub.clock.new_id(),
                leg=leg.id,
                stage=leg.stage,
                version=legs.review_version(leg),
                terms=Terms(**({"until": until} | terms)).model_dump(mode="json"),
                made_by=account.name,
                at=now,
            )
            session.add(proposal)
            session.flush()
            leg.proposal = proposal.id
        legs.give(hub, session, leg, "vote", actor=account.name, parts=parts, note=word)
        session.add(
            VoteRow(
                id=hub.clock.new_id(),
                leg=leg.id,
                stage=leg.stage,
                proposal=leg.proposal,
                account=account.name,
                word=word,
                comment="",
                at=now,
            )
        )
        session.flush()
        legs.settle(hub, session, leg)
    hub.notifier.notify()


def legs_by_name(hub: Hub, request_id: str) -> dict[str, LegRow]:
    """Return the legs of a request by the last word of their dataset."""
    with reading(hub.engine) as session:
        found = legs.legs_of(session, session.get_one(RequestRow, request_id))
    return {leg.dataset.rpartition("/")[2]: leg for leg in found}


def grant_all(hub: Hub, account: Account, request_id: str, **terms: Any) -> None:
    """Let a committee's only member approve every leg of a request that she decides about."""
    for leg in legs_by_name(hub, request_id).values():
        if legs.review_state(leg) == "in_review":
            propose_and_vote(hub, account, leg.id, **terms)


def state(hub: Hub, request_id: str) -> str:
    """Return the state of a request as a whole."""
    with reading(hub.engine) as session:
        return session.get_one(RequestRow, request_id).state


def history(session: Session, request_id: str) -> list[str]:
    """Return the commands that a request and its legs were given, in order."""
    row = session.get_one(RequestRow, request_id)
    return [each.command for each in requests.history(session, row)]
