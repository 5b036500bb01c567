"""The planted corpus through a node: nothing planted in its database, its index, its outbox, or what it says."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest
from tests.deid.corpus.generate import sample
from tests.deid.corpus.planted import RESEARCH, CorpusFile

from fairbank.deid.admitted import EVERYBODY
from fairbank.deid.cleaning import Order
from fairbank.deid.identity import IDENTITY_FILE, IdentityStore
from fairbank.deid.method import Method
from fairbank.deid.pipeline import Site, deidentify
from fairbank.deid.research_store import ResearchStore
from fairbank.deid.source_files import files_under
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.index import index_store
from fairbank.harvest.publishing import publish
from fairbank.ontology.record import CollectionKind
from fairbank.release.node import Node

_TELLING = 10
_TELLING_WORD = 6


@pytest.mark.long
def test_nothing_planted_reaches_index_outbox_or_log(
    node: Node, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    # Looking at pixels takes a second a frame, and says nothing more of a node.
    # Every second file: all of them pass through a run in tests/deid.
    files = [file for file in sample() if file.kind != "burned"][::2]
    incoming = _written(files, tmp_path / "Export_of_Quarzfeld_Ottilie")
    caplog.set_level(logging.DEBUG)
    caplog.clear()  # what planting said
    capfd.readouterr()
    home = node.settings.home
    identity = IdentityStore.open_or_create(home / IDENTITY_FILE, clock=node.clock)
    site = Site(identity, ResearchStore(node.settings.store_path), node.engine, node.clock)
    order = Order("thorax", Method())
    done = list(deidentify(files_under(incoming), order, site=site, agent="curator", admitted=EVERYBODY))
    assert sum(one.path is not None for one in done) > 100
    description = Description("Chest", "Images of the chest.", CollectionKind.TEST)
    define_dataset(node, "chest", project="thorax", description=description)
    report = index_store(node, "chest")
    made = publish(node, "chest")
    assert made.record.totals.subjects
    said = capfd.readouterr()
    seen = {
        "outcomes": repr(done).encode(),
        "log": caplog.text.encode(),
        "out": said.out.encode(),
        "err": said.err.encode(),
        "report": repr(report).encode(),
        "record": repr(made).encode(),
    }
    # The identity store keeps where held files lie, for the curator alone (mode 0600); the rest of the home may not.
    for path in home.rglob("*"):
        if path.is_file() and not path.name.startswith(IDENTITY_FILE) and path.suffix != ".dcm":
            seen[path.relative_to(home).as_posix()] = path.read_bytes()
    assert any(name.endswith(".db") for name in seen) and any("outbox" in name for name in seen), sorted(seen)
    telling = _telling(files) | {b"Quarzfeld", b"Ottilie"}
    assert {(name, one) for name, content in seen.items() for one in telling if one in content} == set()


def test_no_unkeyed_digest_of_a_file_is_in_the_database(node: Node, tmp_path: Path) -> None:
    files = list(sample())[:20]
    incoming = _written(files, tmp_path / "in")
    identity = IdentityStore.open_or_create(node.settings.home / IDENTITY_FILE, clock=node.clock)
    site = Site(identity, ResearchStore(node.settings.store_path), node.engine, node.clock)
    list(
        deidentify(
            files_under(incoming), Order("thorax", Method()), site=site, agent="curator", admitted=EVERYBODY
        )
    )
    database = b"".join(
        path.read_bytes() for path in node.settings.home.glob("*.db*") if path.name != IDENTITY_FILE
    )
    for file in files:
        for name in ("md5", "sha1", "sha256", "sha512", "blake2b"):
            digest = hashlib.new(name, file.content)
            assert digest.hexdigest().encode() not in database
            assert digest.digest() not in database


def _written(files: list[CorpusFile], folder: Path) -> Path:
    for file in files:
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    return folder


def _telling(files: list[CorpusFile]) -> set[bytes]:
    """Return what betrays a planted value wherever it stands; shorter ones are found by chance in digests."""
    return {
        part
        for file in files
        for one in file.planted
        if one.expected(RESEARCH).must_go
        for part in one.encoded
        if len(part) >= _TELLING or (len(part) >= _TELLING_WORD and not part.isdigit())
    }
