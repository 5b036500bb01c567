"""No identifier of the demo's files is in any byte that reached the hub.

What is searched for, taken from every element of every file of the three archives, at every depth:

- each UID that the standard does not define itself;
- each PatientID, accession number and birth date (as 19700131 and as 1970-01-31), of two characters or more. One of
  fewer than five is searched as a whole value in quotes, because `204` is also a number of bytes;
- each whole PatientName, and each part of it: of four letters or more in Latin script, of two or more in any other.
  Parts that are ordinary or clinical words of English (`_WORDS`) are left out.

Numbers and short words count only where no letter or digit touches them: `wang` also occurs in base64.

Where it is searched: every byte of every request, every file under the hub's home, the rows of its database, the quads
of its RDF view, and what any run of base64 in these decodes to.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import shutil
import sqlite3
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

# Parts of the test patients' names that any description may hold.
_WORDS = {
    "first",
    "firstname",
    "last",
    "lastname",
    "modality",
    "name",
    "patient",
    "perfusion",
    "stroke",
    "test",
}
_STANDARD = "1.2.840.10008."
_ROCKSDB_TIME = re.compile(rb"(?m)^\d{4}/\d\d/\d\d-\d\d:\d\d:\d\d\.\d{6} \d+ ")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")


@dataclass(frozen=True)
class Identifier:
    """One value that must not arrive."""

    kind: str
    value: str

    def forms(self) -> set[bytes]:
        """Return what it may look like once its ASCII letters are small: plain, in JSON, in an address, spaced."""
        forms = set()
        for cased in (self.value, self.value.lower(), self.value.upper()):
            written = (cased, json.dumps(cased)[1:-1], quote(cased), cased.replace("^", " "))
            forms |= {form.encode().lower() for form in written}
        return forms

    def alone(self, form: bytes) -> re.Pattern[bytes] | None:
        """Return what a form must look like to count; None where it counts wherever it is."""
        written = re.escape(form)
        if len(self.value) < 5 and self.kind != "name":
            return re.compile(rb"(?<=[\"'])" + written + rb"(?=[\"'])")
        if len(self.value) < 8 or self.value.isdigit():
            return re.compile(rb"(?<![a-z0-9])" + written + rb"(?![a-z0-9])")
        return None


def identifiers(archives: Path) -> set[Identifier]:
    """Return all identifiers of the files below a folder."""
    from pydicom import dcmread

    found: set[Identifier] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in sorted(archives.rglob("*.dcm")):
            for element in dcmread(path).iterall():
                values = element.value if element.VM > 1 else [element.value]
                for value in values:
                    found |= set(_of(element.keyword, element.VR, str(value).strip()))
    return found


def _of(keyword: str, vr: str, text: str) -> Iterator[Identifier]:
    if vr == "UI" and not text.startswith(_STANDARD) and len(text) > 4:
        yield Identifier("uid", text)
    if keyword in ("PatientID", "AccessionNumber") and len(text) > 1:
        yield Identifier(keyword, text)
    if keyword == "PatientBirthDate" and len(text) == 8:
        yield Identifier("birth date", text)
        yield Identifier("birth date", f"{text[:4]}-{text[4:6]}-{text[6:]}")
    if keyword == "PatientName":
        for group in text.split("="):
            whole = group.strip("^ ")
            if whole.lower().replace("^", " ") not in ("", "last name first name") and len(whole) > 4:
                yield Identifier("name", whole)
            for part in re.split(r"[\^\s]+", group):
                latin = all("LATIN" in unicodedata.name(letter, "") for letter in part if letter.isalpha())
                if len(part) >= (4 if latin else 2) and part.lower() not in _WORDS:
                    yield Identifier("name", part)


def found(wanted: Iterable[Identifier], places: Iterable[tuple[str, bytes]]) -> dict[str, set[Identifier]]:
    """Return which identifiers occur, by place."""
    forms = [(one, form, one.alone(form)) for one in wanted for form in one.forms()]
    hits: dict[str, set[Identifier]] = {}
    seen: set[bytes] = set()
    for place, content in places:
        for layer in (content, *decoded(content)):
            low = layer.lower()
            digest = hashlib.sha256(low).digest()
            if digest in seen:
                continue
            seen.add(digest)
            for one, form, alone in forms:
                if form in low and (alone is None or alone.search(low)):
                    hits.setdefault(place, set()).add(one)
    return hits


def decoded(content: bytes, *, depth: int = 2) -> list[bytes]:
    """Return what the runs of base64 decode to, joined, and again what is in these."""
    parts = []
    for run in _BASE64.findall(content):
        plain = run.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
        with suppress(binascii.Error):
            parts.append(base64.b64decode(plain + b"=" * (-len(plain) % 4)))
    if not parts:
        return []
    layer = b"\n".join(parts)
    return [layer, *(decoded(layer, depth=depth - 1) if depth > 1 else [])]


def everything_at(hub: Path, scratch: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each file of the hub's home, the rows of its database, and the quads of its RDF view."""
    from pyoxigraph import RdfFormat, Store

    for path in sorted(hub.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.name.startswith("LOG"):
                # The microseconds in a log of RocksDB are six digits, as some patients' numbers are.
                content = _ROCKSDB_TIME.sub(b"", content)
            yield str(path.relative_to(hub)), content
    # A value that is cut by the border of a page of the file is whole in its row.
    with closing(sqlite3.connect(f"file:{hub / 'hub.db'}?mode=ro", uri=True)) as database:
        yield "rows of hub.db", "\n".join(database.iterdump()).encode()
    # The files of the view are compressed.
    for snapshot in sorted((hub / "rdf" / "snapshots").iterdir()):
        copy = scratch / snapshot.name
        shutil.copytree(snapshot, copy)
        yield f"quads of {snapshot.name}", Store.read_only(str(copy)).dump(format=RdfFormat.N_QUADS)


@pytest.fixture(scope="module")
def wanted(told: Any) -> set[Identifier]:
    return identifiers(told.home / "archives")


@pytest.fixture(scope="module")
def at_hub(told: Any, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    return list(everything_at(told.home / "hub", tmp_path_factory.mktemp("view")))


def requests(told: Any) -> list[tuple[str, bytes]]:
    return [(f"{one.method} {one.path}", bytes(one.raw)) for one in told.relay.sent]


def test_the_archives_hold_identifiers_to_look_for(wanted: set[Identifier]) -> None:
    count = Counter(one.kind for one in wanted)
    assert count["uid"] > 200
    assert count["name"] > 40 and count["PatientID"] > 30
    assert count["AccessionNumber"] >= 10 and count["birth date"] >= 16
    values = {one.value for one in wanted}
    assert {"Lestrade", "CompressedSamples", "山田", "12345678", "19790408"} <= values


def test_no_request_to_the_hub_holds_an_identifier(told: Any, wanted: set[Identifier]) -> None:
    assert len(told.relay.sent) > 100
    assert found(wanted, requests(told)) == {}


def test_nothing_that_the_hub_keeps_holds_an_identifier(at_hub: Any, wanted: set[Identifier]) -> None:
    assert found(wanted, at_hub) == {}


def test_no_log_holds_an_identifier(told: Any, wanted: set[Identifier]) -> None:
    logs = [(path.name, path.read_bytes()) for path in (told.home / "logs").iterdir()]
    assert {"hub.log", "node-harbour.log"} <= {name for name, _ in logs}
    assert found(wanted, logs) == {}


# -- the search itself finds what is there ------------------------------------------------------------------------


def test_the_search_finds_the_identifiers_in_the_files_themselves(told: Any, wanted: set[Identifier]) -> None:
    # The headers suffice.
    files = [(path.name, path.read_bytes()[:20_000]) for path in (told.home / "archives").rglob("*.dcm")]
    hits = {one for ones in found(wanted, files).values() for one in ones}
    # Not all: short ones stand in quotes nowhere, a few files are deflated, a few names are not in UTF-8.
    assert len(hits) > 0.8 * len(wanted)


def test_the_search_finds_the_title_of_a_record_wherever_it_went(told: Any, at_hub: Any) -> None:
    title = {Identifier("name", "Harbour MR collection")}
    places = set(found(title, [*requests(told), *at_hub]))
    assert any(place.startswith("PUT /v1/releases/") for place in places), "sealed, so in base64"
    assert {"rows of hub.db"} < places
    assert any(place.startswith("quads") for place in places)
    assert any(place.startswith("blobs/") for place in places)


@pytest.mark.parametrize("kind", ["uid", "PatientID", "AccessionNumber", "birth date", "name"])
def test_the_search_finds_what_is_planted(wanted: set[Identifier], kind: str) -> None:
    missed = []
    for one in sorted((one for one in wanted if one.kind == kind), key=str):
        body = json.dumps({"note": one.value}).encode()
        sealed = json.dumps({"payload": base64.b64encode(body).decode()}).encode()
        twice = json.dumps({"payload": base64.urlsafe_b64encode(sealed).decode()}).encode()
        missed += [one for planted in (body, sealed, twice) if not found([one], [("here", planted)])]
    assert missed == []


def test_the_search_finds_what_is_planted_in_a_database(tmp_path: Path) -> None:
    uid = Identifier("uid", "1.3.6.1.4.1.5962.1.2.0.977067310.6001.0")
    (tmp_path / "rdf" / "snapshots").mkdir(parents=True)
    with closing(sqlite3.connect(tmp_path / "hub.db")) as database:
        database.execute("CREATE TABLE t (x TEXT)")
        # Too long for one page of the file.
        database.execute("INSERT INTO t VALUES (?)", ("." * 4060 + uid.value + "." * 9000,))
        database.commit()
    assert "rows of hub.db" in found([uid], everything_at(tmp_path, tmp_path))
