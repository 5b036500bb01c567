"""The concepts of each scheme, made from the vocabularies that records are written with.

So a word that a record may hold and its concept cannot come apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

from fairbank.ontology import terms
from fairbank.ontology._body_parts import BODY_PARTS, OTHER_REGIONS, SPELLINGS
from fairbank.ontology._conditions import CONDITION_SPELLINGS
from fairbank.ontology._modalities import RETIRED_MODALITIES
from fairbank.ontology._uberon import UBERON_IDS
from fairbank.ontology.body_part_tree import BROADER
from fairbank.ontology.conditions import CONDITIONS, Condition
from fairbank.ontology.data_use import TERMS as DATA_USES
from fairbank.ontology.mappings import MAPPINGS
from fairbank.ontology.model._concept_texts import CONCEPT_ROWS
from fairbank.ontology.model.entries import LANGUAGES, Concept, expand, rows
from fairbank.ontology.record import UNKNOWN, CollectionKind, HowKnown
from fairbank.ontology.sex_and_side import SEX_CODES, SIDE_CODES, Code, Sex, Side
from fairbank.ontology.vocabulary import MANUFACTURERS, MODALITIES, OTHER_MANUFACTURER, THICKNESS_BANDS

_Word = TypeVar("_Word", Sex, Side)
UBERON: Final = "http://purl.obolibrary.org/obo/UBERON_"
_DICOM: Final = "https://dicom.nema.org/medical/dicom/current/output/chtml/"
SOURCES: Final[dict[str, tuple[str, ...]]] = {
    "modalities": (_DICOM + "part16/sect_CID_29.html", _DICOM + "part16/sect_CID_32.html"),
    "bodyParts": (_DICOM + "part16/chapter_L.html", _DICOM + "part16/sect_CID_4031.html"),
    "sides": (_DICOM + "part16/sect_CID_244.html",),
    "sexes": (_DICOM + "part16/sect_CID_7455.html",),
    "conditions": ("http://purl.obolibrary.org/obo/mondo.owl",),
    "dataUses": ("http://purl.obolibrary.org/obo/duo.owl",),
}
_TEXTS: Final = {name: dict(zip(LANGUAGES, texts, strict=True)) for name, *texts in rows(CONCEPT_ROWS)}
_ATTRIBUTE_MATCHES: Final = {
    "sex": ("dcm:121032", "linkeddicom:T00100040", "eucaim:hasBirthSex"),
}
# EUCAIM-DCAT-AP 2.0, Dataset.md: malignant neoplastic disease, secondary cancer condition.
_CONDITION_MATCHES: Final = {"cancer": "eucaim:CLIN1007977", "metastatic-cancer": "eucaim:CLIN1007989"}


def concepts_by_scheme() -> Mapping[str, tuple[Concept, ...]]:
    """Return the concepts of each scheme, in the order of their names."""
    made = {
        "modalities": _modalities(),
        "bodyParts": _body_parts(),
        "manufacturers": _manufacturers(),
        "sliceThicknesses": _bands(),
        "sexes": _coded("sex", SEX_CODES, tuple(Sex)),
        "sides": _coded("side", SIDE_CODES, tuple(each for each in Side if each is not Side.UNKNOWN)),
        "conditions": (_condition(each) for each in CONDITIONS.values()),
        "attributes": _attributes(),
        "waysOfKnowing": (_plain("wayOfKnowing", each.value) for each in HowKnown),
        "collectionKinds": (_plain("collectionKind", each.value) for each in CollectionKind),
        "dataUses": _data_uses(),
    }
    return {name: tuple(sorted(concepts, key=lambda each: each.name)) for name, concepts in made.items()}


def local_name(kind: str, word: str) -> str:
    """Return the local name of the concept of a word.

    >>> local_name("manufacturer", "United Imaging"), local_name("sliceThickness", ">=5")
    ('manufacturer-United-Imaging', 'sliceThickness-from-5')
    """
    spelt = word.replace("<", "below ").replace(">=", "from ")
    return f"{kind}-{re.sub(r'[^A-Za-z0-9.]+', '-', spelt).strip('-')}"


def _named(name: str, english: str) -> Mapping[str, str]:
    return _TEXTS.get(name, {"en": english})


def _plain(kind: str, word: str, english: str | None = None) -> Concept:
    name = local_name(kind, word)
    return Concept(name, _named(name, english or word.replace("-", " ")), word)


def _modalities() -> Iterator[Concept]:
    for code, meaning in MODALITIES.items():
        name = local_name("modality", code)
        retired = tuple(sorted(old for old, new in RETIRED_MODALITIES.items() if new == code))
        yield Concept(name, _named(name, meaning), code, exact=(terms.dicom_code(code),), other_names=retired)


def _body_parts() -> Iterator[Concept]:
    for term, (code, meaning) in BODY_PARTS.items():
        name = local_name("bodyPart", term)
        uberon = UBERON_IDS.get(term, "")
        class_iri = (UBERON + uberon.removeprefix("~"),) if uberon else ()
        is_close = uberon.startswith("~")
        yield Concept(
            name,
            _named(name, meaning),
            term,
            broader=(local_name("bodyPart", BROADER[term]),) if term in BROADER else (),
            exact=(terms.snomed_code(code), *(() if is_close else class_iri)),
            close=class_iri if is_close else (),
            other_names=tuple(sorted(spelt for spelt, meant in SPELLINGS.items() if meant == term)),
        )
    # Codes that are never a value of a record: they say as what they are counted.
    for code, (meaning, counted_as) in OTHER_REGIONS.items():
        name = local_name("bodyPart", code)
        above = (local_name("bodyPart", counted_as),) if counted_as else ()
        yield Concept(name, {"en": meaning}, None, broader=above, exact=(terms.snomed_code(code),))


def _manufacturers() -> Iterator[Concept]:
    for name in (*MANUFACTURERS, OTHER_MANUFACTURER):
        yield _plain("manufacturer", name, name)


def _bands() -> Iterator[Concept]:
    for band in THICKNESS_BANDS:
        yield _plain("sliceThickness", band, band if band == UNKNOWN else f"{band} mm")


def _coded(kind: str, codes: Mapping[_Word, Code], words: tuple[_Word, ...]) -> Iterator[Concept]:
    for word in words:
        name = local_name(kind, word.value)
        code = codes.get(word)
        exact = (expand(f"{code.scheme.lower()}:{code.value}"),) if code else ()
        yield Concept(name, _named(name, word.value), word.value, exact=exact)


def _condition(each: Condition) -> Concept:
    match = _CONDITION_MATCHES.get(each.word)
    return Concept(
        local_name("condition", each.word),
        each.labels,
        each.word,
        broader=tuple(local_name("condition", word) for word in each.broader),
        exact=(each.iri,) if each.exact else (),
        close=(*(() if each.exact else (each.iri,)), *((expand(match),) if match else ())),
        other_names=tuple(sorted(text for text, word in CONDITION_SPELLINGS.items() if word == each.word)),
        icd10=each.icd10,
    )


def _attributes() -> Iterator[Concept]:
    for attribute in sorted({each.distribution for each in MAPPINGS if each.distribution}):
        name = local_name("attribute", attribute)
        close = tuple(expand(match) for match in _ATTRIBUTE_MATCHES.get(attribute, ()))
        yield Concept(name, _named(name, attribute.replace("-", " ")), attribute, close=close)


def _data_uses() -> Iterator[Concept]:
    for code, each in DATA_USES.items():
        digits = code.removeprefix("DUO:")
        yield Concept(
            f"dataUse-{digits}",
            {"en": each.label},
            code,
            broader=(f"dataUse-{each.within.removeprefix('DUO:')}",) if each.within else (),
            exact=(each.iri,),
            other_names=(each.shorthand,),
        )
