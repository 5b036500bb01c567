"""The engine: applies a profile's plan to every element of a dataset, at every depth.

It works on elements as they are in the file: what goes is deleted before it is decoded, what stays is never decoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from dataclasses import dataclass, field, replace
from functools import lru_cache

from pydicom._uid_dict import UID_dictionary
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from fairbank.deid import dates, descriptors, graphics, safe_private
from fairbank.deid._e1_1 import EDITION
from fairbank.deid.actions import NestedActions, count_nested
from fairbank.deid.binary_values import ICC_PROFILE, bytes_of, is_sound, reads_as_text
from fairbank.deid.elements import UNDEFINED_LENGTH, made, put, raw_bytes, stored, text_of, words_of
from fairbank.deid.encoding import Encoding
from fairbank.deid.icc_profiles import cleaned_profile, srgb_profile
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason, Refused
from fairbank.deid.pixels.work import UNTOUCHED, PixelWork
from fairbank.deid.plans import Plan, Plans, Step, plans_of
from fairbank.deid.pseudonyms import SubjectPseudonyms
from fairbank.deid.recipes.selectors import PrivateElement
from fairbank.deid.rules import Option
from fairbank.deid.sequences import opened
from fairbank.deid.standard import codes, texts
from fairbank.deid.standard.iods import elements_of
from fairbank.deid.standard.terms import is_term
from fairbank.deid.structured import content_items, content_tree

_FIRST_OF_PIXELS = 0x7FE00000
_COLOR_SPACE = 0x00282002
_LEAST_WORD = 6
PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
CLEAN_PIXEL_DATA = ("113101", "Clean Pixel Data Option")
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
    "DS": re.compile(rb"[0-9eE+. \\-]*\0?"),
    "IS": re.compile(rb"[0-9+. \\-]*\0?"),
    "TM": re.compile(rb"[0-9:. \\]*\0?"),
    "UI": re.compile(rb"[0-9.\\]*[ \0]?"),
    **dict.fromkeys(("LO", "SH", "UC"), re.compile(rb"[^\0-\x1a\x1c-\x1f\x7f]*\0?")),
    **dict.fromkeys(("ST", "LT", "UT"), re.compile(rb"[^\0-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]*\0?")),
}
_FORMS_BY_TAG = {
    0x00080201: re.compile(rb"[+-][0-9]{4} *\0?"),  # Timezone Offset From UTC
    0x00700002: re.compile(rb"LAYER\d{1,5} ?"),  # Graphic Layer and Content Label, as graphics.py names them
    0x00700080: re.compile(rb"LABEL ?"),
}
# What stands in the place of one of several values of a coded string.
_OTHER_TERM = "OTHER"
# What an item of an X/Z/U* sequence keeps: the reference itself (DICOM PS3.3, Tables 10-3 and 10-11) and its purpose.
_REFERENCE_TAGS = frozenset({0x00081150, 0x00081155, 0x00081160, 0x0062000B, 0x0040A170, 0x0028135A})
# Registers of coding schemes (HL7 OID registry): they name a vocabulary, never a person.
_CODING_SCHEME_ROOT = "2.16.840.1.113883.6"


@dataclass(frozen=True, slots=True)
class Engine:
    """Cleans datasets of one subject.

    Args:
        method: what runs.
        pseudonyms: the subject's pseudonyms in the project.
        own_words: lower-case parts of the subject's own names and numbers, masked in every descriptor.
        tool: name and version of the software, as it goes into the output.
        work: what was done with the pixels before, as far as the output has to say so.
        plans: what becomes of each element; those of the dataset's SOP class where they are not given.
        nested: what became of elements in items of sequences, which `clean` adds to.
    """

    method: Method
    pseudonyms: SubjectPseudonyms
    own_words: Set[str]
    tool: str
    work: PixelWork = UNTOUCHED
    plans: Plans | None = field(default=None, repr=False)
    nested: NestedActions = field(default_factory=dict, repr=False, compare=False)

    def clean(self, dataset: Dataset) -> None:
        """Clean a top-level dataset in place and mark it as de-identified.

        Raises:
            Refused: if it is truncated, or of an unknown SOP class.
        """
        sop_class = text_of(dataset, 0x00080016)
        if elements_of(sop_class) is None:
            raise Refused(Reason.UNKNOWN_SOP_CLASS)
        _drop_after_pixels(dataset)
        if Option.CLEAN_STRUCTURED_CONTENT in self.method.options:
            content_tree.prune(dataset, self.method.options)
        if Option.CLEAN_GRAPHICS in self.method.options:
            graphics.name_layers(dataset)
        if self.method.recipe is not None:
            self.method.recipe.apply_values(dataset)
        replace(self, plans=self.plans or plans_of(self.method, sop_class))._clean_level(dataset)
        if self.method.recipe is not None:
            self.method.recipe.add_to(dataset)
        self._mark(dataset)

    def _clean_level(self, dataset: Dataset) -> None:
        plans = plans_of(self.method) if self.plans is None else self.plans
        settled = self._keep_private(dataset)
        elements = stored(dataset)
        for tag, element in list(elements.items()):
            if tag in settled:
                continue
            plan = plans[int(tag), element.VR]
            if plan.step is Step.REMOVE:
                del elements[tag]
                continue
            _check_whole(element)
            self._apply(dataset, element, plan)

    def _clean_item(self, item: Dataset) -> None:
        before = dict(stored(item))
        self._clean_within(item)
        count_nested(self.nested, before, stored(item))

    def _clean_within(self, item: Dataset) -> None:
        """Clean an item of a sequence: no picture and no offset table stands there that stays (icons go)."""
        elements = stored(item)
        for tag in [tag for tag in elements if tag >= _FIRST_OF_PIXELS]:
            del elements[tag]
        self._clean_level(item)

    def _keep_private(self, dataset: Dataset) -> Set[int]:
        """Return which private elements of a level stay, with whatever they hold already cleaned."""
        if Option.RETAIN_SAFE_PRIVATE not in self.method.options:
            return frozenset()
        return safe_private.keep(
            dataset,
            clean_item=self._clean_item,
            mapped=self._mapped_uid,
            own_words=self.own_words,
            removes=self._recipe_removes,
        )

    def _recipe_removes(self, creator: str, group: int, element: int) -> bool:
        recipe = self.method.recipe
        return recipe is not None and recipe.removes_private(PrivateElement(group, creator, element))

    def _apply(self, dataset: Dataset, element: DataElement | RawDataElement, plan: Plan) -> None:
        if plan.step is Step.KEEP:
            value = element.value if isinstance(element, RawDataElement) else bytes_of(element)
            if value is None and isinstance(element, RawDataElement):
                put(dataset, element._replace(value=b""))
            elif plan.length and not _has_length(value or b"", plan.length):
                del stored(dataset)[element.tag]
            return
        done = _STEPS[plan.step](self, dataset, element, plan)
        if not done and plan.otherwise is Step.REMOVE:
            del stored(dataset)[element.tag]
        elif not done:
            _STEPS[plan.otherwise](self, dataset, element, plan)

    def _well_formed(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        value = raw_bytes(element)
        if isinstance(element, RawDataElement) and element.value is None:
            put(dataset, element._replace(value=b""))
        form = _FORMS_BY_TAG.get(int(element.tag)) or _FORMS[plan.vr]
        return form.fullmatch(value) is not None

    def _sound(self, dataset: Dataset, element: DataElement | RawDataElement, plan: Plan) -> bool:
        value, tag = bytes_of(element), int(element.tag)
        if tag != ICC_PROFILE:
            return is_sound(dataset, tag, value) and self._keep(dataset, element)
        profile = cleaned_profile(bytes(value))
        if profile is None and words_of(dataset, _COLOR_SPACE) == "SRGB":
            profile = srgb_profile()
        if profile is not None:
            put(dataset, made(tag, "OB", profile, like=dataset))
        return profile is not None

    def _keep_date(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        """Keep a date as it is if it is one: moving it by no day tells."""
        text = raw_bytes(element).decode("latin-1")
        return (dates.shift_da if plan.vr == "DA" else dates.shift_dt)(text, 0) is not None

    def _remove(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        del stored(dataset)[element.tag]
        return True

    def _empty(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        if plan.vr == "SQ":
            put(dataset, DataElement(element.tag, "SQ", Sequence()))
        else:
            put(dataset, made(element.tag, plan.vr, b"", like=dataset))
        return True

    def _dummy(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        if plan.vr == "SQ":
            dataset[element.tag] = DataElement(element.tag, "SQ", Sequence([_code_item(*DUMMY_CODE)]))
        else:
            value = _DUMMIES.get(plan.vr, DUMMY_TEXT)
            put(dataset, made(element.tag, plan.vr, value, like=dataset))
        return True

    def _pseudonym(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        put(dataset, made(element.tag, plan.vr, self.pseudonyms.subject, like=dataset))
        return True

    def _subject_uid(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        return self._map_uids(dataset, element, self.pseudonyms.uid)

    def _project_uid(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        return self._map_uids(dataset, element, self.pseudonyms.project_uid)

    def _mapped_uid(self, uid: str) -> str:
        keeps = Option.RETAIN_UIDS in self.method.options or is_public_uid(uid)
        return uid if keeps else self.pseudonyms.uid(uid)

    def _map_uids(self, dataset: Dataset, element: RawDataElement, mapped: Callable[[str], str]) -> bool:
        value = raw_bytes(element)
        new = _public_uids(value)
        if new is None:
            values = [one.strip(" \0") for one in value.decode("latin-1").split("\\")]
            new = "\\".join(one if is_public_uid(one) else mapped(one) for one in values).encode("ascii")
        put(dataset, made(element.tag, "UI", new, like=dataset))
        return True

    def _shift(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        shift = dates.shift_da if plan.vr == "DA" else dates.shift_dt
        text = shift(raw_bytes(element).decode("latin-1"), self.pseudonyms.shift_days)
        return _replaced(dataset, element, plan.vr, text)

    def _cap_age(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        return _replaced(dataset, element, "AS", dates.cap_age(raw_bytes(element).decode("latin-1")))

    def _descriptor(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        # One character per byte: words are listed as their bytes, so whatever is not is masked, in any character set.
        text = raw_bytes(element).decode("latin-1").rstrip(" \0")
        if not text:
            return self._empty(dataset, element, plan)
        masked, says_something = descriptors.cleaned(text, own_words=self.own_words)
        if masked == text:
            return True
        if says_something:
            put(dataset, made(element.tag, plan.vr, masked.encode("latin-1"), like=dataset))
        return says_something

    def _terms(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        text = raw_bytes(element).decode("latin-1")
        values = [value.strip(" \0") for value in text.split("\\")]
        passed = [is_term(int(element.tag), value, self.own_words) for value in values]
        if all(passed):
            return self._keep(dataset, element)
        if not any(ok and value for ok, value in zip(passed, values, strict=True)):
            return False
        new = [value if ok else _OTHER_TERM for ok, value in zip(passed, values, strict=True)]
        return _replaced(dataset, element, plan.vr, "\\".join(new))

    def _named(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        text = raw_bytes(element).decode("latin-1")
        new = texts.cleaned(int(element.tag), text, self.own_words)
        return self._keep(dataset, element) if new == text else _replaced(dataset, element, plan.vr, new)

    def _keep_if_not_own(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        value = raw_bytes(element)
        if _FORMS[plan.vr].fullmatch(value) is None or texts.names_subject(
            value.decode("latin-1"), self.own_words
        ):
            return False
        return self._keep(dataset, element)

    def _code(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        stated = raw_bytes(element).decode("latin-1").strip(" \0")
        scheme = text_of(dataset, codes.SCHEME)
        new: str | None = stated
        if element.tag == codes.SCHEME and not codes.is_public_scheme(stated):
            new = DUMMY_CODE[1]
        elif element.tag == codes.CODE_VALUE and not codes.is_public_code(scheme, stated, self.own_words):
            new = DUMMY_CODE[0]
        elif element.tag == codes.MEANING:
            new = (
                codes.meaning(scheme, text_of(dataset, codes.CODE_VALUE), stated, self.own_words)
                or DUMMY_CODE[2]
            )
        if new == stated or not stated:
            return self._keep(dataset, element)
        return _replaced(dataset, element, plan.vr, new)

    def _keep(self, dataset: Dataset, element: DataElement | RawDataElement) -> bool:
        if element.value is None and isinstance(element, RawDataElement):
            put(dataset, element._replace(value=b""))
        return True

    def _recurse(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        items = opened(dataset, element)
        if items is None:
            return False
        for item in items:
            self._clean_item(item)
        return True

    def _content(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        items = opened(dataset, element)
        if items is None:
            return False
        options = self.method.options
        staying = [item for item in items if content_tree.stays(item, options)]
        for item in staying:
            before = dict(stored(item))
            settled = content_items.settle(item, options)
            self._clean_within(item)
            for kept in settled:
                put(item, kept)
            count_nested(self.nested, before, stored(item))
        put(dataset, DataElement(element.tag, "SQ", Sequence(staying)))
        return True

    def _constant(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        recipe = self.method.recipe
        statement = None if recipe is None else recipe.statement_on(int(element.tag))
        if statement is None or statement.value is None:
            return False
        return _replaced(dataset, element, plan.vr, statement.value)

    def _references(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        return self._narrowed(dataset, element, _REFERENCE_TAGS)

    def _observers(self, dataset: Dataset, element: RawDataElement, plan: Plan) -> bool:
        return self._narrowed(dataset, element, content_tree.OF_AN_OBSERVER)

    def _narrowed(self, dataset: Dataset, element: RawDataElement, tags: Set[int]) -> bool:
        """Clean the items of a sequence of which only some elements may stay at all."""
        items = opened(dataset, element)
        if items is None:
            del stored(dataset)[element.tag]
            return True
        for item in items:
            before = dict(stored(item))
            for tag in set(item.keys()) - tags:
                del item[tag]
            self._clean_within(item)
            count_nested(self.nested, before, stored(item))
        return True

    def _mark(self, dataset: Dataset) -> None:
        method = f"{self.tool} {self.method.profile} PS3.15-{EDITION}"
        ran = sorted({*self.method.codes, *([CLEAN_PIXEL_DATA] if self.work.cleaned else [])})
        put(dataset, made(0x00120062, "CS", "YES", like=dataset))
        put(dataset, made(0x00120063, "LO", method, like=dataset))
        put(
            dataset, made(0x00120064, "SQ", _code_items(tuple(ran), *dataset.original_encoding), like=dataset)
        )
        put(dataset, made(0x00280303, "CS", self.method.dates_modified, like=dataset))
        if self.work.burned_in is not None:
            put(dataset, made(0x00280301, "CS", self.work.burned_in, like=dataset))
        for tag, vr in ((0x00100010, "PN"), (0x00100020, "LO")):
            put(dataset, made(tag, vr, self.pseudonyms.subject, like=dataset))


@lru_cache(maxsize=1024)
def _public_uids(value: bytes) -> bytes | None:
    """Return the value of a UI element without padding, if all its UIDs are public; else None."""
    values = [one.strip(" \0") for one in value.decode("latin-1").split("\\")]
    return "\\".join(values).encode("ascii") if all(map(is_public_uid, values)) else None


def is_public_uid(uid: str) -> bool:
    """Return whether a UID is one that DICOM registers, or names a public coding scheme: it identifies nobody.

    >>> is_public_uid("1.2.840.10008.5.1.4.1.1.2"), is_public_uid("1.2.840.10008.4711")
    (True, False)
    """
    return not uid or uid in UID_dictionary or _is_coding_scheme(uid)


def _is_coding_scheme(uid: str) -> bool:
    root, _, leaf = uid.rpartition(".")
    return root == _CODING_SCHEME_ROOT and leaf.isdigit() and len(leaf) <= 4


def _replaced(dataset: Dataset, element: RawDataElement, vr: str, text: str | None) -> bool:
    if text is None or not text.isascii():
        return False
    put(dataset, made(element.tag, vr, text, like=dataset))
    return True


def _code_item(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    for tag, vr, text in ((0x00080100, "SH", value), (0x00080102, "SH", scheme), (0x00080104, "LO", meaning)):
        item[tag] = made(tag, vr, text, like=item)
    return item


@lru_cache(maxsize=256)
def _code_items(ran: tuple[tuple[str, str], ...], implicit: bool | None, little: bool | None) -> bytes:
    """Return the items of a code sequence of DCM codes in an encoding."""
    items = [_code_item(value, "DCM", meaning) for value, meaning in ran]
    return Encoding(bool(implicit), little is not False).items(items)


def _drop_after_pixels(dataset: Dataset) -> None:
    """Remove what stands behind the pixel data in the file: nothing that belongs there outlives cleaning."""
    elements = stored(dataset)
    starts = [_start(elements[BaseTag(tag)]) for tag in PIXEL_TAGS if tag in elements]
    if not starts:
        return
    last = max(starts)
    for tag in [tag for tag, element in elements.items() if _start(element) > last]:
        del elements[tag]


def _has_length(value: bytes, length: int) -> bool:
    """Return whether a value of numbers has the bytes that it always has, or none, and they are no letters."""
    if len(value) != length:
        return not value
    return length < _LEAST_WORD or not reads_as_text(value, 0)


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
    Step.KEEP_IF_SOUND: Engine._sound,
    Step.KEEP_DATE: Engine._keep_date,
    Step.CONTENT: Engine._content,
    Step.OBSERVERS: Engine._observers,
    Step.CONSTANT: Engine._constant,
    Step.REMOVE: Engine._remove,
    Step.EMPTY: Engine._empty,
    Step.DUMMY: Engine._dummy,
    Step.PSEUDONYM: Engine._pseudonym,
    Step.SUBJECT_UID: Engine._subject_uid,
    Step.PROJECT_UID: Engine._project_uid,
    Step.SHIFT: Engine._shift,
    Step.CAP_AGE: Engine._cap_age,
    Step.DESCRIPTOR: Engine._descriptor,
    Step.TERMS: Engine._terms,
    Step.NAMED: Engine._named,
    Step.CODE: Engine._code,
    Step.KEEP_IF_NOT_OWN: Engine._keep_if_not_own,
    Step.RECURSE: Engine._recurse,
    Step.REFERENCES: Engine._references,
}
