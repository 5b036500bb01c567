"""A hub's database after years of requests, written in bulk: the rows that its commands would have written.

Written by the hub's own functions: the database with its migrations, accounts, tokens, nodes, the sealed records of
their datasets, and their entries of the audit log. Written directly, as the commands leave them behind: committees,
requests, their legs and history, proposals and votes, grants, jobs with their datasets and sites, and further entries
of the audit log, chained. Each request and each visa is sealed, for lists open them; manifests, which no list opens,
are of usual length and say nothing. What no list reads (attachments, blobs) is not there.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, insert
from sqlalchemy.orm import Session

from fairbank.catalogue import accounts, hub_keys, nodes, records
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import store
from fairbank.catalogue.governance.granted_terms import granted_dataset
from fairbank.catalogue.governance.terms import Terms
from fairbank.catalogue.governance.workflow import LegState, RequestState
from fairbank.clock import iso, parse_iso
from fairbank.database import HubBase, writing
from fairbank.federated_jobs.hub.store import JobDatasetRow, JobRow, SiteRow
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import JobState, SiteState
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.record import DatasetRecord
from fairbank.ontology.signed_objects import Person, Purpose, Request, Visa
from fairbank.signing import SigningKey, canonical, sha256_digest
from parts import access_audit, published_catalogue

BASE = "http://hub.bench"
NODES, DATASETS, RESEARCHERS = 4, 40, 50
_LEGS = [state for state in LegState if state is not LegState.DRAFT]


def dataset_iri(number: int) -> str:
    return f"{BASE}/datasets/node-{number % NODES}/set-{number}"


def fill(hub: Hub, *, requests: int, entries: int) -> dict[str, str]:
    """Write everything and return the tokens of a requester, a member, an auditor and an administrator."""
    chance = random.Random(7)
    tokens = {}
    with writing(hub.engine) as session:
        for name, role in [("admin", Role.ADMIN), ("auditor", Role.AUDITOR), ("member", Role.COMMITTEE)] + [
            (f"researcher-{number}", Role.RESEARCHER) for number in range(RESEARCHERS)
        ]:
            # No password: nobody logs in with one, and making one slow to guess takes most of the time.
            accounts.create_account(session, hub, name=name, password=None, roles=[role])
        session.flush()
        for told in ("admin", "auditor", "member", "researcher-3"):
            tokens[told.partition("-")[0]] = accounts.issue_token(session, hub, name=told).token
    _publish(hub)
    with writing(hub.engine) as session:
        _committees(hub, session)
    with writing(hub.engine) as session:
        _requests(hub, session, requests, chance)
    with writing(hub.engine) as session:
        _jobs(hub, session, requests, chance)
    access_audit.fill(hub.engine, hub.clock, entries)
    return tokens


def _publish(hub: Hub) -> None:
    """Enrol the nodes and publish their datasets, as sealed records."""
    key = {each: SigningKey.generate() for each in range(NODES)}
    for each in range(NODES):
        with writing(hub.engine) as session:
            token = nodes.invite(session, hub, actor="bench")
        nodes.enrol(
            hub,
            nodes.Enrolment(node=f"node-{each}", key=key[each].key_id, token=token, title=f"Node {each}"),
        )
    with writing(hub.engine) as session:
        for each in range(DATASETS):
            made = published_catalogue.record(each, created=iso(hub.clock.now()))
            record = made.model_copy(update={"node": f"node-{each % NODES}"})
            opened, sealed = DatasetRecord.open(
                record.seal(key[each % NODES]), trusted=[key[each % NODES].key_id]
            )
            records.publish(session, hub, opened, sealed)


def _committees(hub: Hub, session: Session) -> None:
    now = hub.clock.now()
    session.execute(
        insert(store.CommitteeRow),
        [
            {
                "id": f"committee-{each}",
                "title": f"Committee of node {each}",
                "stage": "data",
                "quorum": 1,
                "four_eyes": False,
                "due_days": 14,
                "remind_days": [],
                "created": now,
            }
            for each in range(NODES)
        ],
    )
    # The member sits on two of the four: she sees half of all.
    session.execute(
        insert(store.MemberRow),
        [
            {
                "id": f"member-{each}",
                "committee": f"committee-{each}",
                "account": "member",
                "chair": False,
                "since": now,
            }
            for each in range(2)
        ],
    )


def _requests(hub: Hub, session: Session, count: int, chance: random.Random) -> None:
    now = hub.clock.now()
    key, hub_key = SigningKey.generate(), hub_keys.sealing_key(session, hub, lasting=True)
    rows: dict[type[HubBase], list[dict[str, Any]]] = {
        kind: []
        for kind in (
            store.RequestRow,
            store.VersionRow,
            store.GrantRow,
            store.LegRow,
            store.ProposalRow,
            store.VoteRow,
            store.RequestHistoryRow,
        )
    }
    for number in range(count):
        changed = now - timedelta(minutes=5 * chance.randrange(count))
        request = hub.clock.new_id()
        account = f"researcher-{number % RESEARCHERS}"
        common = {
            "account": account,
            "id": request,
            "created": changed,
            "changed": changed,
            "submitted": changed,
        }
        rows[store.RequestRow].append(
            common
            | {
                "title": f"Nodule {number} of the lung",
                "state": chance.choice([RequestState.OPEN, RequestState.OPEN, RequestState.CLOSED]).value,
                "version": 1,
                "draft": {"statement": "Why the images are wanted. " * 40},
                "minimum_datasets": 1,
            }
        )
        asked, envelope, digest = _sealed(key, request, account, number, now)
        rows[store.VersionRow].append(
            {
                "request": request,
                "version": 1,
                "digest": digest,
                "envelope": envelope,
                "until": now + timedelta(days=300),
                "received": changed,
            }
        )
        granted = _legs(hub, rows, asked, changed, chance)
        if granted:
            rows[store.GrantRow].append(_grant(hub_key, asked, digest, granted, changed))
    _insert(session, rows)


def _insert(session: Session, rows: dict[type[HubBase], list[dict[str, Any]]]) -> None:
    for kind, listed in rows.items():
        if listed:
            # The plain table: the mapper would look at each row once more.
            plain = kind.__table__
            assert isinstance(plain, Table)
            session.connection().execute(insert(plain), listed)


def _sealed(
    key: SigningKey, request: str, account: str, number: int, now: datetime
) -> tuple[Request, bytes, str]:
    """Return a request of usual length, as its researcher seals it, and its digest."""
    asked = Request(
        id=request,
        requester_key=key.key_id,
        requester_account=account,
        organisation="University",
        title=f"Nodule {number} of the lung",
        project=f"Project {number % 500}",
        datasets=(dataset_iri(number % DATASETS),),
        purpose=Purpose(data_use=("DUO:0000006",), statement="Why the images are wanted. " * 40),
        output_classes=(OutputClass.MODEL_UPDATE,),
        people=tuple(
            Person(name=f"Person {each}", organisation="University", role="analyst") for each in range(3)
        ),
        until=iso(now + timedelta(days=300)),
        created=iso(now),
    )
    # Opening it again would check the signature, which takes longer than making it.
    return asked, asked.seal(key), sha256_digest(canonical(asked.payload()))


def _grant(
    key: SigningKey, asked: Request, digest: str, granted: tuple[str, list[str]], at: datetime
) -> dict[str, Any]:
    """Return the grant of some datasets of a request, with the visa as the hub seals it."""
    visa = Visa(
        id=granted[0],
        hub=BASE,
        request=digest,
        requester_key=asked.requester_key,
        datasets=tuple(
            granted_dataset(dataset, Terms(until=iso(at + timedelta(days=300)), maximum_runs=10), asked)
            for dataset in granted[1]
        ),
        purpose=asked.purpose,
        not_before=iso(at),
        created=iso(at),
    )
    return {
        "id": visa.id,
        "digest": sha256_digest(canonical(visa.payload())),
        "envelope": visa.seal(key),
        "request": asked.id,
        "version": 1,
        "account": asked.requester_account,
        "granted": at,
        "expires": parse_iso(visa.expires),
    }


def _legs(
    hub: Hub,
    rows: dict[type[HubBase], list[dict[str, Any]]],
    asked: Request,
    changed: datetime,
    chance: random.Random,
) -> tuple[str, list[str]] | None:
    """Write the legs of a request; return the id of its visa and the datasets that are granted, None without any."""
    visa: str | None = None
    opened: list[str] = []
    request, account = asked.id, asked.requester_account
    for dataset in chance.sample(range(DATASETS), chance.randint(1, 3)):
        state = chance.choice(_LEGS)
        leg, granted = hub.clock.new_id(), state is LegState.ACTIVE
        if granted:
            visa = visa or hub.clock.new_id()
            opened.append(dataset_iri(dataset))
        waits = state is LegState.IN_REVIEW
        rows[store.LegRow].append(
            {
                "id": leg,
                "request": request,
                "dataset": dataset_iri(dataset),
                "node": f"node-{dataset % NODES}",
                "state": state.value,
                "version": 1,
                "stage": "data",
                "proposal": _proposal(hub, rows, leg, dataset, changed) if waits else None,
                "committee": f"committee-{dataset % NODES}",
                "since": changed,
                "awaited_since": changed if waits else None,
                "due": changed + timedelta(days=14) if waits else None,
                "terms": {"maximum_runs": 10} if granted else None,
                "verdict": "permitted",
                "match": [{"code": "DUO:0000006", "reason": "Health research asks for no less. " * 5}],
                "visa": visa if granted else None,
                "expires": changed + timedelta(days=300) if granted else None,
            }
        )
        for command in ("submit", "triage", "assign", "vote", "approve"):
            rows[store.RequestHistoryRow].append(
                {
                    "id": hub.clock.new_id(),
                    "request": request,
                    "leg": leg,
                    "command": command,
                    "actor": account,
                    "role": "requester",
                    "state": state.value,
                    "note": "",
                    "at": changed,
                }
            )
    return (visa, opened) if visa is not None else None


def _proposal(
    hub: Hub, rows: dict[type[HubBase], list[dict[str, Any]]], leg: str, dataset: int, at: datetime
) -> str:
    """Let a committee have proposed terms, and the member have voted on them where she sits on it."""
    proposal, who = hub.clock.new_id(), "member" if dataset % NODES < 2 else "admin"
    rows[store.ProposalRow].append(
        {
            "id": proposal,
            "leg": leg,
            "stage": "data",
            "version": 1,
            "terms": {"maximum_runs": 10},
            "made_by": who,
            "at": at,
        }
    )
    rows[store.VoteRow].append(
        {
            "id": hub.clock.new_id(),
            "leg": leg,
            "stage": "data",
            "proposal": proposal,
            "account": who,
            "word": "approve",
            "comment": "Agreed.",
            "at": at,
        }
    )
    return proposal


def _jobs(hub: Hub, session: Session, count: int, chance: random.Random) -> None:
    """Write finished jobs: as many as requests, each at one or two nodes."""
    now = hub.clock.now()
    rows: dict[type[HubBase], list[dict[str, Any]]] = {JobRow: [], JobDatasetRow: [], SiteRow: []}
    for number in range(count):
        job, created = hub.clock.new_id(), now - timedelta(minutes=5 * chance.randrange(count))
        rows[JobRow].append(
            {
                "id": job,
                "account": f"researcher-{number % RESEARCHERS}",
                "requester_key": "ed25519:bench",
                "title": f"Volumes of nodules {number}",
                "manifest_digest": f"sha256:{number + 2**40:064x}",
                "visa_id": f"visa-{number}",
                "visa_digest": f"sha256:{number + 2**32:064x}",
                "request_id": f"request-{number}",
                **dict.fromkeys(("manifest", "visa", "request"), b"{}" * 1500),
                "tool": "volumetry",
                "state": JobState.COMPLETED.value,
                "reason": Reason.NONE.value,
                "round": 1,
                "rounds": 1,
                "quorum": 1,
                "approval_deadline": created,
                "expires": created + timedelta(days=300),
                "created": created,
                "ended": created,
            }
        )
        for dataset in chance.sample(range(DATASETS), chance.randint(1, 2)):
            rows[JobDatasetRow].append(
                {
                    "job": job,
                    "dataset": dataset_iri(dataset),
                    "node": f"node-{dataset % NODES}",
                    "request": f"request-{number}",
                    "expires": created + timedelta(days=300),
                }
            )
        rows[SiteRow].append(
            {
                "job": job,
                "node": f"node-{number % NODES}",
                "state": SiteState.RELEASED.value,
                "reason": Reason.NONE.value,
                "round": 1,
                "since": created,
            }
        )
    _insert(session, rows)
