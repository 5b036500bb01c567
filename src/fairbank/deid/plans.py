"""What is done with an element of a given tag: the table's action, resolved for a profile, a VR and the least trust.

Combined actions are resolved so that the result is conformant whatever the attribute's type in the IOD at hand
(DICOM PS3.15, Annex E.1.1): a dummy value serves types 1, 2 and 3, an empty value types 2 and 3. Sequences, for which
no dummy fits every IOD, are removed instead. What the table does not list is judged by its VR; what the dictionary does
not know is removed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from pydicom.datadict import dictionary_has_tag, dictionary_keyword, dictionary_VR

from fairbank.deid.binary_values import fixed_length
from fairbank.deid.method import Method
from fairbank.deid.recipes.recipe import Action, Statement
from fairbank.deid.rules import Option, Rule, rule_for
from fairbank.deid.standard.codes import CODE_VALUE, MEANING, SCHEME
from fairbank.deid.standard.iods import elements_of


class Step(StrEnum):
    """What the engine does with one element."""

    KEEP = "keep"
    KEEP_IF_WELL_FORMED = "keep-if-well-formed"
    KEEP_IF_SOUND = "keep-if-sound"
    KEEP_DATE = "keep-date"
    REMOVE = "remove"
    EMPTY = "empty"
    DUMMY = "dummy"
    PSEUDONYM = "pseudonym"
    SUBJECT_UID = "subject-uid"
    PROJECT_UID = "project-uid"
    SHIFT = "shift"
    CAP_AGE = "cap-age"
    DESCRIPTOR = "descriptor"
    TERMS = "terms"
    NAMED = "named"
    CODE = "code"
    KEEP_IF_NOT_OWN = "keep-if-not-own"
    RECURSE = "recurse"
    REFERENCES = "references"
    CONTENT = "content"
    OBSERVERS = "observers"
    CONSTANT = "constant"


@dataclass(frozen=True, slots=True)
class Plan:
    """A step, what to do when the value does not have the form that the step needs, and the VR of new values.

    `length` is how many bytes a value has that is kept; 0 where that is not fixed.
    """

    step: Step
    otherwise: Step
    vr: str
    length: int = 0


_REMOVE = Plan(Step.REMOVE, Step.REMOVE, "UN")
# Sequences of action D whose dummy is one code item; no dummy of the others would fit every IOD, so they are removed.
CODE_SEQUENCES = frozenset({0x00401101})
_TIMEZONE = 0x00080201
_PSEUDONYM_TAGS = frozenset({0x00100010, 0x00100020})
# Equipment, templates and palettes are shared by subjects: their UIDs must map alike in every subject's files.
_PROJECT_UID_TAGS = frozenset(
    {0x00080014, 0x00181002, 0x0018100B, 0x00281199, 0x00281214, 0x0040DB0C, 0x0040DB0D}
)
# Type 2 in structured documents, type 3 elsewhere: empty fits both.
_EMPTIED_SEQUENCES = frozenset({0x00081111})
# Verifying Observer Sequence: a verified document needs one, whose parts each have a rule of their own.
_VERIFYING_OBSERVERS = 0x0040A073
# Sequences of content items (DICOM PS3.3, section 10.2 and C.17.3): cleaned by what each item is about.
_CONTENT_ITEMS = frozenset({0x0040A730, 0x00400555, 0x00400612})
# Graphic Layer and Content Label: Clean Graphics has given them names that say nothing (`graphics.py`).
_NEUTRALLY_NAMED = frozenset({0x00700002, 0x00700080})
# Sequences whose own text the option cleans: the rest is geometry, samples and references, judged element by element.
_CLEANED_WITHIN = frozenset({0x00700001, 0x0040B020, 0x00400610})
# What stands in the place of a value that cannot stay, by the type of the attribute (DICOM PS3.5, section 7.4).
_INSTEAD = {1: Step.DUMMY, 2: Step.EMPTY, 3: Step.REMOVE}
_FREE_TEXT = frozenset({"ST", "LT", "UT", "UC"})
_SHORT_TEXT = frozenset({"LO", "SH"})
_WELL_FORMED = frozenset({"DS", "IS", "TM", "UI"})
_CODES = frozenset({CODE_VALUE, SCHEME, MEANING})
_UNLISTED_TYPE = _OPTIONAL = 3
# Pixel data and their offset tables: judged whole, before (`admission.py`, `fragments.py`).
_PIXELS = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00008, 0x7FE00009, 0x7FE00010})
_NAMED = frozenset({0x00209421})  # Dimension Description Label: names an attribute
_CODING_SCHEME_VERSION = 0x00080103
# VRs that devices confuse without meaning anything by it.
_FAMILIES = (frozenset({"LO", "SH", "UC"}), frozenset({"ST", "LT", "UT"}), frozenset({"DS", "IS"}))
_DESCRIPTIVE = re.compile(
    r"(Description|Comments?|Explanation|Label|Notes|Reason|Text|Definition|Title|Trial|Instruction)$"
)
# Not in Table E.1-1, yet made to hold an identifier, a date or a place: removed by every profile.
_ALSO_REMOVED = frozenset(
    {
        0x00080041,  # Data Set Subtype: free text of old devices
        0x00100033,  # Patient's Birth Date in Alternative Calendar
        0x00100034,  # Patient's Death Date in Alternative Calendar
        0x00102295,  # Breed Registration Number
        0x00140100,  # Component Welder IDs
        0x00181803,  # NTP Source Address
        0x00400031,  # Local Namespace Entity ID
        0x00400032,  # Universal Entity ID
        0x00400400,  # Comments on the Scheduled Procedure Step
        0x00401006,  # Placer Order Number / Procedure
        0x00401007,  # Filler Order Number / Procedure
        0x00402006,  # Placer Order Number / Imaging Service Request (retired)
        0x00402007,  # Filler Order Number / Imaging Service Request (retired)
        0x00440012,  # Substance Administration Device ID
        0x0074100C,  # Contact Display Name
        0x21000160,  # Owner ID
        0x22000004,  # Media Disposition
        0x04000120,  # Signature
        0x04000520,  # Encrypted Content
        0x00686300,  # HPGL Document: a drawing that may write
        0x0040A074,  # Object Binary Identifier (Trial)
        0x0040A089,  # Object Directory Binary Identifier (Trial)
        0x0008041B,  # Record Key
        0x0008041C,  # Prior Record Key
        0xFFFAFFFA,  # Digital Signatures Sequence: void once the content has changed
        0xFFFCFFFC,  # Data Set Trailing Padding
    }
)
# Commands, file meta (rebuilt), media directories, printing and media creation, retired text and results, airport
# security: none belongs in a stored image. Curves and overlays go whole, since the table removes what they are about.
_REMOVED_GROUPS = frozenset(
    {0x0000, 0x0002, 0x0004, 0x2000, 0x2010, 0x2020, 0x2030, 0x2040, 0x2100, 0x2110, 0x2120, 0x2130, 0x2200}
    | {0x4000, 0x4008, 0x4010}
)


class Plans(dict[tuple[int, str | None], Plan]):
    """The plans of a method for a SOP class, made when asked for, by tag and VR in the file (None in implicit VR)."""

    def __init__(self, method: Method, sop_class: str | None) -> None:
        super().__init__()
        self._method = method
        self._allowed = None if sop_class is None else elements_of(sop_class) or {}

    def __missing__(self, key: tuple[int, str | None]) -> Plan:
        plan = self[key] = plan_for(*key, self._method, self._allowed)
        return plan


@lru_cache(maxsize=256)
def plans_of(method: Method, sop_class: str | None = None) -> Plans:
    """Return the plans of a method, kept from one file to the next.

    Args:
        method: how the collection is de-identified.
        sop_class: whose elements may stay; None for those of any object. Of an unknown class nothing stays.
    """
    return Plans(method, sop_class)


def plan_for(
    tag: int, encoded_vr: str | None, method: Method, allowed: Mapping[int, int] | None = None
) -> Plan:
    """Return what to do with an element.

    Args:
        tag: the element's number.
        encoded_vr: the VR written in the file; None in implicit VR.
        method: how the collection is de-identified.
        allowed: the elements that may be there, and their types; None for all that the dictionary knows.
    """
    group = tag >> 16
    removed_group = group in _REMOVED_GROUPS or 0x5000 <= group <= 0x50FF or 0x6000 <= group <= 0x60FF
    if group % 2 or removed_group or tag & 0xFFFF == 0 or tag in _ALSO_REMOVED:
        return _REMOVE
    if not dictionary_has_tag(tag) or (allowed is not None and tag not in allowed):
        return _REMOVE
    vr, keyword = dictionary_VR(tag), dictionary_keyword(tag)
    if tag in _PSEUDONYM_TAGS:
        return Plan(Step.PSEUDONYM, Step.PSEUDONYM, vr)
    rule = rule_for(tag)
    need = allowed[tag] if allowed is not None else None
    if rule is None:
        plan = _unlisted(tag, vr, keyword, method, _INSTEAD[need or _UNLISTED_TYPE])
    else:
        plan = _listed(tag, vr, rule, method, need)
    if method.recipe is not None:
        plan = _by_recipe(plan, method.recipe.statement_on(tag))
    return plan if _agrees(encoded_vr, vr) else _distrusted(plan)


def _by_recipe(plan: Plan, statement: Statement | None) -> Plan:
    """Return a plan made stricter by a recipe; what it keeps is what the profile keeps (`Recipe.check`)."""
    if statement is None or statement.action in (Action.KEEP, Action.JITTER, Action.ADD):
        return plan
    if statement.action is Action.REPLACE and statement.value is None:
        return plan
    if statement.action is Action.REMOVE or plan.step is Step.REMOVE:
        return _REMOVE
    if statement.action is Action.REPLACE:
        return Plan(Step.CONSTANT, Step.REMOVE, plan.vr)
    return Plan(Step.EMPTY, Step.REMOVE, plan.vr)


def _listed(tag: int, vr: str, rule: Rule, method: Method, need: int | None) -> Plan:
    basic = _basic_step(tag, vr, rule.basic)
    if basic is Step.EMPTY and rule.basic == "X/Z" and vr == "SQ" and need == _OPTIONAL:
        # An optional sequence without items breaks the rule that it has one or more; X is what is left.
        basic = Step.REMOVE
    marks = {rule.options[option] for option in method.options if option in rule.options}
    if tag == _VERIFYING_OBSERVERS and Option.CLEAN_STRUCTURED_CONTENT in method.options:
        return Plan(Step.OBSERVERS, Step.REMOVE, vr)
    if "C" in marks:
        return Plan(_cleaned_step(tag, vr, basic), basic, vr)
    if "K" in marks:
        return Plan(_kept_step(tag, vr), basic, vr, fixed_length(tag, vr))
    return Plan(basic, Step.REMOVE, vr)


def _basic_step(tag: int, vr: str, action: str) -> Step:
    if action == "X/Z/U*":
        return Step.REFERENCES
    if action == "U" or vr == "UI":
        return Step.REMOVE if action == "X" else _uid_step(tag)
    if action == "X":
        return Step.REMOVE
    if action in ("Z", "X/Z"):
        return Step.EMPTY
    if tag in _EMPTIED_SEQUENCES:
        return Step.EMPTY
    if vr == "SQ" and tag not in CODE_SEQUENCES:
        return Step.REMOVE
    return Step.DUMMY


def _cleaned_step(tag: int, vr: str, basic: Step) -> Step:
    """Return how a C action cleans; what cannot be cleaned word by word falls back on the basic action."""
    if tag in _CONTENT_ITEMS:
        return Step.CONTENT
    if tag in _CLEANED_WITHIN:
        return Step.RECURSE
    if vr in ("DA", "DT"):
        return Step.SHIFT
    if vr == "TM" or tag == _TIMEZONE:
        return Step.KEEP_IF_WELL_FORMED
    if vr in _FREE_TEXT | _SHORT_TEXT:
        return Step.DESCRIPTOR
    return basic


def _kept_step(tag: int, vr: str) -> Step:
    """Return how a K action keeps: only what has the form of its VR and is not the subject's own; ages are capped."""
    if vr == "CS":
        return Step.TERMS
    if vr in _SHORT_TEXT | _FREE_TEXT:
        return Step.KEEP_IF_NOT_OWN
    if vr == "SQ":
        return Step.RECURSE
    if vr in ("DA", "DT"):
        return Step.KEEP_DATE
    if vr == "AS":
        return Step.CAP_AGE
    return _form_step(tag, vr)


