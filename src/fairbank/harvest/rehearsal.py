"""Looking at what a source would state of its series, without keeping anything: for who writes a mapping."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass

from fairbank.harvest.errors import BadDefinition
from fairbank.harvest.sources.opening import open_source
from fairbank.harvest.sources.protocol import DescribesSeries
from fairbank.ontology.record import UNKNOWN
from fairbank.release.node import Node

_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a source states of a container.

    Attributes:
        series: how many series it lists.
        described: how many of them can be described.
        subjects: of how many different subjects these are.
        known: of how many series each fact is known.
        problems: the first errors, each told by row or number.
    """

    series: int
    described: int
    subjects: int
    known: dict[str, int]
    problems: tuple[str, ...]


def rehearse(node: Node, source: str, container: str) -> Rehearsal:
    """Describe all series of a container, and keep nothing.

    Raises:
        UnknownSource: if the node has no such source.
        NotInSource: if the source has no such container.
        BadDefinition: if it gives images and no descriptions.
    """
    with contextlib.closing(open_source(node, source)) as opened:
        if not isinstance(opened, DescribesSeries):
            raise BadDefinition(
                f"The source {source} gives images and describes no series.",
                why=f"It is of the kind {opened.kind.value}.",
                todo="Pull its images, and index the research store.",
            )
        items = opened.snapshot(container).items
        known: Counter[str] = Counter()
        subjects: set[str] = set()
        problems: list[str] = []
        described = 0
        for one in opened.describe(container, items):
            if one.description is None:
                if one.error is not None and len(problems) < _SHOWN:
                    problems.append(one.error.what)
                continue
            described += 1
            subjects.add(one.description.subject.reveal())
            facts, sheet = one.description.facts, one.description.sheet
            values = {
                "modality": facts.modality,
                "body part": facts.body_part,
                "manufacturer": facts.manufacturer,
                "slice thickness": facts.slice_thickness,
                "sex": sheet.sex.value,
                "age band": sheet.age_band,
                "year": sheet.acquisition_year or UNKNOWN,
                "de-identified": one.description.mark.identity_removed or UNKNOWN,
            }
            known.update(name for name, value in values.items() if value != UNKNOWN)
    return Rehearsal(len(items), described, len(subjects), dict(known), tuple(problems))
