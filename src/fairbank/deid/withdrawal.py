"""Withdrawal of a subject: files, rows and the salt go; the subject is not taken in again."""

from __future__ import annotations

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
    return _cleared(site.identity.forget(value, clock=site.clock), site)


def withdraw_pseudonym(project: str, pseudonym: str, *, site: Site) -> Withdrawn:
    """Forget the subject behind a pseudonym in every project.

    Raises:
        UnknownSubject: if no subject has that pseudonym here.
    """
    return _cleared(site.identity.forget_pseudonym(project, pseudonym, clock=site.clock), site)


def _cleared(known: list[Known], site: Site) -> Withdrawn:
    files = items = 0
    for one in known:
        files += site.store.remove_subject(one.project, one.pseudonym)
        with writing(site.database) as session:
            items += rows.delete_subject(session, one.project, one.pseudonym)
    return Withdrawn(tuple(known), files, items)