def _unlisted(tag: int, vr: str, keyword: str, method: Method, instead: Step) -> Plan:
    """Return the plan of an element that the table does not list; `instead` fits its type where no value can stay."""
    if tag in _CODES:
        return Plan(Step.CODE, Step.REMOVE, vr)
    if vr == "SQ":
        content = tag in _CONTENT_ITEMS and Option.CLEAN_STRUCTURED_CONTENT in method.options
        return Plan(Step.CONTENT if content else Step.RECURSE, Step.REMOVE, vr)
    if vr in ("DA", "DT", "TM"):
        return _unlisted_date(vr, method)
    if vr == "UI" and Option.RETAIN_UIDS in method.options:
        return Plan(Step.KEEP_IF_WELL_FORMED, Step.REMOVE, vr)
    if vr == "UI":
        return Plan(Step.PROJECT_UID if tag == 0x0008010C else _uid_step(tag), Step.REMOVE, vr)
    if vr == "PN":
        return Plan(Step.EMPTY, Step.REMOVE, vr)
    if vr in ("AE", "UR", "UN", "NONE"):
        return _REMOVE
    if vr == "AS":
        return Plan(Step.CAP_AGE, Step.REMOVE, vr)
    if vr in _FREE_TEXT or (vr in _SHORT_TEXT and tag not in _NAMED and _DESCRIPTIVE.search(keyword)):
        return Plan(Step.DESCRIPTOR, Step.DUMMY, vr)
    if vr == "CS":
        named = tag in _NEUTRALLY_NAMED and Option.CLEAN_GRAPHICS in method.options
        return Plan(Step.KEEP_IF_WELL_FORMED if named else Step.TERMS, instead, vr)
    if vr in _SHORT_TEXT:
        return Plan(Step.NAMED, Step.REMOVE if tag == _CODING_SCHEME_VERSION else instead, vr)
    return Plan(_form_step(tag, vr), Step.REMOVE, vr, fixed_length(tag, vr))


