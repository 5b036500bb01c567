"""Each row of PS3.15, Table E.1-1, at depths 0, 1, 2 and 4: in sequences that the kind of file has, and in others."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.datadict import DicomDictionary, dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from tests.deid.corpus.images import KINDS, as_file, dataset_of
from tests.deid.corpus.people import identity_key, patient
from tests.deid.corpus.planted import CorpusFile, Expect, Planted
from tests.deid.corpus.values import Values

from fairbank.deid.profiles import Profile
from fairbank.deid.rules import RULES, Option, Rule

DEPTHS = (0, 1, 2, 4)
_BASES = ("ct", "mr", "pt", "dx", "us", "enhanced-mr", "enhanced-ct", "rtstruct", "seg", "rtdose", "rtplan")
_SYNTAXES = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99")
_ANY_SEQUENCE = sorted(
    tag for tag, entry in DicomDictionary.items() if entry[0] == "SQ" and 0x0008 <= tag >> 16 < 0x4000
)
_PATTERNS = {
    "50xxxxxx": ((0x50000010, "US"), (0x50000022, "LO"), (0x50002500, "LO"), (0x501E3000, "OB")),
    "60xx3000": ((0x60003000, "OB"), (0x601E3000, "OB")),
    "60xx4000": ((0x60004000, "LT"), (0x60024000, "LT")),
    "PRIVATE": (
        (0x00090010, "LO"),
        (0x00091001, "LO"),
        (0x00291002, "SQ"),
        (0x7FE11001, "OB"),
        (0x00190011, "UN"),
    ),
}


def rule_files(seed: int, rules: tuple[Rule, ...] = RULES) -> Iterator[CorpusFile]:
    """Yield a file for each tag of each rule."""
    for number, rule in enumerate(rules):
        for tag, vr in tags_of(rule):
            yield _rule_file(seed, number, rule, tag, vr)


def tags_of(rule: Rule) -> tuple[tuple[int, str], ...]:
    """Return the elements that stand for a rule, with their VR."""
    if rule.tag in _PATTERNS:
        return _PATTERNS[rule.tag]
    tag = int(rule.tag, 16)
    if dictionary_has_tag(tag):
        return ((tag, dictionary_VR(tag).split(" or ")[0]),)
    return ((tag, "SQ" if "Sequence" in rule.name else "DT" if "DateTime" in rule.name else "LO"),)


def expected(rule: Rule, tag: int, vr: str, profile: Profile) -> Expect:
    """Return what the table asks of a value that identifies."""
    marks = {mark for option, mark in rule.options.items() if option in profile.options}
    if marks == {"K"} and vr not in ("AS", "SQ") and dictionary_has_tag(tag):
        return Expect.MAY_STAY
    if "C" in marks:
        if Option.RETAIN_MODIFIED_DATES in profile.options and vr in ("DA", "DT"):
            return Expect.SHIFT
        if vr == "TM" or rule.tag == "00080201":
            return Expect.MAY_STAY
        return Expect.MASK
    return Expect.PSEUDONYM if "U" in rule.basic and vr == "UI" else Expect.REMOVE


def _rule_file(seed: int, number: int, rule: Rule, tag: int, vr: str) -> CorpusFile:
    values = Values(seed, f"rule/{tag:08x}")
    base = values.rng.choice(_BASES)
    who = patient(values)
    dataset = dataset_of(base, who, values)
    key = list(identity_key(dataset))
    own = values.rng.choice(KINDS[base].chains)
    other = tuple(values.rng.choice(_ANY_SEQUENCE) for _ in range(4))
    meta = FileMetaDataset()
    top = meta if tag >> 16 == 2 else dataset
    if tag >> 16 != 0:  # no file has a command group of its own
        key = [planted for planted in key if planted.place != f"{tag:08X}"]
        key.append(_plant(values, top, "#meta/" if top is meta else "", rule, tag, vr))
    for chain in (own, other):
        levels = _nest(dataset, chain)
        for depth in DEPTHS[1:]:
            level, place = levels[depth - 1]
            if tag not in level:
                key.append(_plant(values, level, place, rule, tag, vr))
    syntax = values.rng.choice(_SYNTAXES)
    name = f"rules/{number:04d}-{tag:08X}.dcm"
    return CorpusFile(name, "rule", as_file(dataset, syntax, meta=meta), who.number, tuple(key))


def _plant(values: Values, level: Dataset, place: str, rule: Rule, tag: int, vr: str) -> Planted:
    value = values.of(vr)
    content, text, encoded = value.content, value.text, value.encoded
    if tag == 0x00080201:
        content = text = f"+{values.rng.randrange(1, 12):02d}{values.rng.choice(('15', '30', '45'))}"
        encoded = ()
    level[tag] = DataElement(tag, vr, content)
    wanted = [expected(rule, tag, vr, profile) for profile in (Profile.BASIC, Profile.RESEARCH)]
    return Planted(f"{place}{tag:08X}", text, *wanted, encoded, rule.tag)


def _nest(dataset: Dataset, chain: tuple[int, ...]) -> list[tuple[Dataset, str]]:
    """Return the items of a chain of sequences with their places, making what is not there."""
    level, place, levels = dataset, "", []
    for tag in chain:
        if tag not in level or level[tag].VR != "SQ" or not level[tag].value:
            level[tag] = DataElement(tag, "SQ", Sequence([Dataset()]))
        level, place = level[tag].value[0], f"{place}{tag:08X}.0/"
        levels.append((level, place))
    return levels
