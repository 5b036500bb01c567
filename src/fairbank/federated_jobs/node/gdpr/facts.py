"""What the node knows that a record of processing has to say: uses, recipients, what left, projects, safeguards.

No subject is in any of it: of subjects there are counts, of what left names, digests and sizes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.database import reading
from fairbank.errors import FairbankError
from fairbank.federated_jobs.manifest import Chain, open_chain
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.harvest.consent_counts import project_consent, projects
from fairbank.harvest.consents import identity_of
from fairbank.harvest.datasets import datasets
from fairbank.harvest.legal_basis import bases
from fairbank.harvest.retention import Retention, retentions
from fairbank.ontology.outputs import DoorClass
from fairbank.release import hub_keys
from fairbank.release.grants import SiteGrant, grants
from fairbank.release.ledger import EntryState
from fairbank.release.node import Node
from fairbank.release.people import Person, people
from fairbank.release.store import LedgerRow

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Use:
    """A job that was brought here; `chain` is None where its objects cannot be verified any more."""

    job: str
    title: str
    state: str
    chain: Chain | None


@dataclass(frozen=True, slots=True)
class Left:
    """One body of content that left, will leave, or was kept back; `use` is the job that made it, if one did."""

    number: int
    door_class: str
    name: str
    digest: str
    size_bytes: int
    state: str
    left: datetime | None
    use: Use | None


@dataclass(frozen=True, slots=True)
class Messages:
    """Control messages of one kind that left: how many, how large together."""

    name: str
    count: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Project:
    """A project of the node: on what its use rests, and how many subjects it has; `basis` is a word, or `consent`."""

    name: str
    basis: str
    note: str
    subjects: int
    used: int
    standings: dict[str, int]
    datasets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the report says of this node."""

    now: datetime
    title: str
    name: str
    hub: str | None
    persons: tuple[Person, ...]
    projects: tuple[Project, ...]
    uses: tuple[Use, ...]
    grants: tuple[SiteGrant, ...]
    left: tuple[Left, ...]
    messages: tuple[Messages, ...]
    retentions: tuple[Retention, ...]
    withdrawals: int
    suppressed: int
    reidentified: int
    master_keys: int
    head: audit.Head


def gather(node: Node) -> Facts:
    """Return what the report says; nothing is changed and nobody is asked."""
    from fairbank.release.store import NodeRow

    with identity_of(node) as identity:
        suppressed, epochs = identity.suppressions.count(), len(identity.master_keys())
    named = _projects(node)
    ends = tuple(retentions(node))
    known = tuple(grants(node)) if node.enrolment is not None else ()
    with reading(node.engine) as session:
        uses = _uses(session, node)
        acts = _acts(session)
        return Facts(
            now=node.clock.now(),
            title=session.get_one(NodeRow, 1).title,
            name=node.name,
            hub=node.enrolment.hub_url if node.enrolment else None,
            persons=tuple(people(session, node)),
            projects=named,
            uses=tuple(uses.values()),
            grants=known,
            left=tuple(_left(session, uses)),
            messages=_messages(session),
            retentions=ends,
            withdrawals=acts["subject.withdraw"],
            suppressed=suppressed,
            reidentified=acts["reidentification.show"],
            master_keys=epochs,
            head=audit.head(session, audit.NodeAudit),
        )


def purpose_of(use: Use | None) -> str:
    """Return the data-use codes of a job's purpose, empty where there is none to tell."""
    return ", ".join(use.chain.visa.purpose.data_use) if use is not None and use.chain is not None else ""


def requester_of(use: Use | None) -> str:
    """Return who asked, as the request says: account and organisation."""
    if use is None or use.chain is None:
        return ""
    request = use.chain.request
    return f"{request.requester_account}, {request.organisation}"


def _projects(node: Node) -> tuple[Project, ...]:
    rests = {row.project: (row.basis, row.note) for row in bases(node)}
    published: dict[str, list[str]] = {}
    for row in datasets(node):
        published.setdefault(row.project, []).append(f"{row.title} ({row.slug})")
    found = []
    for name in projects(node):
        stands = project_consent(node, name)
        basis, note = rests.get(name, ("consent", ""))
        found.append(
            Project(
                name=name,
                basis=basis,
                note=note,
                subjects=stands.subjects,
                used=stands.counted,
                standings={word.value: count for word, count in sorted(stands.standings.items())},
                datasets=tuple(published.get(name, ())),
            )
        )
    return tuple(found)


def _uses(session: Session, node: Node) -> dict[str, Use]:
    rows = session.scalars(select(ReviewRow).order_by(ReviewRow.received, ReviewRow.job))
    return {row.job: Use(row.job, row.title, row.state, _chain(session, node, row)) for row in rows}


def _chain(session: Session, node: Node, row: ReviewRow) -> Chain | None:
    if node.enrolment is None:
        return None
    try:
        hub_key = hub_keys.key_for(session, node.enrolment, row.visa)
        return open_chain(row.request, row.visa, row.manifest, hub_key=hub_key)
    except FairbankError:
        return None


def _left(session: Session, uses: dict[str, Use]) -> Iterable[Left]:
    rows = session.scalars(
        select(LedgerRow).where(LedgerRow.door_class != DoorClass.CONTROL.value).order_by(LedgerRow.seq)
    )
    for row in rows:
        yield Left(
            number=row.seq,
            door_class=row.door_class,
            name=row.name,
            digest=row.digest,
            size_bytes=row.size_bytes,
            state=row.state,
            left=row.left,
            use=uses.get(row.job),
        )


def _messages(session: Session) -> tuple[Messages, ...]:
    rows = session.execute(
        select(LedgerRow.name, func.count(), func.sum(LedgerRow.size_bytes))
        .where(LedgerRow.door_class == DoorClass.CONTROL.value, LedgerRow.state == EntryState.SENT.value)
        .group_by(LedgerRow.name)
    )
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for name, count, size in rows:
        kind = _ID.sub("…", name)
        counts[kind] += count
        sizes[kind] += int(size)
    return tuple(Messages(name, counts[name], sizes[name]) for name in sorted(counts))


def _acts(session: Session) -> Counter[str]:
    log = audit.NodeAudit
    wanted = ("subject.withdraw", "reidentification.show")
    rows = session.execute(select(log.act, func.count()).where(log.act.in_(wanted)).group_by(log.act))
    return Counter(dict(rows.all()))
