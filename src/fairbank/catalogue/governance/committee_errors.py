"""Errors of committees, their votes and notices.

CatalogueError                 FB-CAT-001
├── CommitteeNotFound          FB-CAT-135
├── CommitteeRefused           FB-CAT-136
├── ProposalRefused            FB-CAT-137
├── VoteRefused                FB-CAT-138
├── NotSeated                  FB-CAT-139
├── ConflictOfInterest         FB-CAT-140
├── ReviewNotFound             FB-CAT-141
├── NothingDecided             FB-CAT-142
├── MailMisconfigured          FB-CAT-143
└── SubstituteRefused          FB-CAT-144
"""

from __future__ import annotations

from fairbank.catalogue.errors import CatalogueError
from fairbank.errors import Kind


class CommitteeNotFound(CatalogueError):
    """There is no such committee, or the caller neither sits on it nor administers the hub."""

    code = "FB-CAT-135"
    kind = Kind.NOT_FOUND


class CommitteeRefused(CatalogueError):
    """A committee cannot be set up or changed like this."""

    code = "FB-CAT-136"
    kind = Kind.REFUSED


class ProposalRefused(CatalogueError):
    """Terms cannot be put to the vote: they give more than was asked for."""

    code = "FB-CAT-137"
    kind = Kind.REFUSED


class VoteRefused(CatalogueError):
    """A vote cannot be taken: no terms are proposed, or others than the voter saw."""

    code = "FB-CAT-138"
    kind = Kind.CONFLICT


class NotSeated(CatalogueError):
    """Somebody has no seat in the committee that decides about this at the moment."""

    code = "FB-CAT-139"
    kind = Kind.FORBIDDEN


class ConflictOfInterest(CatalogueError):
    """Somebody may not take part in what concerns this request."""

    code = "FB-CAT-140"
    kind = Kind.FORBIDDEN


class ReviewNotFound(CatalogueError):
    """There is no such dataset of a request, or the caller has nothing to do with it."""

    code = "FB-CAT-141"
    kind = Kind.NOT_FOUND


class NothingDecided(CatalogueError):
    """A letter was asked for before there is a decision."""

    code = "FB-CAT-142"
    kind = Kind.CONFLICT


class MailMisconfigured(CatalogueError):
    """The settings of the mail server do not fit together, or its password is not private."""

    code = "FB-CAT-143"
    kind = Kind.MISUSE


class SubstituteRefused(CatalogueError):
    """Somebody cannot stand in for a member."""

    code = "FB-CAT-144"
    kind = Kind.REFUSED
