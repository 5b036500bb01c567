"""Documents of a request: within bounds, told by content, harmless in name, read by those of the request only."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from tests.catalogue.requesting import Asking

from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import attachments
from fairbank.catalogue.governance.document_types import (
    DOCX,
    EXTENSIONS,
    JPEG,
    LONGEST_NAME,
    ODT,
    PDF,
    PNG,
    TEXT,
    harmless_name,
    media_type_of,
)
from fairbank.catalogue.governance.request_errors import AttachmentRefused
from fairbank.ontology.signed_objects import Evidence, EvidenceKind

Make = Callable[..., Any]
A_PDF = b"%PDF-1.7\nan ethics approval\n%%EOF\n"


def zipped(**parts: bytes) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return whole.getvalue()


A_DOCX = zipped(**{"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>"})
AN_ODT = zipped(mimetype=ODT.encode(), **{"content.xml": b"<x/>"})
MACROS = zipped(**{"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>", "word/vbaProject.bin": b"x"})


@pytest.fixture
def asking(client: TestClient, hub: Hub, released: Make, person_named: Make) -> Asking:
    released("lungs")
    return Asking(hub, client, person_named("rita", Role.RESEARCHER), [person_named("carla", Role.COMMITTEE)])


@pytest.fixture
def draft(asking: Asking) -> str:
    return str(asking.post("/v1/requests/drafts", {"schema": "request-draft/1"}).json()["id"])


def attach(asking: Asking, request_id: str, content: Any, **query: str) -> Any:
    path = f"/v1/requests/{request_id}/documents"
    given = {"name": "approval.pdf"} | query
    return asking.client.post(path, params=given, content=content, headers=asking.rita.headers)


def left_on_disk(hub: Hub) -> list[str]:
    folders = (hub.blobs / "attachments", hub.blobs / "incoming")
    return sorted(path.name for folder in folders for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (A_PDF, PDF),
        (b"\x89PNG\r\n\x1a\n....", PNG),
        (b"\xff\xd8\xff\xe0....", JPEG),
        ("Zulässig: ja\n".encode(), TEXT),
        (b"<script>alert(1)</script>", TEXT),
        (A_DOCX, DOCX),
        (AN_ODT, ODT),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_document_s_type_follows_from_its_content(tmp_path: Path, content: bytes, media_type: str) -> None:
    path = tmp_path / "document.exe"
    path.write_bytes(content)
    assert media_type_of(path) == media_type


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"MZ\x90\x00",
        b"\x7fELF",
        zipped(a=b"b"),
        A_DOCX[:60],
        MACROS,
        b"a\x00b",
        b"\xff\xfe\x00",
        b"GIF89a\x01",
    ],
    # A ZIP file holds the time at which it was made: its bytes are no name that all processes of a run agree on.
    ids=["empty", "exe", "elf", "zip", "half a document", "macros", "nul", "not utf-8", "gif"],
)
def test_other_content_is_refused_whatever_its_name(asking: Asking, draft: str, content: bytes) -> None:
    answer = attach(asking, draft, content)
    assert (answer.status_code, answer.json()["code"]) == (415, "FB-CAT-152")
    assert left_on_disk(asking.hub) == []


@given(st.binary(max_size=300))
def test_no_content_whatever_breaks_the_look_at_its_type(tmp_path_factory: Any, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    with contextlib.suppress(AttachmentRefused):
        assert media_type_of(path) in EXTENSIONS


@given(st.text(max_size=300), st.sampled_from(sorted(EXTENSIONS)))
def test_a_name_becomes_harmless_and_stays_so(name: str, media_type: str) -> None:
    harmless = harmless_name(name, media_type)
    assert 0 < len(harmless) <= LONGEST_NAME
    assert not set(harmless) & set("<>\"'&/\\:|?*`\r\n\t\0\u202e")
    assert not harmless.startswith(".")
    assert harmless.lower().endswith(EXTENSIONS[media_type])
    assert harmless_name(harmless, media_type) == harmless


def test_a_document_is_kept_named_as_evidence_and_handed_out_to_be_saved(asking: Asking, draft: str) -> None:
    name = "../../<img src=x onerror=alert(1)>\r\nSet-Cookie: a=b.pdf"
    answer = attach(asking, draft, A_PDF, name=name, kind="ethics-approval", title="Vote 12/26")
    assert answer.status_code == 201, answer.text
    digest = answer.json()["digest"]
    assert digest == "sha256:" + hashlib.sha256(A_PDF).hexdigest()
    view = asking.get(f"/v1/requests/{draft}/draft").json()
    assert view["draft"]["evidence"] == [{"kind": "ethics-approval", "title": "Vote 12/26", "digest": digest}]
    assert "ethics document" not in {each["field"] for each in view["missing"]}
    read = asking.get(f"/v1/requests/{draft}/documents/{digest}")
    assert read.content == A_PDF
    assert read.headers["content-type"] == PDF
    assert read.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in read.headers["content-security-policy"]
    disposition = read.headers["content-disposition"]
    assert disposition.startswith("attachment; ")
    assert not set("<>\r\n") & set(disposition)
    assert "set-cookie" not in read.headers


def test_100_megabytes_are_refused_unread(asking: Asking, draft: str) -> None:
    path = f"/v1/requests/{draft}/documents?name=a.pdf"
    # The announced length decides: of the body itself there is next to nothing.
    headers = {**asking.rita.headers, "Content-Length": "100000000"}
    answer = asking.client.post(path, content=iter([b"%PDF-"]), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "FB-CAT-153")
    assert left_on_disk(asking.hub) == []


def test_a_body_that_does_not_say_how_long_it_is_is_stopped_where_it_is_too_large(
    asking: Asking, draft: str
) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b"%PDF-" + b"x" * 1_000_000

    answer = attach(asking, draft, pieces())
    assert (answer.status_code, answer.json()["code"]) == (413, "FB-CAT-153")
    assert left_on_disk(asking.hub) == []


def test_a_body_that_breaks_off_leaves_nothing(hub: Hub) -> None:
    async def pieces() -> Any:
        yield A_PDF
        raise ConnectionError

    with pytest.raises(ConnectionError):
        asyncio.run(attachments.take(hub, pieces(), announced=None))
    assert left_on_disk(hub) == []


def test_strangers_neither_attach_nor_read_and_nothing_of_theirs_is_taken(
    asking: Asking, draft: str, person_named: Make
) -> None:
    digest = attach(asking, draft, A_PDF).json()["digest"]
    before = left_on_disk(asking.hub)
    bob = person_named("bob", Role.RESEARCHER)
    assert asking.get(f"/v1/requests/{draft}/documents/{digest}", bob).status_code == 404
    refused = asking.client.post(
        f"/v1/requests/{draft}/documents?name=a.pdf", content=b"%PDF-other", headers=bob.headers
    )
    assert refused.status_code == 404
    assert asking.client.get(f"/v1/blobs/{digest}", headers=bob.headers).status_code == 404
    assert left_on_disk(asking.hub) == before


def test_the_committee_reads_what_a_sealed_request_rests_on(asking: Asking, draft: str) -> None:
    asking.committee()
    digest = attach(asking, draft, A_PDF, kind="ethics-approval").json()["digest"]
    evidence = (Evidence(kind=EvidenceKind.ETHICS_APPROVAL, title="Vote", digest=digest),)
    asking.submitted(id=draft, evidence=evidence)
    carla = asking.members[0]
    assert asking.get(f"/v1/requests/{draft}/documents/{digest}", carla).content == A_PDF
    refused = asking.client.delete(f"/v1/requests/{draft}/documents/{digest}", headers=asking.rita.headers)
    assert refused.status_code == 409


def test_a_request_cannot_be_sealed_over_a_document_that_is_not_there(asking: Asking) -> None:
    evidence = (Evidence(kind=EvidenceKind.FUNDING, title="Grant", digest="sha256:" + "0" * 64),)
    envelope = asking.request(evidence=evidence).seal(asking.rita.key)
    answer = asking.post("/v1/requests", envelope)
    assert (answer.status_code, answer.json()["code"]) == (404, "FB-CAT-154")


def test_what_is_taken_out_or_discarded_is_gone_from_the_disk(asking: Asking, draft: str) -> None:
    other = str(asking.post("/v1/requests/drafts", {"schema": "request-draft/1"}).json()["id"])
    digest = attach(asking, draft, A_PDF, kind="ethics-approval").json()["digest"]
    attach(asking, draft, b"plain", name="b.txt")
    attach(asking, other, A_PDF)
    asking.client.delete(f"/v1/requests/{draft}/documents/{digest}", headers=asking.rita.headers)
    assert (
        "evidence" not in asking.get(f"/v1/requests/{draft}/draft").json()["draft"]
        or not asking.get(f"/v1/requests/{draft}/draft").json()["draft"]["evidence"]
    )
    assert len(left_on_disk(asking.hub)) == 2
    asking.client.delete(f"/v1/requests/{draft}/draft", headers=asking.rita.headers)
    assert len(left_on_disk(asking.hub)) == 1
    assert asking.get(f"/v1/requests/{other}/documents/{digest}").content == A_PDF


def test_a_document_whose_evidence_is_refused_leaves_nothing(asking: Asking, draft: str) -> None:
    answer = attach(asking, draft, A_PDF, kind="funding", valid_until="tomorrow")
    assert (answer.status_code, answer.json()["code"]) == (422, "FB-CAT-150")
    assert left_on_disk(asking.hub) == []


def test_the_same_document_twice_is_one(asking: Asking, draft: str) -> None:
    first, second = attach(asking, draft, A_PDF), attach(asking, draft, A_PDF, name="again.pdf")
    assert first.json() == second.json()
    assert len(left_on_disk(asking.hub)) == 1
