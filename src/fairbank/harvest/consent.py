"""Consent, decided: which statement of a subject counts, what it means at a day, and what another legal basis changes.

Of several statements on a project the newest counts. If several were recorded on the same day, the one counts that
allows least, so that the order in which files are read never matters. All days are days in UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

EVERY_PROJECT = "*"


class ConsentStatus(StrEnum):
    """What a subject, or who decides for them, has said."""

    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class Standing(StrEnum):
    """What the statements of a subject come to at a day, for one project.

    Attributes:
        CONSENTED: consent was given and holds.
        NOT_YET: consent was given from a later day on.
        EXPIRED: consent was given until a day that has come.
        REFUSED: it was refused.
        WITHDRAWN: it was withdrawn.
        NOTHING_SAID: no statement covers the project.
    """

    CONSENTED = "consented"
    NOT_YET = "not-yet-valid"
    EXPIRED = "expired"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    NOTHING_SAID = "nothing-said"


class LegalBasis(StrEnum):
    """A ground other than consent on which a project's images are used, as the site has it recorded.

    Attributes:
        SCIENTIFIC_RESEARCH: Union or national law that allows research without consent under safeguards: GDPR
            Art. 6(1)(e) or (f) with Art. 9(2)(j) and 89(1).
        PUBLIC_HEALTH: public interest in public health, by law: GDPR Art. 6(1)(e) with Art. 9(2)(i).
        LEGAL_OBLIGATION: a register or a study that a law orders: GDPR Art. 6(1)(c) with Art. 9(2)(g), (i) or (j).
        SECONDARY_USE_PERMIT: a data permit of a health data access body: Regulation (EU) 2025/327, Art. 68; the right
            to opt out is its Art. 71.
        CONSENT_WAIVED: an ethics committee or authority has waived consent as national law lets it: GDPR Art. 9(2)(j).
        ANONYMOUS_DATA: the images are no personal data (GDPR, recital 26), such as public test images.
    """

    SCIENTIFIC_RESEARCH = "scientific-research"
    PUBLIC_HEALTH = "public-health"
    LEGAL_OBLIGATION = "legal-obligation"
    SECONDARY_USE_PERMIT = "secondary-use-permit"
    CONSENT_WAIVED = "consent-waived"
    ANONYMOUS_DATA = "anonymous-data"

    @property
    def honours_objection(self) -> bool:
        """Tell whether who has refused or withdrawn stays out although consent is not needed.

        Every basis does; only data that is nobody's has nobody who could object.
        """
        return self is not LegalBasis.ANONYMOUS_DATA


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of one subject.

    Attributes:
        project: the project that it is about, or `*` for all.
        valid_from: the first day on which given consent holds; None: from the day it was recorded.
        valid_until: the day on which it no longer holds; None: no end.
        recorded: the day on which it was recorded.
        data_use: data-use codes and MONDO ids that the consent is limited to; empty: it names no purpose.
    """

    project: str
    status: ConsentStatus
    valid_from: date | None
    valid_until: date | None
    recorded: date
    data_use: tuple[str, ...] = ()

    def covers(self, project: str) -> bool:
        """Return whether the statement is about a project."""
        return self.project in (project, EVERY_PROJECT)

    def at(self, day: date) -> Standing:
        """Return what the statement means at a day.

        >>> given = Statement("*", ConsentStatus.GIVEN, None, date(2027, 1, 1), date(2026, 1, 1))
        >>> given.at(date(2026, 12, 31)).value, given.at(date(2027, 1, 1)).value
        ('consented', 'expired')
        """
        if self.status is not ConsentStatus.GIVEN:
            return Standing(self.status.value)
        if day < (self.valid_from or self.recorded):
            return Standing.NOT_YET
        if self.valid_until is not None and day >= self.valid_until:
            return Standing.EXPIRED
        return Standing.CONSENTED


_STRICTNESS = (ConsentStatus.GIVEN, ConsentStatus.REFUSED, ConsentStatus.WITHDRAWN)


def newest(statements: Iterable[Statement], project: str) -> Statement | None:
    """Return the statement that counts for a project: the newest; of those of one day, the one that allows least.

    Where consent was given several times on that day, every purpose that was named then limits it.
    """
    about = [one for one in statements if one.covers(project)]
    found = max(about, key=_rank, default=None)
    # Nearly everybody has said one thing, and making a statement anew takes longer than choosing it.
    if found is None or found.status is not ConsentStatus.GIVEN or len(about) == 1:
        return found
    same_day = (one for one in about if (one.recorded, one.status) == (found.recorded, found.status))
    return replace(found, data_use=tuple(sorted({code for one in same_day for code in one.data_use})))


def standing(statement: Statement | None, day: date) -> Standing:
    """Return what the statement that counts comes to at a day."""
    return Standing.NOTHING_SAID if statement is None else statement.at(day)


def admits(basis: LegalBasis | None, found: Standing) -> bool:
    """Return whether a subject may be indexed and counted, on consent or on another basis.

    >>> admits(None, Standing.NOTHING_SAID), admits(LegalBasis.CONSENT_WAIVED, Standing.NOTHING_SAID)
    (False, True)
    >>> admits(LegalBasis.CONSENT_WAIVED, Standing.WITHDRAWN)
    False
    """
    if basis is None:
        return found is Standing.CONSENTED
    return not (basis.honours_objection and found in (Standing.REFUSED, Standing.WITHDRAWN))


def _rank(one: Statement) -> tuple[date, int, int, int]:
    # Later begin and earlier end allow less; no end allows most.
    return (
        one.recorded,
        _STRICTNESS.index(one.status),
        -(one.valid_until or date.max).toordinal(),
        (one.valid_from or one.recorded).toordinal(),
    )
