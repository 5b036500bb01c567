"""Somebody has the outputs, and the hospital's lists of numbers and names, but not the key: nobody is found again."""

from __future__ import annotations

import base64
import hashlib
import uuid
import zlib
from collections.abc import Iterator
from datetime import date
from io import BytesIO

import pydicom
import pytest
from tests.deid.corpus.damaged_part import clean_controls, series_of_studies
from tests.deid.corpus.generate import PUBLIC_SEED
from tests.deid.corpus.planted import BASIC, PROFILES, RESEARCH, CorpusFile
from tests.deid.corpus.runner import Result, cleaned

_LEAST = 10  # characters of a digest that chance would not repeat


@pytest.fixture(scope="module")
def files() -> list[CorpusFile]:
    return [*clean_controls(PUBLIC_SEED, 44), *series_of_studies(PUBLIC_SEED, 3, 2)]


@pytest.mark.parametrize("profile", PROFILES)
def test_no_unkeyed_digest_of_an_identifier_is_in_an_output(profile: str, files: list[CorpusFile]) -> None:
    guesses = {guess for file in files for text in _known(file) for guess in _digests(text)}
    assert len(guesses) > 10_000
    hits = [
        (result.file.name, word)
        for result in cleaned(files, profile)
        for word in _words(result)
        if any(word[start : start + _LEAST] in guesses for start in range(max(1, len(word) - _LEAST + 1)))
    ]
    assert hits == []


def test_another_key_gives_nothing_that_can_be_joined(files: list[CorpusFile]) -> None:
    first, second = (_pseudonyms(cleaned(files, BASIC, secret=secret)) for secret in ("one", "two"))
    assert first and second
    assert first.isdisjoint(second)


def test_knowing_the_shift_of_one_patient_tells_nothing_of_another(files: list[CorpusFile]) -> None:
    shifts = _shifts(files)
    assert len(shifts) > 30
    assert all(len(found) == 1 for found in shifts.values())
    days = [next(iter(found)) for found in shifts.values()]
    assert len(set(days)) > 0.9 * len(days)
    assert 0 not in days


def test_the_shift_is_no_unkeyed_function_of_the_number(files: list[CorpusFile]) -> None:
    shifts = {subject: next(iter(found)) for subject, found in _shifts(files).items()}
    for name in ("md5", "sha1", "sha256", "crc32"):
        for modulus in (30, 100, 365, 366, 730, 1000, 3650, 3652, 36500):
            hits = sum(
                _number(name, subject) % modulus in (shift, -shift % modulus)
                for subject, shift in shifts.items()
            )
            assert hits <= max(3, 0.2 * len(shifts)), (name, modulus)


@pytest.mark.parametrize("place", ["PatientID", "StudyInstanceUID", "SOPInstanceUID"])
def test_the_order_of_pseudonyms_is_not_the_order_of_patients(place: str, files: list[CorpusFile]) -> None:
    pairs: dict[str, str] = {}
    for result in cleaned(files, RESEARCH):
        if result.output is not None:
            before, after = (
                pydicom.dcmread(BytesIO(each), stop_before_pixels=True)
                for each in (result.file.content, result.output)
            )
            pairs[str(before[place].value)] = str(after[place].value)
    assert len(pairs) > 30
    for order in (list(pairs), sorted(pairs)):  # as they came in, and by their own number
        assert abs(_rank_correlation([pairs[each] for each in order])) < 3.3 / (len(pairs) - 1) ** 0.5


def _known(file: CorpusFile) -> Iterator[str]:
    """What somebody with the hospital's lists knows of a file."""
    for one in file.planted:
        if one.place in (
            "00100010",
            "00100020",
            "00080050",
            "0020000D",
            "0020000E",
            "00080018",
            "00100030",
            "00200052",
        ):
            yield from {one.value, one.value.lower(), one.value.replace("^", " "), one.value.replace("^", "")}
            yield from {f"{file.subject}|{one.value}", f"{file.subject}{one.value}"}


def _digests(text: str) -> Iterator[str]:
    """Return the beginnings of digests of a text, in the forms in which they are written."""
    content = text.encode()
    for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s", "sha3_256"):
        digest = hashlib.new(name, content).digest()
        yield digest.hex()[:_LEAST]
        yield digest.hex().upper()[:_LEAST]
        yield base64.b32encode(digest).decode()[:_LEAST]
        yield base64.b64encode(digest).decode()[:_LEAST]
        for size in (8, 12, 16, len(digest)):
            yield str(int.from_bytes(digest[:size], "big"))[:_LEAST]
            yield str(int.from_bytes(digest[:size], "little"))[:_LEAST]
    yield str(zlib.crc32(content)).rjust(_LEAST, "#")
    for space in (uuid.NAMESPACE_OID, uuid.NAMESPACE_DNS, uuid.NAMESPACE_URL):
        made = uuid.uuid5(space, text)
        yield str(made.int)[:_LEAST]
        yield made.hex[:_LEAST]
    yield pydicom.uid.generate_uid(prefix="2.25.", entropy_srcs=[text])[5:][:_LEAST]
    yield pydicom.uid.generate_uid(entropy_srcs=[text])[len(pydicom.uid.PYDICOM_ROOT_UID) :][:_LEAST]


def _words(result: Result) -> list[str]:
    """Return what in an output could be a digest: names, numbers and UIDs."""
    if result.output is None:
        return []
    dataset = pydicom.dcmread(BytesIO(result.output), stop_before_pixels=True)
    texts = [
        str(part)
        for element in dataset.iterall()
        if element.VR in ("UI", "PN", "LO", "SH", "UT", "LT")
        for part in (element.value if element.VM > 1 else [element.value])
    ]
    return [word for text in texts for word in [*text.split("."), text] if len(word) >= _LEAST]


def _pseudonyms(results: Iterator[Result]) -> set[str]:
    found = set()
    for result in results:
        if result.output is not None:
            dataset = pydicom.dcmread(BytesIO(result.output), stop_before_pixels=True)
            found |= {
                dataset.PatientID,
                dataset.StudyInstanceUID,
                dataset.SeriesInstanceUID,
                dataset.SOPInstanceUID,
            }
    return found


def _shifts(files: list[CorpusFile]) -> dict[str, set[int]]:
    shifts: dict[str, set[int]] = {}
    for result in cleaned(files, RESEARCH):
        if result.output is None:
            continue
        before, after = (
            pydicom.dcmread(BytesIO(each), stop_before_pixels=True)
            for each in (result.file.content, result.output)
        )
        shifts.setdefault(result.file.subject, set()).add(
            (_day(before.StudyDate) - _day(after.StudyDate)).days
        )
    return shifts


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def _number(name: str, text: str) -> int:
    if name == "crc32":
        return zlib.crc32(text.encode())
    return int.from_bytes(hashlib.new(name, text.encode()).digest(), "big")


def _rank_correlation(values: list[str]) -> float:
    """Return Spearman's rank correlation of values with their places."""
    ranks = {value: rank for rank, value in enumerate(sorted(values))}
    count = len(values)
    squares = sum((place - ranks[value]) ** 2 for place, value in enumerate(values))
    return 1 - 6 * squares / (count * (count**2 - 1))
