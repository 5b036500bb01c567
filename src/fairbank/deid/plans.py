"""What is done with an element of a given tag: the table's action, resolved for a profile, a VR and the least trust.

Combined actions are resolved so that the result is conformant whatever the attribute's type in the IOD at hand
(DICOM PS3.15, Annex E.1.1): a dummy value serves types 1, 2 and 3, an empty value types 2 and 3. Sequences, for which
no dummy fits every IOD, are removed instead. What the table does not list is judged by its VR; what the dictionary does
not know is removed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from pydicom.datadict import dictionary_has_tag, dictionary_keyword, dictionary_VR

from fairbank.deid.profiles import Profile
from fairbank.deid.rules import Option, Rule, rule_for


class Step(StrEnum):
    """What the engine does with one element."""

    KEEP = "keep"
    KEEP_IF_WELL_FORMED = "keep-if-well-formed"
    REMOVE = "remove"
    EMPTY = "empty"
    DUMMY = "dummy"
    PSEUDONYM = "pseudonym"
    SUBJECT_UID = "subject-uid"
    PROJECT_UID = "project-uid"
    SHIFT = "shift"
    CAP_AGE = "cap-age"
    DESCRIPTOR = "descriptor"
    RECURSE = "recurse"
    REFERENCES = "references"


@dataclass(frozen=True, slots=True)
class Plan:
    """A step, what to do when the value does not have the form that the step needs, and the VR of new values."""

    step: Step
    otherwise: Step
    vr: str


_REMOVE = Plan(Step.REMOVE, Step.REMOVE, "UN")
# Sequences of action D whose dummy is one code item; no dummy of the others would fit every IOD, so they are removed.
CODE_SEQUENCES = frozenset({0x00401101})
_PSEUDONYM_TAGS = frozenset({0x00100010, 0x00100020})
# Equipment, templates and palettes are shared by subjects: their UIDs must map alike in every subject's files.
_PROJECT_UID_TAGS = frozenset(
    {0x00080014, 0x00181002, 0x0018100B, 0x00281199, 0x00281214, 0x0040DB0C, 0x0040DB0D}
)
_FREE_TEXT = frozenset({"ST", "LT", "UT", "UC"})
_SHORT_TEXT = frozenset({"LO", "SH"})
_WELL_FORMED = frozenset({"CS", "DS", "IS", "TM"})
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


@lru_cache(maxsize=65_536)
def plan_for(tag: int, encoded_vr: str | None, profile: Profile) -> Plan:
    """Return what to do with an element.

    Args:
        tag: the element's number.
        encoded_vr: the VR written in the file; None in implicit VR.
        profile: the profile that runs.
    """
    group = tag >> 16
    removed_group = group in _REMOVED_GROUPS or 0x5000 <= group <= 0x50FF or 0x6000 <= group <= 0x60FF
    if group % 2 or removed_group or tag & 0xFFFF == 0 or tag in _ALSO_REMOVED:
        return _REMOVE
    if not dictionary_has_tag(tag):
        return _REMOVE
    vr, keyword = dictionary_VR(tag), dictionary_keyword(tag)
    if tag in _PSEUDONYM_TAGS:
        return Plan(Step.PSEUDONYM, Step.PSEUDONYM, vr)
    rule = rule_for(tag)
    plan = _unlisted(tag, vr, keyword, profile) if rule is None else _listed(tag, vr, rule, profile)
    return plan if _agrees(encoded_vr, vr) else _distrusted(plan)


def _listed(tag: int, vr: str, rule: Rule, profile: Profile) -> Plan:
    basic = _basic_step(tag, vr, rule.basic)
    marks = {rule.options[option] for option in profile.options if option in rule.options}
    if "C" in marks:
        return Plan(_cleaned_step(vr, basic, rule), basic, vr)
    if "K" in marks:
        return Plan(_kept_step(vr), basic, vr)
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
    if vr == "SQ" and tag not in CODE_SEQUENCES:
        return Step.REMOVE
    return Step.DUMMY


def _cleaned_step(vr: str, basic: Step, rule: Rule) -> Step:
    """Return how a C action cleans; what cannot be cleaned word by word falls back on the basic action."""
    if vr in ("DA", "DT"):
        return Step.SHIFT
    if vr == "TM" or rule.tag == "00080201":
        return Step.KEEP_IF_WELL_FORMED
    if vr in _FREE_TEXT | _SHORT_TEXT:
        return Step.DESCRIPTOR
    return basic


def _kept_step(vr: str) -> Step:
    if vr == "SQ":
        return Step.RECURSE
    if vr == "AS":
        return Step.CAP_AGE
    return Step.KEEP_IF_WELL_FORMED if vr in _WELL_FORMED else Step.KEEP


def _unlisted(tag: int, vr: str, keyword: str, profile: Profile) -> Plan:
    if vr == "SQ":
        return Plan(Step.RECURSE, Step.REMOVE, vr)
    if vr in ("DA", "DT", "TM"):
        if Option.RETAIN_MODIFIED_DATES not in profile.options:
            return Plan(Step.EMPTY, Step.REMOVE, vr)
        return Plan(Step.KEEP_IF_WELL_FORMED if vr == "TM" else Step.SHIFT, Step.EMPTY, vr)
    if vr == "UI":
        return Plan(Step.PROJECT_UID if tag == 0x0008010C else _uid_step(tag), Step.REMOVE, vr)
    if vr == "PN":
        return Plan(Step.EMPTY, Step.REMOVE, vr)
    if vr in ("AE", "UR", "UN", "NONE"):
        return _REMOVE
    if vr == "AS":
        return Plan(Step.CAP_AGE, Step.REMOVE, vr)
    if vr in _FREE_TEXT or (vr in _SHORT_TEXT and _DESCRIPTIVE.search(keyword)):
        return Plan(Step.DESCRIPTOR, Step.DUMMY, vr)
    return Plan(Step.KEEP_IF_WELL_FORMED if vr in _WELL_FORMED else Step.KEEP, Step.REMOVE, vr)


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
