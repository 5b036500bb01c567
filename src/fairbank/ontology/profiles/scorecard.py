"""How complete a dataset's description is by a profile, worked out from the tables; SHACL would say the same.

A resource that the dataset does not have is not asked for its properties: what is missing then is the link to it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from fairbank.ontology.profiles.document import triples
from fairbank.ontology.profiles.facts import SUBJECTS, Facts
from fairbank.ontology.profiles.judging import Said, Score, State, judge_resource
from fairbank.ontology.profiles.rows import Profile, Row, Severity
from fairbank.ontology.profiles.values import withheld


def scorecard(profile: Profile, facts: Facts) -> tuple[Score, ...]:
    """Return every property that the profile asks for or that does not fit, in the order of the tables."""
    said = Said(triples(profile, facts))
    return tuple(
        replace(score, note=_reason(score.row, facts)) if score.state is State.MISSING else score
        for table in profile.tables
        for subject in SUBJECTS[table.subjects](facts)
        for score in judge_resource(table, subject, said)
    )


def left(scores: Collection[Score], severity: Severity) -> int:
    """Return how many properties of a severity are not met."""
    return sum(score.severity is severity and score.state is not State.MET for score in scores)


def _reason(row: Row, facts: Facts) -> str:
    count = withheld(row.value, facts)
    return f"withheld: fewer than {count.k}, or kept back to protect such a number" if count else row.note
