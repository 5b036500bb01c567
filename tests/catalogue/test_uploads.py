"""Releases arrive in pieces, resume, take effect once; blobs are read by those who may."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fairbank.audit import HubAudit, verify
from fairbank.catalogue import blobs
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import RecordRefused
from fairbank.catalogue.store import BlobRow, UploadRow
from fairbank.database import reading, writing
from fairbank.signing import sha256_digest

Make = Callable[..., Any]
JOB = "00000000-0000-7000-8000-00000000aaaa"
CONTENT = bytes(range(256)) * 500
# Written to a file while it comes, and still one piece.
LONG = CONTENT[:60_000]


def test_a_release_in_one_piece_is_complete(hub: Hub, node_named: Make, taker: Any) -> None:
    answer = node_named("alpha").release(b"rows", door_class="result", job=JOB)
    assert (answer.status_code, answer.json()["state"]) == (200, "complete")
    assert [(meta.node, meta.output, meta.round) for meta in taker.taken] == [("alpha", "out", 1)]


def test_a_long_body_that_is_not_what_was_signed_leaves_nothing(
    hub: Hub, node_named: Make, taker: Any, client: TestClient
) -> None:
    node, path = node_named("alpha"), f"/v1/releases/{hub.clock.new_id()}"
    headers = node.signed(
        "PUT",
        path,
        LONG,
        Fairbank_Class="result",
        Fairbank_Digest=sha256_digest(LONG),
        Fairbank_Output="out",
    )
    assert client.put(path, content=LONG[:-1] + b"x", headers=headers).status_code == 401
    unsigned = client.put(f"/v1/releases/{hub.clock.new_id()}", content=LONG)
    assert unsigned.status_code == 401
    assert taker.taken == [] and list((hub.blobs / "incoming").iterdir()) == []


def test_what_a_killed_hub_had_begun_is_removed_after_a_day(hub: Hub) -> None:
    incoming = hub.blobs / "incoming"
    for name in ("old.tmp", "new.tmp", "old.part"):
        (incoming / name).write_bytes(b"x")
    (incoming / "round-old").mkdir()
    for name in ("old.tmp", "old.part", "round-old"):
        os.utime(incoming / name, (1_000_000, 1_000_000))
    assert blobs.forget_abandoned(hub) == 2
    assert sorted(path.name for path in incoming.iterdir()) == ["new.tmp", "old.part"]


def test_pieces_are_put_together(hub: Hub, node_named: Make, taker: Any) -> None:
    node, release_id = node_named("alpha"), hub.clock.new_id()
    half = 60_000
    first = node.release(CONTENT, door_class="result", release_id=release_id, piece=CONTENT[:half])
    assert (first.status_code, first.headers["Upload-Offset"]) == (202, str(half))
    head = node.send("HEAD", f"/v1/releases/{release_id}")
    assert (head.headers["Upload-Offset"], head.headers["Upload-State"]) == (str(half), "partial")
    middle = node.release(
        CONTENT, door_class="result", release_id=release_id, first=half, piece=CONTENT[half : 2 * half]
    )
    assert middle.status_code == 202
    last = node.release(
        CONTENT, door_class="result", release_id=release_id, first=2 * half, piece=CONTENT[2 * half :]
    )
    assert last.status_code == 200
    assert blobs.path_of(hub, sha256_digest(CONTENT)).read_bytes() == CONTENT
    assert node.send("HEAD", f"/v1/releases/{release_id}").headers["Upload-State"] == "complete"


def test_a_piece_that_leaves_a_gap_is_refused(hub: Hub, node_named: Make) -> None:
    node = node_named("alpha")
    answer = node.release(CONTENT, door_class="result", first=100, piece=CONTENT[100:200])
    assert (answer.status_code, answer.json()["code"]) == (409, "FB-CAT-031")


def test_a_piece_sent_again_is_welcome(hub: Hub, node_named: Make) -> None:
    node, release_id = node_named("alpha"), hub.clock.new_id()
    for _ in range(2):
        answer = node.release(CONTENT, door_class="result", release_id=release_id, piece=CONTENT[:1000])
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (202, "1000")


def test_a_release_sent_again_takes_effect_once(hub: Hub, node_named: Make, taker: Any) -> None:
    node, release_id = node_named("alpha"), hub.clock.new_id()
    for _ in range(2):
        assert node.release(b"rows", door_class="result", release_id=release_id, job=JOB).status_code == 200
    assert len(taker.taken) == 1


def test_another_content_for_the_same_output_is_a_conflict(hub: Hub, node_named: Make) -> None:
    node = node_named("alpha")
    assert node.release(b"rows", door_class="result", job=JOB).status_code == 200
    answer = node.release(b"others", door_class="result", job=JOB)
    assert (answer.status_code, answer.json()["code"]) == (409, "FB-CAT-031")


def test_two_nodes_release_the_same_output(hub: Hub, node_named: Make, taker: Any) -> None:
    assert node_named("alpha").release(b"a", door_class="result", job=JOB).status_code == 200
    assert node_named("beta").release(b"b", door_class="result", job=JOB).status_code == 200
    assert len(taker.taken) == 2


def test_bytes_other_than_announced_are_refused_and_forgotten(hub: Hub, node_named: Make) -> None:
    node, release_id = node_named("alpha"), hub.clock.new_id()
    answer = node.release(
        b"rows", door_class="result", release_id=release_id, digest=sha256_digest(b"others")
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "FB-CAT-032")
    assert node.send("HEAD", f"/v1/releases/{release_id}").status_code == 404
    assert list((hub.blobs / "incoming").iterdir()) == []


def test_what_the_receiver_refuses_leaves_nothing(
    hub: Hub, node_named: Make, taker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise RecordRefused("no")

    monkeypatch.setattr(taker, "complete", refuse)
    answer = node_named("alpha").release(b"rows", door_class="result", job=JOB)
    assert answer.json()["code"] == "FB-CAT-040"
    with reading(hub.engine) as session:
        assert session.query(UploadRow).count() == 0
        assert session.query(BlobRow).count() == 0
    assert not blobs.path_of(hub, sha256_digest(b"rows")).exists()


def test_a_part_that_was_lost_is_sent_from_the_start(hub: Hub, node_named: Make) -> None:
    node, release_id = node_named("alpha"), hub.clock.new_id()
    node.release(CONTENT, door_class="result", release_id=release_id, piece=CONTENT[:1000])
    (hub.blobs / "incoming" / f"{release_id}.part").unlink()
    assert node.send("HEAD", f"/v1/releases/{release_id}").headers["Upload-Offset"] == "0"


def test_a_class_that_nobody_takes_is_refused(hub: Hub, node_named: Make) -> None:
    assert node_named("alpha").release(b"x", door_class="update").json()["code"] == "FB-CAT-030"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Fairbank-Class", "gift"),
        ("Fairbank-Digest", "md5:00"),
        ("Fairbank-Output", "../../etc"),
        ("Fairbank-Round", "-1"),
        ("Fairbank-Job", "1"),
        ("Content-Range", "bytes 5-3/4"),
    ],
)
def test_headers_that_make_no_sense_are_refused(node_named: Make, header: str, value: str) -> None:
    node = node_named("alpha")
    path = "/v1/releases/00000000-0000-7000-8000-000000000001"
    given = {
        "Fairbank-Class": "result",
        "Fairbank-Digest": sha256_digest(b"rows"),
        "Fairbank-Output": "out",
        "Content-Range": "bytes 0-3/4",
        header: value,
    }
    signed = node.signed(
        "PUT", path, b"rows", **{name.replace("-", "_"): text for name, text in given.items()}
    )
    answer = node.client.put(path, content=b"rows", headers=signed)
    assert (answer.status_code, answer.json()["code"]) == (400, "FB-CAT-030")


def test_a_release_that_is_too_large_is_refused_by_its_announcement(node_named: Make, settings: Any) -> None:
    node = node_named("alpha")
    path = "/v1/releases/00000000-0000-7000-8000-000000000001"
    headers = {
        "Fairbank-Class": "result",
        "Fairbank-Digest": sha256_digest(b"rows"),
        "Fairbank-Output": "out",
        "Content-Range": f"bytes 0-3/{settings.release_maximum_bytes + 1}",
    }
    signed = node.signed(
        "PUT", path, b"rows", **{name.replace("-", "_"): text for name, text in headers.items()}
    )
    answer = node.client.put(path, content=b"rows", headers=signed)
    assert answer.status_code == 413


def test_a_blob_is_read_in_ranges_by_who_may(hub: Hub, node_named: Make) -> None:
    alpha, beta = node_named("alpha"), node_named("beta")
    beta.release(CONTENT[:50_000], door_class="result", job=JOB)
    path = "/v1/blobs/" + sha256_digest(CONTENT[:50_000])
    assert alpha.send("GET", path).content == CONTENT[:50_000]
    part = alpha.send("GET", path, Range="bytes=100-199")
    assert (part.status_code, part.content) == (206, CONTENT[100:200])
    assert beta.send("GET", path).json()["code"] == "FB-CAT-033"


def test_an_account_reads_a_blob_with_its_token(hub: Hub, node_named: Make, person_named: Make) -> None:
    node_named("alpha").release(b"rows", door_class="result", job=JOB)
    path = "/v1/blobs/" + sha256_digest(b"rows")
    client = node_named("gamma").client
    assert client.get(path, headers=person_named("rita").headers).content == b"rows"
    assert client.get(path, headers=person_named("otto").headers).status_code == 404
    assert client.get(path).status_code == 401


def test_a_content_of_the_hub_s_own_is_kept(hub: Hub, tmp_path: Path) -> None:
    made = tmp_path / "model"
    made.write_bytes(b"weights")
    with writing(hub.engine) as session:
        digest = blobs.put(hub, session, made, media_type="application/octet-stream")
        assert blobs.put(hub, session, b"weights", media_type="application/octet-stream") == digest
    assert blobs.path_of(hub, digest).read_bytes() == b"weights"
    assert blobs.path_of(hub, digest).stat().st_mode & 0o777 == 0o600


def test_every_release_is_in_the_log(hub: Hub, node_named: Make, client: TestClient) -> None:
    node_named("alpha").release(b"rows", door_class="result", job=JOB)
    with reading(hub.engine) as session:
        head = verify(session, HubAudit)
        acts = [entry.act for entry in session.query(HubAudit).order_by(HubAudit.seq)]
    assert acts[-1] == "release.receive" and head.seq == len(acts)


def test_headers_that_were_not_signed_are_refused(node_named: Make) -> None:
    node = node_named("alpha")
    path = "/v1/releases/00000000-0000-7000-8000-000000000001"
    signed = node.signed("PUT", path, b"rows")
    answer = node.client.put(path, content=b"rows", headers={**signed, "Fairbank-Class": "result"})
    assert answer.json()["code"] == "FB-CORE-014"
