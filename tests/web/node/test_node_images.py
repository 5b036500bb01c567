"""Held images, the ledger and the sources of a node, on real files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from sqlalchemy import select, update
from sqlalchemy import text as text_of
from tests.deid.conftest import as_file, ct_dataset
from tests.web.node.conftest import PHRASE, AtTheDesk

from fairbank.audit import NodeAudit
from fairbank.database import reading, writing
from fairbank.deid.project_review import project_groups
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.index import index_store
from fairbank.harvest.legal_basis import LegalBasis, record_basis
from fairbank.harvest.runs import PullOrder, pull
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.ontology.record import CollectionKind

SIGNED = {"person": "ada", "passphrase": PHRASE}
TEXT = "MILLER"
_ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"


def ultrasound(instance: int) -> bytes:
    """Return a picture of a device that no list knows, with a name in it."""
    made = ct_dataset("PAT-US", 9, 9, instance)
    made.SOPClassUID, made.Modality, made.Manufacturer = _ULTRASOUND, "US", "Nobody Knows"
    picture = Image.new("L", (96, 64), 30)
    ImageDraw.Draw(picture).text((20, 20), TEXT, fill=250)
    made.Rows, made.Columns = 64, 96
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit = 7
    made.add_new(0x7FE00010, "OB", np.asarray(picture).tobytes())
    return as_file(made)


@pytest.fixture
def images(at: AtTheDesk, tmp_path: Path, fairbank: Any) -> AtTheDesk:
    """A node that has pulled an archive of three subjects; two files of a folder beside it are held."""
    node, folder = at.site.node, tmp_path / "archive"
    (folder / "all").mkdir(parents=True)
    for number in range(1, 4):
        (folder / "all" / f"ct-{number}.dcm").write_bytes(as_file(ct_dataset(f"PAT-{number}", number)))
    scans = tmp_path / "scans"
    scans.mkdir()
    for number in (1, 2):
        (scans / f"us-{number}.dcm").write_bytes(ultrasound(number))
    add_source(node, "images", kind=SourceKind.FOLDER, location=str(folder))
    record_basis(node, "all", LegalBasis.ANONYMOUS_DATA, note="made for a test", by="curator")
    pull(node, PullOrder(source="images", container="all", project="all", agent="curator"))
    fairbank("deid", "run", scans, "--project", "all", "--workers", "1", home=node.settings.home)
    about = Description("Tiny images", "Some tiny images.", CollectionKind.TEST, data_use=("DUO:0000042",))
    define_dataset(node, "tiny", project="all", description=about)
    index_store(node, "tiny")
    return at


def sheet_of(client: Any) -> str:
    return re.findall(r'href="(/review/[0-9a-f]+)"', client.get("/review").text)[0]


def test_held_images_are_looked_at_and_decided_by_their_kind(images: AtTheDesk) -> None:
    client, node = images.seated(), images.site.node
    assert sheet_of(client) in client.get("/").text
    sheet = sheet_of(client)
    assert client.get(sheet).text.count('/small"') == 2
    item = client.get(f"{sheet}/1").text
    assert "PAT-US" in item
    assert ('data-keys="off"' in item, 'data-keys="on"' in client.get(f"{sheet}/1?keys=on").text) == (
        True,
        True,
    )
    for view in ("small", "max", "min", "0"):
        picture = client.get(f"{sheet}/q-000001/{view}")
        assert picture.headers["content-type"] == "image/jpeg"
        assert picture.headers["cache-control"] == "no-store"
    for missing in (f"{sheet}/2", f"{sheet}/q-000001/7", "/review/0123456789abcdef01234567", f"{sheet}/x"):
        assert client.get(missing).status_code == 404
    assert images.client().get(f"{sheet}/q-000001/max").status_code == 401
    answer = images.send(client, sheet, act="decide", decision="keep-held", why="a name is in them", **SIGNED)
    assert answer.headers["location"] == "/review"
    assert {one.verdict for one in project_groups(node.engine, "all")} == {"keep-held"}
    with reading(node.engine) as session:
        views = session.scalars(select(NodeAudit.actor).where(NodeAudit.act == "image.view")).all()
    # Two sheets, one file twice, three pictures at full size.
    assert len(views) == 7
    assert set(views) == {"ada"}


def test_a_decision_about_images_needs_a_reason_and_what_was_shown(images: AtTheDesk) -> None:
    client = images.seated()
    sheet = sheet_of(client)
    assert images.send(client, sheet, act="decide", decision="keep-held", **SIGNED).status_code == 422
    assert images.send(client, sheet, act="decide", decision="sell", why="no", **SIGNED).status_code == 422


def test_what_the_hub_would_see_is_shown_before_it_is_published(images: AtTheDesk) -> None:
    client = images.seated()
    assert "/sources/tiny" in client.get("/sources").text
    page = client.get("/sources/tiny")
    assert "Some tiny images." in page.text
    assert "near the limit" in page.text
    assert "PAT-1" not in page.text
    answer = images.send(client, "/sources/tiny", decision="publish", **SIGNED)
    assert answer.headers["location"].startswith("/outbox/")
    output = client.get(answer.headers["location"]).text
    assert "Some tiny images." in output
    assert "Nothing of this collection has left before" in output
    done = images.send(client, answer.headers["location"], decision="release", **SIGNED)
    assert done.status_code == 303
    held_again = images.send(client, "/sources/tiny", decision="hold", why="not yet", **SIGNED)
    assert held_again.headers["location"] == "/sources/tiny"


def test_an_archive_is_connected_and_says_in_words_what_is_wrong(at: AtTheDesk, tmp_path: Path) -> None:
    client = at.seated()
    assert "None yet. Connect one" in client.get("/sources").text
    (tmp_path / "images" / "lung").mkdir(parents=True)
    given = {"kind": "folder", "name": "here", "location": str(tmp_path / "images")}
    assert at.send(client, "/sources", act="connect", **{**given, "name": ""}, **SIGNED).status_code == 422
    refused = at.send(client, "/sources", act="connect", **{**given, "kind": "xnat"}, **SIGNED)
    assert "Its address starts with" in refused.text
    assert at.send(client, "/sources", act="connect", **given, **SIGNED).status_code == 303
    tried = at.send(client, "/sources", act="try", archive="here")
    assert "It shows 1 projects" in tried.text
    (tmp_path / "images" / "lung").rmdir()
    (tmp_path / "images").rmdir()
    wrong = at.send(client, "/sources", act="try", archive="here").text
    assert re.search(r"notice bad.*<code>FB-\w+-\d+", wrong, flags=re.S)


def test_the_ledger_says_who_signed_and_shows_a_broken_log(images: AtTheDesk) -> None:
    client, node = images.seated(), images.site.node
    address = images.send(client, "/sources/tiny", decision="publish", **SIGNED).headers["location"]
    images.send(client, address, decision="release", **SIGNED)
    text = client.get("/ledger").text
    assert "record-tiny" in text
    assert "<td>ada</td>" in text
    assert "log is whole" in text
    with writing(node.engine) as session:
        session.execute(text_of("DROP TRIGGER audit_refuses_update"))
        session.execute(update(NodeAudit).where(NodeAudit.seq == 2).values(actor="eve"))
    assert "log is whole" not in client.get("/ledger").text
