"""What the pages of a node refuse by themselves."""

from __future__ import annotations

from fairbank.errors import FairbankError, Kind


class ForeignHost(FairbankError):
    """A page of a node was asked for under a name that is not this machine's."""

    code = "FB-WEB-040"
    kind = Kind.FORBIDDEN


class LinkSpent(FairbankError):
    """A start link was used already, is too old, or is of another start of the pages."""

    code = "FB-WEB-041"
    kind = Kind.FORBIDDEN


class Blank(FairbankError):
    """Nobody is signed in at a node's pages, or nothing was done there for some minutes."""

    code = "FB-WEB-042"
    kind = Kind.UNAUTHENTICATED


class TooManyTries(FairbankError):
    """A passphrase was wrong too often."""

    code = "FB-WEB-043"
    kind = Kind.TOO_MANY


class PictureUnseen(FairbankError):
    """A file whose picture cannot be shown was to be let go."""

    code = "FB-WEB-060"
    kind = Kind.REFUSED


class DecisionIncomplete(FairbankError):
    """A decision lacks a word that it needs: what is decided, why, or a statement that was not ticked."""

    code = "FB-WEB-044"
    kind = Kind.REFUSED