def _form_step(tag: int, vr: str) -> Step:
    """Return how a number, a table or a signal is kept."""
    if vr in _WELL_FORMED:
        return Step.KEEP_IF_WELL_FORMED
    return Step.KEEP if tag in _PIXELS or fixed_length(tag, vr) else Step.KEEP_IF_SOUND


def _unlisted_date(vr: str, method: Method) -> Plan:
    full = Option.RETAIN_FULL_DATES in method.options
    if not full and Option.RETAIN_MODIFIED_DATES not in method.options:
        return Plan(Step.EMPTY, Step.REMOVE, vr)
    if vr == "TM":
        return Plan(Step.KEEP_IF_WELL_FORMED, Step.EMPTY, vr)
    return Plan(Step.KEEP_DATE if full else Step.SHIFT, Step.EMPTY, vr)


def _uid_step(tag: int) -> Step:
    return Step.PROJECT_UID if tag in _PROJECT_UID_TAGS else Step.SUBJECT_UID


def _agrees(encoded: str | None, vr: str) -> bool:
    """Return whether the VR in the file is one that the dictionary allows, or says nothing (implicit, UN)."""
    if encoded is None or encoded == "UN" or encoded in vr.split(" or "):
        return True
    return any(encoded in family and vr in family for family in _FAMILIES)


def _distrusted(plan: Plan) -> Plan:
    """Return a plan that makes a new value, or none, because the one in the file has a VR that it cannot have."""
    new_value = (Step.EMPTY, Step.DUMMY, Step.PSEUDONYM, Step.SUBJECT_UID, Step.PROJECT_UID)
    if plan.step in new_value:
        return plan
    return Plan(plan.otherwise, Step.REMOVE, plan.vr) if plan.otherwise in new_value else _REMOVE
