"""The engine: applies a profile's plan to every element of a dataset, at every depth.

It works on elements as they are in the file: what goes is deleted before it is decoded, what stays is never decoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from dataclasses import dataclass

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID

from fairbank.deid import dates, descriptors
from fairbank.deid._e1_1 import EDITION
from fairbank.deid.elements import UNDEFINED_LENGTH, made, raw_bytes
from fairbank.deid.outcomes import Reason, Refused
from fairbank.deid.plans import Plan, Step, plan_for
from fairbank.deid.profiles import Profile
from fairbank.deid.pseudonyms import SubjectPseudonyms

PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
DUMMY_TEXT = "REMOVED"
DUMMY_CODE = ("0", "99FAIRBANK", "Removed")
_DUMMIES: dict[str, str | bytes] = {
    "AS": "000Y",
    "DA": "19000101",
    "DT": "19000101000000",
    "TM": "000000",
    "DS": "0",
    "IS": "0",
    "UR": "about:blank",
    "OB": b"\0\0",
    "UN": b"\0\0",
}
# DICOM PS3.5, Table 6.2-1, with what devices are known to write besides (lower case, dots, NUL padding).
_FORMS = {
    "CS": re.compile(rb"[A-Za-z0-9_ \\./+-]*\0?"),
    "DS": re.compile(rb"[0-9eE+. \\-]*\0?"),
    "IS": re.compile(rb"[0-9+. \\-]*\0?"),
    "TM": re.compile(rb"[0-9:. \\]*\0?"),
    "SH": re.compile(rb"[+-][0-9]{4} *\0?"),  # only Timezone Offset From UTC is kept by form
}
# What an item of an X/Z/U* sequence keeps: the reference itself (DICOM PS3.3, Tables 10-3 and 10-11) and its purpose.
_REFERENCE_TAGS = frozenset({0x00081150, 0x00081155, 0x00081160, 0x0062000B, 0x0040A170, 0x0028135A})
# Registers of coding schemes (HL7 OID registry): they name a vocabulary, never a person.
_CODING_SCHEME_ROOT = "2.16.840.1.113883.6"


@dataclass(frozen=True, slots=True)
class Engine:
    """Cleans datasets of one subject.

    Args:
        profile: what runs.
        pseudonyms: the subject's pseudonyms in the project.
        own_words: lower-case parts of the subject's own names and numbers, masked in every descriptor.
        tool: name and version of the software, as it goes into the output.
    """

    profile: Profile
    pseudonyms: SubjectPseudonyms
    own_words: Set[str]
    tool: str

    def clean(self, dataset: Dataset) -> None:
        """Clean a top-level dataset in place and mark it as de-identified.

        Raises:
            Refused: if it is truncated.
        """
        _drop_after_pixels(dataset)
        self._clean_level(dataset)
        self._mark(dataset)

    def _clean_level(self, dataset: Dataset) -> None:
        for tag in list(dataset.keys()):
            element = dataset.get_item(tag)
            plan = plan_for(int(tag), element.VR, self.profile)
            if plan.step is Step.REMOVE:
                del dataset[tag]
                continue
            _check_whole(element)
            self._apply(dataset, element, plan)

    def _apply(self, dataset: Dataset, element: DataElement | RawDataElement, plan: Plan) -> None:
        if plan.step is Step.KEEP:
            if element.value is None and isinstance(element, RawDataElement):
                dataset[element.tag] = element._replace(value=b"")
            return
        done = _STEPS[plan.step](self, dataset, element, plan)
        if not done and plan.otherwise is Step.REMOVE:
            del dataset[element.tag]
        elif not done:
            _STEPS[plan.otherwise](self, dataset, element, plan)

    def _well_formed(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        value = raw_bytes(element)
        if isinstance(element, RawDataElement) and element.value is None:
            dataset[element.tag] = element._replace(value=b"")
        return _FORMS[plan.vr].fullmatch(value) is not None

    def _remove(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        del dataset[element.tag]
        return True

    def _empty(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        if plan.vr == "SQ":
            dataset[element.tag] = DataElement(element.tag, "SQ", Sequence())
        else:
            dataset[element.tag] = made(element.tag, plan.vr, b"", like=dataset)
        return True

    def _dummy(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        if plan.vr == "SQ":
            dataset[element.tag] = DataElement(element.tag, "SQ", Sequence([_code_item(*DUMMY_CODE)]))
        else:
            value = _DUMMIES.get(plan.vr, DUMMY_TEXT)
            dataset[element.tag] = made(element.tag, plan.vr, value, like=dataset)
        return True

    def _pseudonym(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        dataset[element.tag] = made(element.tag, plan.vr, self.pseudonyms.subject, like=dataset)
        return True

    def _subject_uid(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        return self._map_uids(dataset, element, self.pseudonyms.uid)

    def _project_uid(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        return self._map_uids(dataset, element, self.pseudonyms.project_uid)

    def _map_uids(self, dataset: Dataset, element: RawDataElement, mapped: Callable[[str], str]) -> bool:
        text = raw_bytes(element).decode("latin-1")
        values = [value.strip(" \0") for value in text.split("\\")]
        new = [value if is_public_uid(value) else mapped(value) for value in values]
        dataset[element.tag] = made(element.tag, "UI", "\\".join(new), like=dataset)
        return True

    def _shift(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        shift = dates.shift_da if plan.vr == "DA" else dates.shift_dt
        text = shift(raw_bytes(element).decode("latin-1"), self.pseudonyms.shift_days)
        return _replaced(dataset, element, plan.vr, text)

    def _cap_age(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        return _replaced(dataset, element, "AS", dates.cap_age(raw_bytes(element).decode("latin-1")))

    def _descriptor(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        # One character per byte: listed words are ASCII, so whatever is not is masked, in any character set.
        text = raw_bytes(element).decode("latin-1").rstrip(" \0")
        if not text:
            return self._empty(dataset, element, plan)
        masked, says_something = descriptors.cleaned(text, own_words=self.own_words)
        if masked == text and text.isascii():
            return True
        return says_something and _replaced(dataset, element, plan.vr, masked)

    def _recurse(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        sequence = dataset[element.tag]
        if sequence.VR != "SQ":
            return False
        for item in sequence.value or ():
            self._clean_level(item)
        return True

    def _references(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        sequence = dataset[element.tag]
        if sequence.VR != "SQ":
            return self._remove(dataset, element, plan)
        for item in sequence.value or ():
            for tag in set(item.keys()) - _REFERENCE_TAGS:
                del item[tag]
            self._clean_level(item)
        return True

    def _mark(self, dataset: Dataset) -> None:
        method = f"{self.tool} {self.profile} PS3.15-{EDITION}"
        codes = Sequence([_code_item(value, "DCM", meaning) for value, meaning in self.profile.codes])
        dataset[0x00120062] = made(0x00120062, "CS", "YES", like=dataset)
        dataset[0x00120063] = made(0x00120063, "LO", method, like=dataset)
        dataset[0x00120064] = DataElement(0x00120064, "SQ", codes)
        dataset[0x00280303] = made(0x00280303, "CS", self.profile.dates_modified, like=dataset)
        for tag, vr in ((0x00100010, "PN"), (0x00100020, "LO")):
            dataset[tag] = made(tag, vr, self.pseudonyms.subject, like=dataset)


def is_public_uid(uid: str) -> bool:
    """Return whether a UID is one that DICOM registers, or names a public coding scheme: it identifies nobody.

    >>> is_public_uid("1.2.840.10008.5.1.4.1.1.2"), is_public_uid("1.2.840.10008.4711")
    (True, False)
    """
    return not uid or UID(uid).type != "" or _is_coding_scheme(uid)


def _is_coding_scheme(uid: str) -> bool:
    root, _, leaf = uid.rpartition(".")
    return root == _CODING_SCHEME_ROOT and leaf.isdigit() and len(leaf) <= 4


def _replaced(dataset: Dataset, element: RawDataElement, vr: str, text: str | None) -> bool:
    if text is None or not text.isascii():
        return False
    dataset[element.tag] = made(element.tag, vr, text, like=dataset)
    return True


def _code_item(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    for tag, vr, text in ((0x00080100, "SH", value), (0x00080102, "SH", scheme), (0x00080104, "LO", meaning)):
        item[tag] = made(tag, vr, text, like=item)
    return item


def _drop_after_pixels(dataset: Dataset) -> None:
    """Remove what stands behind the pixel data in the file: nothing that belongs there outlives cleaning."""
    starts = [_start(dataset.get_item(BaseTag(tag))) for tag in PIXEL_TAGS if BaseTag(tag) in dataset]
    if not starts:
        return
    for tag in list(dataset.keys()):
        if _start(dataset.get_item(tag)) > max(starts):
            del dataset[tag]


def _start(element: DataElement | RawDataElement) -> int:
    place = element.value_tell if isinstance(element, RawDataElement) else element.file_tell
    return place or 0


def _check_whole(element: DataElement | RawDataElement) -> None:
    if not isinstance(element, RawDataElement) or element.length == UNDEFINED_LENGTH:
        return
    if len(element.value or b"") != element.length:
        raise Refused(Reason.TRUNCATED)


_STEPS: dict[Step, Callable[..., bool]] = {
    Step.KEEP_IF_WELL_FORMED: Engine._well_formed,
    Step.REMOVE: Engine._remove,
    Step.EMPTY: Engine._empty,
    Step.DUMMY: Engine._dummy,
    Step.PSEUDONYM: Engine._pseudonym,
    Step.SUBJECT_UID: Engine._subject_uid,
    Step.PROJECT_UID: Engine._project_uid,
    Step.SHIFT: Engine._shift,
    Step.CAP_AGE: Engine._cap_age,
    Step.DESCRIPTOR: Engine._descriptor,
    Step.RECURSE: Engine._recurse,
    Step.REFERENCES: Engine._references,
}
