"""The archives that this node reads, how their harvest stands, and exactly what the hub would see of all that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from starlette.responses import Response

from fairbank.errors import FairbankError
from fairbank.harvest.datasets import datasets
from fairbank.harvest.publishing import Publication, output_of, preview, publish
from fairbank.harvest.sources.opening import add_source, known_kinds, sources
from fairbank.harvest.sources.trying import Tried, try_source
from fairbank.harvest.status import statuses
from fairbank.release import outbox_review, showing
from fairbank.release.outbox_review import Decision
from fairbank.release.releases import Release, ReleaseState
from fairbank.release.showing import Table
from fairbank.web import once
from fairbank.web.languages import mark
from fairbank.web.node import deciding
from fairbank.web.node.desk import Desk
from fairbank.web.node.page import NodePage, Visit
from fairbank.web.once import Bound
from fairbank.web.pages.page import Menu, Once
from fairbank.web.pages.serving import nothing_here


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that the node reads; what is secret about it is not here."""

    name: str
    kind: str
    location: str


@dataclass(frozen=True, slots=True)
class Harvest:
    """How the harvest of one container stands."""

    source: str
    container: str
    project: str
    live: int
    missing: int
    held: int
    last_run: datetime | None


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection of this node; `version` is that of its last record."""

    slug: str
    title: str
    project: str
    version: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What an archive said when it was tried just now; `problem` is what, why, what to do and its code."""

    archive: str
    tried: Tried | None
    problem: tuple[str, str, str, str] | None


@dataclass(frozen=True, slots=True)
class Sources:
    """`node_sources.html`.

    Attributes:
        kinds: of archives that can be connected, with the words for each.
        tried: what one said just now; None where none was asked.
    """

    archives: tuple[Archive, ...]
    harvests: tuple[Harvest, ...]
    collections: tuple[Collection, ...]
    kinds: tuple[tuple[str, str], ...]
    tried: Answer | None
    needs_person: bool
    person: str
    once: Once


@dataclass(frozen=True, slots=True)
class Preview:
    """`node_preview.html`.

    Attributes:
        tables: what the hub would see, whole.
        near: how many counts in it are near the limit.
        problem: why there is nothing to publish, None if there is.
        due: from when on the counts may change.
        waiting: what waits to leave of this collection already, if anything does.
    """

    collection: Collection
    tables: tuple[Table, ...]
    near: int
    k: int
    problem: tuple[str, str] | None
    due: datetime | None
    put_off: int
    waiting: str
    is_ready: bool
    needs_person: bool
    person: str
    once: Once


def list_(desk: Desk, visit: Visit) -> Sources:
    """Put the list together from what the node has noted; no archive is asked."""
    return _sources(desk, visit, None)


def try_(desk: Desk, visit: Visit) -> Sources:
    """Ask an archive whether it answers, and show what it said; nothing is read from it but its names of projects."""
    name = visit.form.get("archive", "")
    if name not in {one.name for one in sources(desk.node)}:
        raise nothing_here()
    try:
        answer = Answer(name, try_source(desk.node, name), None)
    except FairbankError as error:
        answer = Answer(name, None, (error.what, error.why, error.todo, error.code))
    return _sources(desk, visit, answer)


def connect(desk: Desk, visit: Visit) -> Response:
    """Remember an archive; its password stays in a file that the form only names."""

    def do() -> str:
        form = visit.form
        kinds = {one.value: one for one in known_kinds()}
        if form.get("kind", "") not in kinds:
            raise deciding.incomplete(mark("Say what kind of archive it is."), mark("Nothing was chosen."))
        name, location = (form.get(field, "").strip() for field in ("name", "location"))
        if not name or not location:
            raise deciding.incomplete(
                mark("Give the archive a name and an address."), mark("One of them is missing.")
            )
        secret = form.get("secret-file", "").strip()
        deciding.signer(desk, visit)
        add_source(
            desk.node,
            name,
            kind=kinds[form["kind"]],
            location=location,
            user=form.get("user", "").strip(),
            secret_file=Path(secret) if secret else None,
        )
        return "/sources"

    return once.act(desk.forms, visit, _of_sources(desk), do)


