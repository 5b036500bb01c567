"""Withdrawal of a subject: files, rows and the salt go; the subject is not taken in again.

What is known of the subject goes before the salt does, because afterwards nobody can find it; and once more after it,
because a file may have been stored in between. A withdrawal that was cut off is simply done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fairbank.database import writing
from fairbank.deid import store as rows
from fairbank.deid.identity import Known
from fairbank.deid.pipeline import Site


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What a withdrawal took away, by project; the caller tells whoever works with the pseudonyms."""

    known: tuple[Known, ...]
    files: int
    items: int


def withdraw(value: str, *, site: Site) -> Withdrawn:
    """Forget a subject named by its value (`pseudonyms.subject_value`) in every project."""
    before = _cleared(site.identity.known(value), site)
    return _and(before, _cleared(site.identity.forget(value, clock=site.clock), site))


def withdraw_pseudonym(project: str, pseudonym: str, *, site: Site) -> Withdrawn:
    """Forget the subject behind a pseudonym in every project.

    Raises:
        UnknownSubject: if no subject has that pseudonym here.
    """
    before = _cleared(site.identity.known_as(project, pseudonym), site)
    known = site.identity.forget_pseudonym(project, pseudonym, clock=site.clock)
    return _and(before, _cleared(known, site))


def _and(first: Withdrawn, last: Withdrawn) -> Withdrawn:
    return Withdrawn(last.known, first.files + last.files, first.items + last.items)


def _cleared(known: Sequence[Known], site: Site) -> Withdrawn:
    files = items = 0
    for one in known:
        files += site.store.remove_subject(one.project, one.pseudonym)
        with writing(site.database) as session:
            items += rows.delete_subject(session, one.project, one.pseudonym)
    return Withdrawn(tuple(known), files, items)
