"""SHACL shapes of the RDF view, made from tables: what a dataset and an observation of its cube must say.

The rules about counts are privacy rules: an observation has an exact count or says below which number it is, never
both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fairbank.ontology import terms
from fairbank.ontology.vocabulary import FORMER_THICKNESS_BANDS, THICKNESS_BANDS

_INTEGER: Final = terms.XSD + "integer"
_MEASURES: Final = (
    (terms.SERIES_COUNT, terms.SERIES_BELOW),
    (terms.STUDY_COUNT, terms.STUDY_BELOW),
    (terms.SUBJECT_COUNT, terms.SUBJECT_BELOW),
)


@dataclass(frozen=True, slots=True)
class Property:
    """What a shape asks of one property.

    Attributes:
        path: IRI of the property.
        least: smallest number of values.
        most: largest number of values; None for any.
        datatype: IRI of the datatype of literals.
        of_class: IRI of the class of what is linked.
        words: the only values allowed.
    """

    path: str
    least: int = 0
    most: int | None = None
    datatype: str | None = None
    of_class: str | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """What every resource of a class must say; `counted` lists pairs of which it has exactly one."""

    name: str
    target: str
    properties: tuple[Property, ...]
    counted: tuple[tuple[str, str], ...] = ()


SHAPES: Final = (
    Shape(
        "DatasetShape",
        terms.DCAT + "Dataset",
        (
            Property(terms.DCT + "title", 1),
            Property(terms.DCT + "description", 1),
            Property(terms.DCT + "publisher", 1, 1),
            Property(terms.DCT + "accessRights", 1, 1),
            Property(terms.HAS_CUBE, 1, 1, of_class=terms.CUBE),
            Property(terms.MINIMUM_COUNT, 1, 1, datatype=_INTEGER),
            Property(terms.RECORD_DIGEST, 1, 1),
        ),
        _MEASURES,
    ),
    Shape(
        "StratumShape",
        terms.STRATUM,
        (
            Property(terms.QB + "dataSet", 1, 1, of_class=terms.CUBE),
            Property(terms.OF_DATASET, 1, 1),
            Property(terms.MODALITY, 1, 1),
            Property(terms.BODY_PART, 1, 1),
            Property(terms.MANUFACTURER, 1, 1),
            Property(terms.SLICE_THICKNESS, 1, 1, words=(*THICKNESS_BANDS, *FORMER_THICKNESS_BANDS)),
        ),
        _MEASURES,
    ),
    Shape(
        "DistributionRowShape",
        terms.DISTRIBUTION_ROW,
        (Property(terms.ATTRIBUTE, 1, 1), Property(terms.ATTRIBUTE_VALUE, 1, 1)),
        ((terms.SUBJECT_COUNT, terms.SUBJECT_BELOW),),
    ),
)


def turtle() -> str:
    """Return all shapes as Turtle."""
    lines = [f"@prefix {prefix}: <{iri}> ." for prefix, iri in terms.PREFIXES.items()]
    lines.append("@prefix sh: <http://www.w3.org/ns/shacl#> .")
    for shape in SHAPES:
        lines += ["", *_shape(shape)]
    return "\n".join(lines) + "\n"


def _shape(shape: Shape) -> Iterator[str]:
    yield f"fb:{shape.name} a sh:NodeShape ;"
    yield f"    sh:targetClass <{shape.target}> ;"
    for exact, below in shape.counted:
        yield f"    sh:xone ( [ sh:property [ sh:path <{exact}> ; sh:minCount 1 ; sh:maxCount 1 ;"
        yield f"                              sh:datatype <{_INTEGER}> ; sh:minInclusive 0 ] ]"
        yield f"              [ sh:property [ sh:path <{below}> ; sh:minCount 1 ; sh:maxCount 1 ;"
        yield f"                              sh:datatype <{_INTEGER}> ; sh:minInclusive 1 ] ] ) ;"
    bodies = [f"    sh:property [ {_property(each)} ]" for each in shape.properties]
    yield " ;\n".join(bodies) + " ."


def _property(each: Property) -> str:
    said = [f"sh:path <{each.path}>"]
    if each.least:
        said.append(f"sh:minCount {each.least}")
    if each.most is not None:
        said.append(f"sh:maxCount {each.most}")
    if each.datatype:
        said.append(f"sh:datatype <{each.datatype}>")
    if each.of_class:
        said.append(f"sh:class <{each.of_class}>")
    if each.words:
        said.append("sh:in ( " + " ".join(f'"{word}"' for word in each.words) + " )")
    return " ; ".join(said)