def _of_sources(desk: Desk) -> Bound:
    return Bound("sources", " ".join(one.name for one in sources(desk.node)))


def _sources(desk: Desk, visit: Visit, tried: Answer | None) -> Sources:
    node = desk.node
    return Sources(
        tuple(Archive(one.name, one.kind, one.location) for one in sources(node)),
        tuple(
            Harvest(
                one.route.source,
                one.route.container,
                one.route.project,
                one.live,
                one.missing,
                one.held,
                one.last_run,
            )
            for one in statuses(node)
        ),
        tuple(Collection(one.slug, one.title, one.project, one.version) for one in datasets(node)),
        kinds=tuple((one.value, one.words) for one in known_kinds()),
        tried=tried,
        needs_person=desk.has_people(),
        person=visit.account.name,
        once=once.token(desk.forms, visit, _of_sources(desk)),
    )


def show(desk: Desk, visit: Visit) -> Preview:
    """Put the preview together: the record as it would be sealed."""
    collection = _collection(desk, visit)
    waits = _waiting(desk, collection)
    found, problem = None, None
    tables: tuple[Table, ...] = ()
    try:
        found = preview(desk.node, collection.slug)
        tables = showing.record_tables(desk.node, found.record)
    except FairbankError as error:
        problem = (error.what, error.why)
    return Preview(
        collection=collection,
        tables=tables,
        near=showing.near_cells(tables),
        k=desk.node.settings.release_minimum_count,
        problem=problem,
        due=found.due if found else None,
        put_off=found.put_off if found else 0,
        waiting=waits.id if waits else "",
        is_ready=waits is not None and waits.state is ReleaseState.READY,
        needs_person=desk.has_people(),
        person=visit.account.name,
        once=once.token(desk.forms, visit, _bound(collection, found, waits)),
    )


def decide(desk: Desk, visit: Visit) -> Response:
    """Stage the record that was shown, or let the one that is ready wait."""
    collection = _collection(desk, visit)
    waits = _waiting(desk, collection)
    try:
        found: Publication | None = preview(desk.node, collection.slug)
    except FairbankError:
        found = None

    def do() -> str:
        word = visit.form.get(deciding.DECISION, "")
        by, signer = deciding.signer(desk, visit)
        if word == "hold" and waits is not None:
            why = deciding.why(visit, needed=True)
            outbox_review.decide(desk.node, waits, Decision.HOLD, by=by, why=why, signer=signer)
            return f"/sources/{collection.slug}"
        if word != "publish":
            raise deciding.incomplete(mark("Say what to do."), mark("Nothing was chosen."))
        made = publish(desk.node, collection.slug)
        return f"/outbox/{made.release.id}" if made.release else "/outbox"

    return once.act(desk.forms, visit, _bound(collection, found, waits), do)


def _collection(desk: Desk, visit: Visit) -> Collection:
    for one in datasets(desk.node):
        if one.slug == visit.given["dataset"]:
            return Collection(one.slug, one.title, one.project, one.version)
    raise nothing_here()


def _waiting(desk: Desk, collection: Collection) -> Release | None:
    name = output_of(collection.slug)
    return next((one for one in outbox_review.waiting(desk.node) if one.output == name), None)


def _bound(collection: Collection, found: Publication | None, waits: Release | None) -> Bound:
    # What a record says but for its own time, which is another each time it is made.
    said = found.record.model_copy(update={"created": ""}).model_dump_json() if found else ""
    state = f"{waits.id} {waits.state.value}" if waits else ""
    return Bound(f"dataset {collection.slug}", f"{collection.version} {state} {said}")


PAGES = (
    NodePage(
        "node_sources",
        "/sources",
        Sources,
        list_,
        acts={"try": try_, "connect": connect},
        menu=Menu(mark("Sources"), 50),
    ),
    NodePage("node_preview", "/sources/{dataset}", Preview, show, acts={"decide": decide}),
)
