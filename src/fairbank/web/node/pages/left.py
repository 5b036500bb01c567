"""All that left this node, as its ledger has it, and whether its log is whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fairbank import audit
from fairbank.database import reading
from fairbank.errors import FairbankError
from fairbank.ontology.outputs import DoorClass
from fairbank.release import ledger, showing
from fairbank.release.ledger import Entry, EntryState
from fairbank.web.languages import mark
from fairbank.web.node.desk import Desk
from fairbank.web.node.page import NodePage, Visit
from fairbank.web.node.pages.outbox import CLASSES
from fairbank.web.pages.page import Menu

_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class Left:
    """A line of the ledger."""

    seq: int
    title: str
    name: str
    release: str
    state: EntryState
    size_bytes: int
    digest: str
    noted: datetime
    left: datetime | None
    reasons: tuple[str, ...]
    signers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """How much has left of one kind."""

    kind: str
    bodies: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Book:
    """`node_ledger.html`.

    Attributes:
        with_messages: whether messages between node and hub are listed too.
        broken: what is wrong with the log, None if it is whole.
        entries_of_log: how many entries the log has.
        head: its last hash, for the page's print.
    """

    node: str
    lines: tuple[Left, ...]
    most: int
    traffic: tuple[Traffic, ...]
    with_messages: bool
    broken: tuple[str, str] | None
    entries_of_log: int
    head: str


def show(desk: Desk, visit: Visit) -> Book:
    """Put the page together; the chain of the log is walked from its first entry."""
    node, all_ = desk.node, visit.asked.get("messages") == "yes"
    broken, seq, head = None, 0, ""
    with reading(node.engine) as session:
        try:
            found = audit.verify(session, audit.NodeAudit)
            seq, head = found.seq, found.hash
        except FairbankError as error:
            broken = (error.what, error.why)
        traffic = ledger.bytes_by_class(session)
        entries = [
            one
            for one in ledger.entries(session, limit=_MOST)
            if all_ or one.door_class is not DoorClass.CONTROL
        ]
    signers = showing.signers(node)
    return Book(
        node.name,
        tuple(_left(one, signers.get(one.release or "", ())) for one in entries),
        _MOST,
        tuple(Traffic(CLASSES[DoorClass(kind)], one.bodies, one.size_bytes) for kind, one in traffic.items()),
        all_,
        broken,
        seq,
        head,
    )


def _left(one: Entry, signers: tuple[str, ...]) -> Left:
    return Left(
        one.seq,
        CLASSES[one.door_class],
        one.name,
        one.release or "",
        one.state,
        one.size_bytes,
        one.digest,
        one.noted,
        one.left,
        one.reasons,
        signers,
    )


PAGE = NodePage("node_ledger", "/ledger", Book, show, menu=Menu(mark("What left"), 40))
