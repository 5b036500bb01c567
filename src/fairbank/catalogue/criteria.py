"""What is looked for: the facets there are, and a question as the values that were chosen of each.

These tables are the one place that names a facet: the REST parameters, the options of the command line and the facets
of an answer are made from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fairbank.catalogue.errors import ParameterRefused, SearchRefused
from fairbank.catalogue.holdings import condition_label
from fairbank.ontology import conditions
from fairbank.ontology.body_part_tree import with_narrower
from fairbank.ontology.data_use import TERMS
from fairbank.ontology.record import UNKNOWN
from fairbank.ontology.vocabulary import bands_up_to


@dataclass(frozen=True, slots=True)
class OfCells:
    """A facet that is an axis of the imaging cube."""

    name: str
    help: str


@dataclass(frozen=True, slots=True)
class OfDataset:
    """A facet of the whole dataset; it may have none, one or several values.

    Attributes:
        kept_in: the column of the datasets that holds it, if that is not its name.
        broader: what a value is a part or a kind of; choosing that finds the value too, unless `exact`.
        label: what a value is called, where it is a code.
        word: the value that is meant by what a person asks for.
    """

    name: str
    help: str
    kept_in: str = ""
    broader: Callable[[str], tuple[str, ...]] | None = None
    label: Callable[[str], str] | None = None
    word: Callable[[str], str] | None = None

    @property
    def column(self) -> str:
        """Return the column of the datasets that holds it."""
        return self.kept_in or self.name

    def values(self, said: Any) -> tuple[str, ...]:
        """Return the values of a dataset, each once, from what its column holds."""
        if said is None:
            return ()
        if isinstance(said, str):
            return (said,)
        if self.name == "quality":
            # Only what was assessed: "not assessed" says nothing about the images.
            return tuple(dict.fromkeys(each["aspect"] for each in said if each["assessed"]))
        return tuple(dict.fromkeys(map(str, said)))


@dataclass(frozen=True, slots=True)
class OfDistribution:
    """A facet that is a distribution of the record, such as sex; `attribute` is its name there."""

    name: str
    help: str
    attribute: str


def _data_use_label(code: str) -> str:
    return TERMS[code].label if code in TERMS else ""


def _condition_word(asked: str) -> str:
    # By its word, by a name, or by a MONDO id; what is none of these finds nothing.
    word = conditions.condition(asked)
    return asked if word == UNKNOWN else word


OF_CELLS = (
    OfCells("modality", "DICOM modality, such as CT."),
    OfCells("body_part", "Body part, such as CHEST."),
    OfCells("manufacturer", "Manufacturer."),
    OfCells("slice_thickness", "Band of the slice thickness in mm, such as 1-1.5."),
)
AXES = tuple(facet.name for facet in OF_CELLS)
OF_DATASETS = (
    OfDataset("node", "Biobank."),
    OfDataset("licence", "Licence."),
    OfDataset("data_use", "Data-use code, such as DUO:0000042.", label=_data_use_label),
    OfDataset("collection_kind", "How it came to be, such as trial."),
    OfDataset("access_rights", "PUBLIC, RESTRICTED or NON_PUBLIC."),
    OfDataset("quality", "Quality aspect that was assessed, such as motion."),
    OfDataset(
        "condition",
        "Condition: a word such as lung-cancer, a name or a MONDO id.",
        kept_in="conditions",
        broader=conditions.broader,
        label=condition_label,
        word=_condition_word,
    ),
)
OF_DISTRIBUTIONS = (
    OfDistribution("model", "Model of the scanner.", "model"),
    OfDistribution("field_strength", "Magnetic field strength in tesla, such as 1.5.", "field-strength"),
    OfDistribution("slice_spacing", "Band of the computed slice spacing in mm.", "slice-spacing"),
    OfDistribution("kernel", "Class of the reconstruction kernel.", "kernel"),
    OfDistribution("contrast", "Whether a contrast agent was given.", "contrast"),
    OfDistribution("laterality", "Side of the body.", "laterality"),
    OfDistribution("sex", "Sex, such as F.", "sex"),
    OfDistribution("age_band", "Band of the age in years, such as 60-64.", "age-band"),
    OfDistribution("annotation_label", "What annotations mark.", "annotation-label"),
    OfDistribution("time_points", "Number of time points.", "time-points"),
    OfDistribution("follow_up", "Span of the follow-up.", "follow-up"),
)
FACETS: tuple[OfCells | OfDataset | OfDistribution, ...] = (*OF_CELLS, *OF_DATASETS, *OF_DISTRIBUTIONS)


class Sort(StrEnum):
    """In which order what was found is listed: by words, by title, the most subjects first, or the newest first."""

    BEST = "best"
    TITLE = "title"
    SUBJECTS = "subjects"
    UPDATED = "updated"


@dataclass(frozen=True, slots=True)
class Criteria:
    """What is looked for: each list holds alternatives, an empty one means any.

    Attributes:
        axes: values by axis of the imaging cube; one cell has to match all of them.
        facets: values by facet of the whole dataset.
        holds: values by attribute of the distributions; a dataset has to list one of each.
        exact: whether a body part stands for itself only, and not for the parts of it as well; and a condition for
            itself, not for its kinds.
        min_subjects: how many matching subjects a study needs, over all datasets together; 0 if it was not asked.
        min_sites: how many different nodes it needs.
    """

    words: str = ""
    axes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    facets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    holds: dict[str, tuple[str, ...]] = field(default_factory=dict)
    exact: bool = False
    min_subjects: int = 0
    min_sites: int = 0
    limit: int = 50
    offset: int = 0
    sort: Sort = Sort.BEST

    def wanted(self, axis: str) -> tuple[str, ...]:
        """Return the values of an axis that match: those chosen, and the narrower body parts of a chosen one."""
        values = self.axes.get(axis, ())
        return values if self.exact or axis != "body_part" else with_narrower(values)

    @property
    def of_cells(self) -> bool:
        """Tell whether an axis of the cube was chosen."""
        return any(self.axes.values())

    @property
    def asks_feasibility(self) -> bool:
        """Tell whether the answer has to say if there are enough subjects and sites."""
        return bool(self.min_subjects or self.min_sites)


def held(pairs: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return values by attribute from texts such as `sex=F`.

    Raises:
        ParameterRefused: if a text is no attribute and value.

    >>> held(["sex=F", "sex=M", "age-band=60-64"])
    {'sex': ('F', 'M'), 'age-band': ('60-64',)}
    """
    found: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        attribute, sign, value = pair.partition("=")
        if not (attribute and sign and value):
            raise ParameterRefused(
                f"holds={pair[:40]!r} cannot be used.",
                why="It is an attribute and a value with '=' between them, such as sex=F or age-band=60-64.",
                todo="Correct it; the facets of a search list what there is.",
            )
        found[attribute] = (*found.get(attribute, ()), value)
    return found


def bands_within(millimetres: float) -> tuple[str, ...]:
    """Return the bands of slice thickness that lie wholly within a bound.

    Raises:
        SearchRefused: if none does.

    >>> bands_within(1.5)
    ('<1', '1-1.5')
    """
    found = bands_up_to(millimetres)
    if not found:
        raise SearchRefused(
            f"slice_thickness_max={millimetres:g} finds nothing.",
            why="Slice thickness is published in bands, and no band lies wholly within this bound.",
            todo="Take 1 mm or more.",
        )
    return found
