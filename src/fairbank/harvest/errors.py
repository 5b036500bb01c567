"""Errors of the harvest room.

FairbankError
└── HarvestError              FB-HARV-001
    ├── SourceUnreachable     FB-HARV-002
    ├── SourceLoginRefused    FB-HARV-003
    ├── SourceForbidden       FB-HARV-004
    ├── NotInSource           FB-HARV-005
    ├── SourceFailed          FB-HARV-006
    ├── UnsafeSecret          FB-HARV-007
    ├── UnknownSource         FB-HARV-008
    ├── UnknownDataset        FB-HARV-009
    ├── NotAFolder            FB-HARV-010
    ├── NothingToPublish      FB-HARV-011
    ├── BadDefinition         FB-HARV-012
    ├── UnreadableHeader      FB-HARV-013
    ├── SourceGivenUp         FB-HARV-020   (a SourceUnreachable)
    ├── AnswerTooLarge        FB-HARV-021   (a SourceFailed)
    ├── NotDescribable        FB-HARV-022
    ├── AnotherWay            FB-HARV-023
    ├── NothingHeld           FB-HARV-024
    ├── RunUnderWay           FB-HARV-025
    ├── QueryRefused          FB-HARV-030   (a SourceFailed)
    ├── ColumnsLeftOut        FB-HARV-031   (a SourceFailed)
    ├── FilterNotKept         FB-HARV-035   (a SourceFailed)
    ├── AssociationRefused    FB-HARV-036   (a SourceLoginRefused)
    ├── ReceiverNotOpened     FB-HARV-037   (a SourceUnreachable)
    ├── ListedFileMissing     FB-HARV-045
    ├── BadQualityFile        FB-HARV-046
    ├── BadTable              FB-HARV-050
    ├── BadMapping            FB-HARV-051
    ├── IdentifyingColumn     FB-HARV-052
    ├── VariableOfAnother     FB-HARV-053
    ├── BadRow                FB-HARV-054
    ├── BadConsentFile        FB-HARV-060
    ├── NoLegalBasis          FB-HARV-061
    ├── NothingRecorded       FB-HARV-062
    ├── RecordWaits           FB-HARV-067
    ├── NotYetDue             FB-HARV-068
    ├── CannotReceive         FB-HARV-075
    ├── RetentionOver         FB-HARV-080
    └── RetentionHolds        FB-HARV-081

A message names a source by the name it has at the node, never by host, and a file by its local reference.
"""

from __future__ import annotations

from fairbank.errors import FairbankError, Kind


class HarvestError(FairbankError):
    """Harvesting could not go on."""

    code = "FB-HARV-001"
    kind = Kind.FAILED


class SourceUnreachable(HarvestError):
    """The archive does not answer, or not in time."""

    code = "FB-HARV-002"
    kind = Kind.UNAVAILABLE


class SourceLoginRefused(HarvestError):
    """The archive did not accept the login, or answered with its login page."""

    code = "FB-HARV-003"
    kind = Kind.UNAUTHENTICATED


class SourceForbidden(HarvestError):
    """The archive's user may not see this."""

    code = "FB-HARV-004"
    kind = Kind.FORBIDDEN


class NotInSource(HarvestError):
    """The archive has no such project or scan (any more)."""

    code = "FB-HARV-005"
    kind = Kind.NOT_FOUND


class SourceFailed(HarvestError):
    """The archive answered with an error, or with something that cannot be understood."""

    code = "FB-HARV-006"
    kind = Kind.UNAVAILABLE


class UnsafeSecret(HarvestError):
    """A password file is missing, empty, or readable by others."""

    code = "FB-HARV-007"
    kind = Kind.REFUSED


class UnknownSource(HarvestError):
    """No source of this name has been added to the node."""

    code = "FB-HARV-008"
    kind = Kind.NOT_FOUND


class UnknownDataset(HarvestError):
    """No dataset of this name has been defined at the node."""

    code = "FB-HARV-009"
    kind = Kind.NOT_FOUND


class NotAFolder(HarvestError):
    """A folder source names something that is not a readable folder."""

    code = "FB-HARV-010"
    kind = Kind.MISUSE


class NothingToPublish(HarvestError):
    """A dataset has no series in the index."""

    code = "FB-HARV-011"
    kind = Kind.REFUSED


class BadDefinition(HarvestError):
    """A source or dataset is defined with a value that it cannot have."""

    code = "FB-HARV-012"
    kind = Kind.MISUSE


