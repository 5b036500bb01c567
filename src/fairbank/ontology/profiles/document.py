"""A dataset's document in a profile: the triples that the profile's tables and the value functions give."""

from __future__ import annotations

from collections.abc import Iterator

from fairbank.ontology import terms
from fairbank.ontology.profiles.facts import SUBJECTS, Facts, Iri, Triple
from fairbank.ontology.profiles.rows import Profile
from fairbank.ontology.profiles.values import VALUES


def triples(profile: Profile, facts: Facts) -> list[Triple]:
    """Return the document as different triples, in the order of the tables.

    Withheld counts are left out, and `fb:subjectCountBelow` or `fb:studyCountBelow` says so.
    """
    return list(dict.fromkeys(_triples(profile, facts)))


def _triples(profile: Profile, facts: Facts) -> Iterator[Triple]:
    for table in profile.tables:
        for subject in SUBJECTS[table.subjects](facts):
            for of_class in table.types:
                yield subject, terms.TYPE, Iri(of_class)
            for row in table.rows:
                if not row.only_checks:
                    for value in VALUES[row.value](facts, subject):
                        yield subject, row.path, value
