"""The hub that everything in this room works on: its settings, database, root key, folders and notifier."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.engine import Engine

from fairbank import audit, migrations
from fairbank.catalogue.errors import HubExists, HubNotInitialised
from fairbank.catalogue.in_turn import InTurn
from fairbank.catalogue.measured import Measured
from fairbank.catalogue.meters import Meters
from fairbank.catalogue.notifier import Notifier
from fairbank.catalogue.query_pool import QueryPool
from fairbank.catalogue.run_counts import RunCounts
from fairbank.catalogue.search_index import prepare_index
from fairbank.catalogue.store import HubIdentity
from fairbank.clock import Clock
from fairbank.database import connect, reading, writing
from fairbank.settings import Settings
from fairbank.signing import SigningKey

KEY_FILE = "hub.pem"
# Where a new root key lies until the database names it.
NEXT_KEY_FILE = "hub.next.pem"
_BASE = re.compile(r"https?://[^\s<>\"{}|\\^`?#/]+(/[^\s<>\"{}|\\^`?#]*)?")


@dataclass(slots=True)
class View:
    """How the RDF view is: what keeps it from being brought up to date; None if nothing does."""

    problem: str | None = None


@dataclass(frozen=True)
class Hub:
    """An opened hub.

    Attributes:
        key: the root key as it was when the hub was opened; what is sealed now takes `hub_keys.sealing_key`.
        base_iri: the base of all IRIs the hub mints, without a trailing slash; fixed at `hub init`.
        blobs: the folder of contents by digest.
        rdf: the folder of the RDF view and its snapshots.
        notifier: wakes those who wait for a commit.
        queries: the SPARQL workers.
        view: how the RDF view is, as far as this process knows.
        meters: how much each caller has asked this process lately.
        runs: whom to ask how many runs of a grant were used.
        measured: whom to ask which biomarkers were measured in a dataset.
        in_turn: does the short work for nodes, one after the other.
    """

    settings: Settings
    engine: Engine
    clock: Clock
    key: SigningKey
    base_iri: str
    blobs: Path
    rdf: Path
    notifier: Notifier
    queries: QueryPool
    view: View = field(default_factory=View)
    meters: Meters = field(default_factory=Meters)
    runs: RunCounts = field(default_factory=RunCounts)
    measured: Measured = field(default_factory=Measured)
    in_turn: InTurn = field(default_factory=InTurn)


def init_hub(settings: Settings, clock: Clock, *, public_base_iri: str) -> Hub:
    """Make a new hub in the home folder and open it.

    Args:
        public_base_iri: the http(s) base of all IRIs, which can never change afterwards.

    Raises:
        HubExists: if there is a hub in this home already.
        HubNotInitialised: if the base IRI cannot be used.
    """
    base_iri = _checked_base(public_base_iri)
    key_path = settings.keys_path / KEY_FILE
    if key_path.exists():
        raise HubExists(
            f"There is a hub in {settings.home} already.",
            why="Its key and its base IRI can never change: what it signed and named would be lost.",
            todo="Start it with 'fairbank hub run', or choose another home.",
        )
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = connect(settings.hub_database_url)
    migrations.upgrade(engine, "hub")
    key = SigningKey.generate()
    key.save(key_path)
    with writing(engine) as session:
        if session.get(HubIdentity, 1) is not None:
            key_path.unlink()
            raise HubExists(
                "The database belongs to a hub already.",
                why="One database holds one hub.",
                todo="Give this hub a database of its own (setting hub_database).",
            )
        session.add(HubIdentity(id=1, base_iri=base_iri, key_id=key.key_id, created=clock.now()))
        audit.record(session, audit.HubAudit, clock=clock, actor=key.key_id, act="hub.init", target=base_iri)
    engine.dispose()
    if settings.hub_database_url.startswith("sqlite:///"):
        Path(settings.hub_database_url.removeprefix("sqlite:///")).chmod(0o600)
    return open_hub(settings, clock)


def open_hub(settings: Settings, clock: Clock) -> Hub:
    """Open the hub of the home folder, bringing its database up to date.

    Raises:
        HubNotInitialised: if there is none, or key and database do not belong together.
    """
    key_path = settings.keys_path / KEY_FILE
    if not key_path.exists():
        raise HubNotInitialised(
            f"There is no hub in {settings.home}.",
            why="A hub needs its key, its base IRI and its database before it can run.",
            todo="Make one: fairbank hub init --public-base-iri https://hub.example.org",
        )
    engine = connect(settings.hub_database_url)
    migrations.upgrade(engine, "hub")
    with reading(engine) as session:
        identity = session.get(HubIdentity, 1)
    key = _key(settings, identity)
    if identity is None or identity.key_id != key.key_id:
        raise HubNotInitialised(
            "The hub's key and its database do not belong together.",
            why="Nodes have pinned the key that the database names; with another key they would refuse everything.",
            todo="Restore key and database from the same backup.",
        )
    prepare_index(engine)
    blobs, rdf = settings.home / "blobs", settings.home / "rdf"
    for folder in (blobs, blobs / "incoming", rdf):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Hub(
        settings=settings,
        engine=engine,
        clock=clock,
        key=key,
        base_iri=identity.base_iri,
        blobs=blobs,
        rdf=rdf,
        notifier=Notifier(engine),
        queries=QueryPool(settings, rdf),
    )


def _key(settings: Settings, identity: HubIdentity | None) -> SigningKey:
    """Return the root key; where its replacement was cut off before the files were moved, it is finished."""
    path, coming = settings.keys_path / KEY_FILE, settings.keys_path / NEXT_KEY_FILE
    key = SigningKey.load(path)
    if identity is not None and key.key_id != identity.key_id and coming.exists():
        following = SigningKey.load(coming)
        if following.key_id == identity.key_id:
            coming.replace(path)
            return following
    return key


def _checked_base(iri: str) -> str:
    if not _BASE.fullmatch(iri):
        raise HubNotInitialised(
            f"{iri!r} cannot be the base of the hub's IRIs.",
            why="It must be an http or https address without query or fragment.",
            todo="Give the address at which the hub will be reached for good, such as https://hub.example.org.",
        )
    return iri.rstrip("/")