class UnreadableHeader(HarvestError):
    """A file's header cannot be read as DICOM."""

    code = "FB-HARV-013"
    kind = Kind.FAILED


class SourceGivenUp(SourceUnreachable):
    """So many requests in a row failed that the archive is left alone."""

    code = "FB-HARV-020"


class AnswerTooLarge(SourceFailed):
    """An answer of the archive is larger than anything that was asked for."""

    code = "FB-HARV-021"
    kind = Kind.TOO_LARGE


class NotDescribable(HarvestError):
    """A source neither describes its series nor gives their files."""

    code = "FB-HARV-022"
    kind = Kind.MISUSE


class AnotherWay(HarvestError):
    """A container already comes to the project in the other of the two ways, pulled or described."""

    code = "FB-HARV-023"
    kind = Kind.CONFLICT


class NothingHeld(HarvestError):
    """There are no deletions that wait for a curator's word."""

    code = "FB-HARV-024"
    kind = Kind.NOT_FOUND


class RunUnderWay(HarvestError):
    """Another process is harvesting or pulling the same container into the same project."""

    code = "FB-HARV-025"
    kind = Kind.CONFLICT


class QueryRefused(SourceFailed):
    """The archive does not understand what it is asked, or will not answer it."""

    code = "FB-HARV-030"


class ColumnsLeftOut(SourceFailed):
    """A table of the archive lacks a column that was asked for and cannot be done without."""

    code = "FB-HARV-031"


class FilterNotKept(SourceFailed):
    """An archive answers a question with what was not asked for."""

    code = "FB-HARV-035"
    kind = Kind.UNAVAILABLE


class AssociationRefused(SourceLoginRefused):
    """A DICOM archive does not talk to a caller of this title."""

    code = "FB-HARV-036"
    kind = Kind.UNAUTHENTICATED


class ReceiverNotOpened(SourceUnreachable):
    """The node cannot listen where an archive should send images to."""

    code = "FB-HARV-037"
    kind = Kind.UNAVAILABLE


class ListedFileMissing(HarvestError):
    """A file that the directory of a medium lists is not there."""

    code = "FB-HARV-045"
    kind = Kind.NOT_FOUND


class BadQualityFile(HarvestError):
    """A file of what people found when they looked at series has rows that cannot be taken."""

    code = "FB-HARV-046"
    kind = Kind.MISUSE


class BadTable(HarvestError):
    """A table cannot be read without guessing."""

    code = "FB-HARV-050"
    kind = Kind.MISUSE


class BadMapping(HarvestError):
    """A mapping file says something that it cannot say, or does not fit the table."""

    code = "FB-HARV-051"
    kind = Kind.MISUSE


class IdentifyingColumn(HarvestError):
    """A column or field that looks identifying is mapped to a variable."""

    code = "FB-HARV-052"
    kind = Kind.REFUSED


class VariableOfAnother(HarvestError):
    """A variable of the project comes from another source."""

    code = "FB-HARV-053"
    kind = Kind.CONFLICT


class BadRow(HarvestError):
    """One row of a table, or one sidecar or resource, does not describe a series."""

    code = "FB-HARV-054"
    kind = Kind.FAILED


class BadConsentFile(HarvestError):
    """A file of consents cannot be read as one at all; faults of single rows are results, not errors."""

    code = "FB-HARV-060"
    kind = Kind.MISUSE


class NoLegalBasis(HarvestError):
    """Nothing on record allows the images of a project to be used."""

    code = "FB-HARV-061"
    kind = Kind.REFUSED


class NothingRecorded(HarvestError):
    """A legal basis or a trust is to be removed that is not on record."""

    code = "FB-HARV-062"
    kind = Kind.NOT_FOUND


class RecordWaits(HarvestError):
    """A record of the dataset waits for the curator, so no other is made."""

    code = "FB-HARV-067"
    kind = Kind.CONFLICT


class NotYetDue(HarvestError):
    """Other counts of the dataset may not be published yet."""

    code = "FB-HARV-068"
    kind = Kind.CONFLICT


class CannotReceive(HarvestError):
    """Archives of this kind are read only: nothing can be sent to them."""

    code = "FB-HARV-075"
    kind = Kind.MISUSE


class RetentionOver(HarvestError):
    """The images of a project have been kept as long as they may, and may not be used any more."""

    code = "FB-HARV-080"
    kind = Kind.REFUSED


class RetentionHolds(HarvestError):
    """What was to be deleted because its time is over may be kept still, or nothing says until when."""

    code = "FB-HARV-081"
    kind = Kind.CONFLICT
