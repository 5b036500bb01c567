"""Sequences opened the short way are those that pydicom opens, to the byte in what is written."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from tests.deid.conftest import as_file, ct_dataset

from fairbank.deid import part10, sequences
from fairbank.deid.admission import refusal
from fairbank.deid.elements import stored
from fairbank.deid.engine import Engine
from fairbank.deid.identity import IdentityStore
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Refused


def written(content: bytes, identity: IdentityStore) -> bytes | None:
    with part10.quiet_pydicom():
        try:
            dataset = part10.read(content)
            if refusal(dataset) is not None:
                return None
            Engine(Method(), identity.subject("lung", "one"), frozenset(), "tool").clean(dataset)
            return part10.write(dataset).content
        except Refused:
            return None


def by_pydicom(dataset: Dataset, element: pydicom.DataElement) -> Sequence | None:
    decoded = dataset[element.tag]
    return None if decoded.VR != "SQ" else Sequence(decoded.value or ())


@pytest.mark.parametrize("name", sorted(get_testdata_files("*.dcm")), ids=lambda name: Path(name).name)
def test_bundled_files_come_out_alike(
    name: str, identity: IdentityStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = Path(name).read_bytes()
    quick = written(content, identity)
    monkeypatch.setattr("fairbank.deid.engine.opened", by_pydicom)
    assert quick == written(content, identity)


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_items_are_those_of_pydicom(syntax: str, undefined: bool) -> None:
    source, item, inner = ct_dataset(), Dataset(), Dataset()
    inner.CodeValue, inner.SelectorSSValue, inner.SpecificCharacterSet = "1", -3, "ISO_IR 192"
    item.CodeMeaning, item.Rows, item.AnatomicRegionModifierSequence = "Lunge", 7, Sequence([inner])
    source.AnatomicRegionSequence = Sequence([item, Dataset(), item])
    source["AnatomicRegionSequence"].is_undefined_length = undefined
    content = as_file(source, syntax)
    with part10.quiet_pydicom():
        dataset, again = part10.read(content), part10.read(content)
        opened = sequences.opened(dataset, stored(dataset)[pydicom.tag.BaseTag(0x00082218)])
        assert opened == again.AnatomicRegionSequence
        assert (
            opened is not None
            and opened[0].original_encoding == again.AnatomicRegionSequence[0].original_encoding
        )
        assert opened[0].original_character_set == again.AnatomicRegionSequence[0].original_character_set


def test_what_is_no_sequence_is_none() -> None:
    source = ct_dataset()
    source.add_new(0x00082218, "LO", "Lunge")
    with part10.quiet_pydicom():
        dataset = part10.read(as_file(source))
        assert sequences.opened(dataset, stored(dataset)[pydicom.tag.BaseTag(0x00082218)]) is None
