"""What wants to leave this node: the very bytes, what is new in them, and the word of one person or two."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from starlette.responses import Response

from fairbank.federated_jobs.node.output_review import keep_back, let_go
from fairbank.ontology.outputs import DoorClass
from fairbank.release import gate, outbox_review, showing
from fairbank.release.errors import SecondPersonNeeded
from fairbank.release.outbox import Outbox
from fairbank.release.outbox_review import Comparison, Decision
from fairbank.release.releases import Release, ReleaseState
from fairbank.release.showing import Refused, Shown
from fairbank.web import once
from fairbank.web.languages import mark
from fairbank.web.node import deciding
from fairbank.web.node.desk import Desk
from fairbank.web.node.page import NodePage, Visit
from fairbank.web.once import Bound
from fairbank.web.pages.page import Menu, Once

CLASSES: Final[dict[DoorClass, str]] = {
    DoorClass.RECORD: mark("Description of a collection"),
    DoorClass.COUNT: mark("Count"),
    DoorClass.RESULT: mark("Result of an analysis"),
    DoorClass.UPDATE: mark("Update of a model"),
    DoorClass.ERROR: mark("Report of an error"),
    DoorClass.CONTROL: mark("Message between node and hub"),
}
CHECKS: Final[dict[str, str]] = {
    "size": mark("It is no larger than was agreed."),
    "declared": mark("The signed job declares it, under this name and of this kind."),
    "subjects": mark("It rests on enough subjects."),
    "content": mark(
        "Nothing in it looks like an identifier, a date or a path, and no small count stands alone."
    ),
}


@dataclass(frozen=True, slots=True)
class Item:
    """One output that waits; `title` says what it is."""

    id: str
    name: str
    title: str
    job: str
    round: int
    state: ReleaseState
    size_bytes: int
    digest: str
    staged: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """`node_outbox.html`."""

    now: datetime
    held: tuple[Item, ...]
    ready: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """One output with all that is in it."""

    item: Item
    shown: Shown
    compared: Comparison | None


@dataclass(frozen=True, slots=True)
class Looked:
    """`node_output.html`.

    Attributes:
        pieces: the outputs that are decided together: those of one job that wait.
        checks: what the gate has checked, in words.
        votes: who has signed already; None while the reader must not know.
        needed: how many persons have to sign.
        has_signed: whether the reader has.
    """

    pieces: tuple[Piece, ...]
    checks: tuple[str, ...]
    refused: tuple[Refused, ...]
    k: int
    can_leave: bool
    is_waiting: bool
    needed: int
    votes: tuple[str, ...] | None
    has_signed: bool
    needs_person: bool
    person: str
    once: Once


def list_(desk: Desk, visit: Visit) -> Waiting:
    """Put the list together."""
    found = [_item(one) for one in outbox_review.waiting(desk.node)]
    return Waiting(
        visit.now,
        tuple(one for one in found if one.state is ReleaseState.HELD),
        tuple(one for one in found if one.state is ReleaseState.READY),
    )


def show(desk: Desk, visit: Visit) -> Looked:
    """Put the page together; that it was looked at is written down."""
    node, together = desk.node, _together(desk, visit.given["release"])
    pieces = tuple(
        Piece(_item(one), showing.shown(node, one), outbox_review.compare(node, one)) for one in together
    )
    for one in together:
        showing.note_view(node, one.digest, by=visit.account.name, detail={"release": one.id})
    first = together[0]
    needed = 1 if node.settings.node_four_eyes == "no" else 2
    votes = showing.signed_by(node, first)
    signed = visit.account.name in votes
    return Looked(
        pieces=pieces,
        checks=tuple(CHECKS[name.partition(":")[0]] for name in gate.checks_of(first.door_class)),
        refused=showing.refused_of(node, first.job) if first.job else (),
        k=node.settings.release_minimum_count,
        can_leave=all(one.shown.is_whole for one in pieces),
        is_waiting=first.state is ReleaseState.HELD,
        needed=needed,
        votes=votes if signed or needed == 1 else None,
        has_signed=signed,
        needs_person=desk.has_people(),
        person=visit.account.name,
        once=once.token(desk.forms, visit, _bound(together)),
    )


def decide(desk: Desk, visit: Visit) -> Response:
    """Let it leave or keep it back: exactly what was shown."""
    together = _together(desk, visit.given["release"])

    def do() -> str:
        word = visit.form.get(deciding.DECISION, "")
        if word not in ("release", "keep"):
            raise deciding.incomplete(mark("Say whether it may leave."), mark("Nothing was chosen."))
        why = deciding.why(visit, needed=word == "keep")
        if word == "release":
            for one in together:
                showing.check_shown(desk.node, one)
        _decide(desk, visit, together, leaves=word == "release", why=why)
        return f"/outbox/{together[0].id}"

    return once.act(desk.forms, visit, _bound(together), do)


def _decide(desk: Desk, visit: Visit, together: list[Release], *, leaves: bool, why: str) -> None:
    node, first = desk.node, together[0]
    by, signer = deciding.signer(desk, visit)
    try:
        if first.job is not None:
            act = let_go if leaves else keep_back
            act(node, Outbox(node), first.job, by=by, why=why, signer=signer)
        else:
            word = Decision.APPROVE if leaves else Decision.WITHHOLD
            outbox_review.decide(node, first, word, by=by, why=why, signer=signer)
    except SecondPersonNeeded:
        # It is signed, and waits for another person: the page says so.
        return


def _together(desk: Desk, release: str) -> list[Release]:
    """Return a release, first, and those of its job that wait beside it: they are decided together."""
    outbox = Outbox(desk.node)
    found = outbox.release(release)
    if found.job is None or found.state is not ReleaseState.HELD:
        return [found]
    held = outbox.pending(state=ReleaseState.HELD)
    return [found, *(one for one in held if one.job == found.job and one.id != found.id)]


def _bound(together: list[Release]) -> Bound:
    version = " ".join(sorted(f"{one.id} {one.state.value} {one.digest}" for one in together))
    return Bound(f"release {together[0].id}", version)


def _item(release: Release) -> Item:
    return Item(
        release.id,
        release.output,
        CLASSES.get(release.door_class, release.door_class.value),
        release.job or "",
        release.round,
        release.state,
        release.size_bytes,
        release.digest,
        release.staged,
    )


PAGES = (
    NodePage("node_outbox", "/outbox", Waiting, list_, menu=Menu(mark("Outbox"), 30)),
    NodePage("node_output", "/outbox/{release}", Looked, show, acts={"decide": decide}),
)
