"""A request on its way, for tests of what belongs to one: rita asks, a committee of two decides, by the real tables."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.testclient import TestClient

from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import legs
from fairbank.catalogue.governance.store import (
    CommitteeRow,
    LegRow,
    MemberRow,
    ProposalRow,
    RequestRow,
    ScopeRow,
    VoteRow,
)
from fairbank.catalogue.governance.workflow import Part
from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Purpose, Request

LUNGS = "http://hub.test/datasets/alpha/lungs"
BRAINS = "http://hub.test/datasets/alpha/brains"


@dataclass
class Asking:
    """What a test needs to ask and decide: the hub, its client, who asks, and the committee's members."""

    hub: Hub
    client: TestClient
    rita: Any
    members: list[Any]

    def committee(self) -> str:
        """Put the members on a committee over the whole node alpha, the first as chair, and return its id."""
        now, clock = self.hub.clock.now(), self.hub.clock
        with writing(self.hub.engine) as session:
            row = CommitteeRow(
                id=clock.new_id(),
                title="Access <b>committee</b>",
                stage="data",
                quorum=1,
                four_eyes=False,
                due_days=14,
                remind_days=[],
                created=now,
            )
            session.add(row)
            session.flush()
            session.add(ScopeRow(committee=row.id, node="alpha", dataset=""))
            for place, member in enumerate(self.members):
                session.add(
                    MemberRow(
                        id=clock.new_id(), committee=row.id, account=member.name, chair=place == 0, since=now
                    )
                )
            return row.id

    def request(self, **changes: Any) -> Request:
        """Return a request of rita's, not sealed yet."""
        now = self.hub.clock.now()
        given: dict[str, Any] = {
            "id": self.hub.clock.new_id(),
            "requester_key": self.rita.key.key_id,
            "requester_account": self.rita.name,
            "organisation": "University",
            "title": "Nodules",
            "datasets": (LUNGS,),
            "purpose": Purpose(data_use=("DUO:0000006",), statement="Nodule detection."),
            "output_classes": (OutputClass.MEASUREMENTS,),
            "until": iso(now + timedelta(days=90)),
            "created": iso(now),
        }
        return Request(**(given | changes))

    def submitted(self, **changes: Any) -> str:
        """Submit a request and return its id."""
        request = self.request(**changes)
        answer = self.client.post(
            "/v1/requests", content=request.seal(self.rita.key), headers=self.rita.headers
        )
        assert answer.status_code == 201, answer.text
        return request.id

    def decide(self, request_id: str, word: str = "approve", **terms: Any) -> None:
        """Let the chair propose terms and vote on every leg that is in review."""
        chair, clock = self.members[0], self.hub.clock
        with writing(self.hub.engine) as session:
            row = session.get_one(RequestRow, request_id)
            for leg in legs.legs_of(session, row):
                if legs.review_state(leg) != "in_review":
                    continue
                proposal = ProposalRow(
                    id=clock.new_id(),
                    leg=leg.id,
                    stage=leg.stage or "",
                    version=legs.review_version(leg),
                    terms={"until": iso(clock.now() + timedelta(days=30))} | terms,
                    made_by=chair.name,
                    at=clock.now(),
                )
                session.add(proposal)
                session.flush()
                leg.proposal = proposal.id
                parts = frozenset({Part.CHAIR, Part.MEMBER})
                legs.give(self.hub, session, leg, "propose", actor=chair.name, parts=parts)
                session.add(
                    VoteRow(
                        id=clock.new_id(),
                        leg=leg.id,
                        stage=leg.stage or "",
                        proposal=proposal.id,
                        account=chair.name,
                        word=word,
                        comment="SECRET of the vote",
                        at=clock.now(),
                    )
                )
                session.flush()
                legs.give(
                    self.hub, session, leg, "vote", actor=chair.name, parts=parts, note="SECRET of the vote"
                )
                legs.settle(self.hub, session, leg)

    def legs(self, request_id: str) -> list[LegRow]:
        """Return the legs of a request."""
        with reading(self.hub.engine) as session:
            found = legs.legs_of(session, session.get_one(RequestRow, request_id))
            session.expunge_all()
            return found

    def get(self, path: str, who: Any = None) -> Any:
        """GET an address as somebody, rita by default."""
        return self.client.get(path, headers=(who or self.rita).headers)

    def post(self, path: str, body: dict[str, Any] | bytes, who: Any = None) -> Any:
        """POST a body as somebody, rita by default."""
        content = body if isinstance(body, bytes) else json.dumps(body)
        return self.client.post(path, content=content, headers=(who or self.rita).headers)
