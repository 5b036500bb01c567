"""What is looked for: the facets there are, and a question as the values that were chosen of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fairbank.catalogue.errors import ParameterRefused
from fairbank.ontology.body_part_tree import with_narrower

AXES = ("modality", "body_part", "manufacturer", "slice_thickness")
# What a record says of the whole dataset; a dataset may have several values of `data_use`, `quality` and `condition`.
OF_DATASETS = ("node", "licence", "data_use", "collection_kind", "access_rights", "quality", "condition")


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
