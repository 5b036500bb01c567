"""Errors of writing a request and of what belongs to it.

CatalogueError                 FB-CAT-001
├── DraftRefused               FB-CAT-150
├── DraftIncomplete            FB-CAT-151
├── AttachmentRefused          FB-CAT-152
├── AttachmentTooLarge         FB-CAT-153
├── AttachmentNotFound         FB-CAT-154
├── CommentRefused             FB-CAT-155
├── ClosingReportRefused       FB-CAT-156
├── AgreementRefused           FB-CAT-157
├── RequestFileUnreadable      FB-CAT-158
├── PageRefused                FB-CAT-159
└── NothingChanged             FB-CAT-160
"""

from __future__ import annotations

from fairbank.catalogue.errors import CatalogueError
from fairbank.errors import Kind


class DraftRefused(CatalogueError):
    """A piece of a draft is not of the form that a request needs."""

    code = "FB-CAT-150"
    kind = Kind.REFUSED


class DraftIncomplete(CatalogueError):
    """A draft lacks something without which it cannot be sealed."""

    code = "FB-CAT-151"
    kind = Kind.REFUSED


class AttachmentRefused(CatalogueError):
    """A document is of a type that is not taken, or is not whole."""

    code = "FB-CAT-152"
    kind = Kind.UNSUPPORTED


class AttachmentTooLarge(CatalogueError):
    """A document is larger than this hub takes, or a request has too many."""

    code = "FB-CAT-153"
    kind = Kind.TOO_LARGE


class AttachmentNotFound(CatalogueError):
    """A request has no document of this digest."""

    code = "FB-CAT-154"
    kind = Kind.NOT_FOUND


class CommentRefused(CatalogueError):
    """A comment is meant for those to whom its author does not belong."""

    code = "FB-CAT-155"
    kind = Kind.FORBIDDEN


class ClosingReportRefused(CatalogueError):
    """A closing report cannot be taken now, or says what cannot be."""

    code = "FB-CAT-156"
    kind = Kind.REFUSED


class AgreementRefused(CatalogueError):
    """A data-use agreement cannot be countersigned so."""

    code = "FB-CAT-157"
    kind = Kind.REFUSED


class RequestFileUnreadable(CatalogueError):
    """The file of a request is not what `fairbank request template` writes."""

    code = "FB-CAT-158"
    kind = Kind.MISUSE


class PageRefused(CatalogueError):
    """A page of a list is asked for by a mark or filter that this hub did not give."""

    code = "FB-CAT-159"
    kind = Kind.MISUSE


class NothingChanged(CatalogueError):
    """An amendment says the same as the version before it."""

    code = "FB-CAT-160"
    kind = Kind.CONFLICT
