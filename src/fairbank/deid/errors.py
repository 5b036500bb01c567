"""Errors of the de-identification room.

FairbankError
└── DeidError                FB-DEID-001
    ├── UnsafeIdentityStore     FB-DEID-002
    ├── NoIdentityStore         FB-DEID-003
    ├── BadProjectName          FB-DEID-004
    ├── StoreNotWritable        FB-DEID-005
    ├── UnknownSubject          FB-DEID-006
    ├── SubjectForgotten        FB-DEID-007
    ├── BadRecipe               FB-DEID-015
    ├── RecipeWouldLeak         FB-DEID-016
    ├── OptionsContradict       FB-DEID-017
    ├── BadScript               FB-DEID-018
    ├── NothingToVerify         FB-DEID-020
    ├── ValidatorMissing        FB-DEID-021
    ├── ReportNotWritten        FB-DEID-022
    ├── BadSuppressionFile      FB-DEID-025
    ├── KeyFileThere            FB-DEID-026
    ├── UnknownPerson           FB-DEID-027
    ├── BadPerson               FB-DEID-028
    ├── UnknownRequest          FB-DEID-029
    ├── OnePersonOnly           FB-DEID-030
    ├── RequestOver             FB-DEID-031
    ├── NoLink                  FB-DEID-032
    ├── NotATerminal            FB-DEID-033
    ├── NothingToAssess         FB-DEID-034
    ├── TextToolsMissing        FB-DEID-035
    ├── NoPreview               FB-DEID-036
    ├── KeyNotProtected         FB-DEID-040
    ├── FaceDecisionIncomplete  FB-DEID-041
    ├── FaceDecisionDamaged     FB-DEID-042
    ├── SeriesMayNotLeave       FB-DEID-043
    ├── FacesUndecided          FB-DEID-044
    ├── FoldersNested           FB-DEID-045
    ├── AnotherMethod           FB-DEID-046
    ├── FolderInUse             FB-DEID-047
    ├── NotARunFolder           FB-DEID-048
    ├── NoSuchRun               FB-DEID-049
    ├── NoSuchGroup             FB-DEID-050
    ├── NotForAPerson           FB-DEID-051
    ├── NotInAFolder            FB-DEID-052
    ├── UidsTangled             FB-DEID-053
    ├── NotHeldAnyMore          FB-DEID-054
    └── NothingToBlank          FB-DEID-055

A file that cannot be cleaned is no error but a result with a reason (outcomes.py): one bad file never stops the rest.
"""

from __future__ import annotations

from fairbank.errors import FairbankError, Kind


class DeidError(FairbankError):
    """De-identification could not go on."""

    code = "FB-DEID-001"
    kind = Kind.FAILED


class UnsafeIdentityStore(DeidError):
    """The identity store can be read by others, or is not one."""

    code = "FB-DEID-002"
    kind = Kind.REFUSED


class NoIdentityStore(DeidError):
    """There is no identity store, hence no key: nothing can be pseudonymised."""

    code = "FB-DEID-003"
    kind = Kind.NOT_FOUND


class BadProjectName(DeidError):
    """A project name cannot be used as a name of keys and folders."""

    code = "FB-DEID-004"
    kind = Kind.MISUSE


class StoreNotWritable(DeidError):
    """The research store cannot take a file (disk full, no permission)."""

    code = "FB-DEID-005"
    kind = Kind.UNAVAILABLE


class UnknownSubject(DeidError):
    """A pseudonym is not known to this node."""

    code = "FB-DEID-006"
    kind = Kind.NOT_FOUND


class SubjectForgotten(DeidError):
    """The subject was withdrawn: the salt is gone and no new one is made."""

    code = "FB-DEID-007"
    kind = Kind.GONE


class BadRecipe(DeidError):
    """A line of a recipe is not understood; nothing of the recipe is used."""

    code = "FB-DEID-015"
    kind = Kind.MISUSE


class RecipeWouldLeak(DeidError):
    """A line of a recipe would let something out that no option of the profile retains."""

    code = "FB-DEID-016"
    kind = Kind.REFUSED


class OptionsContradict(DeidError):
    """Two options of PS3.15 Annex E were asked for that cannot both run."""

    code = "FB-DEID-017"
    kind = Kind.MISUSE


class BadScript(DeidError):
    """A DicomEdit script cannot be read."""

    code = "FB-DEID-018"
    kind = Kind.MISUSE


class NothingToVerify(DeidError):
    """A folder that was to be verified holds no file."""

    code = "FB-DEID-020"
    kind = Kind.NOT_FOUND


class ValidatorMissing(DeidError):
    """Files were to be held against the standard by a program that is not installed."""

    code = "FB-DEID-021"
    kind = Kind.MISUSE


class ReportNotWritten(DeidError):
    """A report could not be written where it was asked for."""

    code = "FB-DEID-022"
    kind = Kind.UNAVAILABLE


class BadSuppressionFile(DeidError):
    """An exported suppression list cannot be opened."""

    code = "FB-DEID-025"
    kind = Kind.REFUSED


class KeyFileThere(DeidError):
    """There is a file already where a new key was to be written."""

    code = "FB-DEID-026"
    kind = Kind.CONFLICT


class UnknownPerson(DeidError):
    """Nobody of this name may ask for a re-identification here."""

    code = "FB-DEID-027"
    kind = Kind.NOT_FOUND


class BadPerson(DeidError):
    """A person cannot be named for re-identification: a name or a key that is taken, or unfit."""

    code = "FB-DEID-028"
    kind = Kind.MISUSE


class UnknownRequest(DeidError):
    """There is no such request for re-identification."""

    code = "FB-DEID-029"
    kind = Kind.NOT_FOUND


class OnePersonOnly(DeidError):
    """A re-identification takes two persons, and this one has spoken already or is not one of the two."""

    code = "FB-DEID-030"
    kind = Kind.FORBIDDEN


class RequestOver(DeidError):
    """A request for re-identification has expired, was used, or is not countersigned."""

    code = "FB-DEID-031"
    kind = Kind.GONE


class NoLink(DeidError):
    """The project keeps no links, so the original value can only be found among candidates."""

    code = "FB-DEID-032"
    kind = Kind.NOT_FOUND


class NotATerminal(DeidError):
    """An original id is shown at a terminal only."""

    code = "FB-DEID-033"
    kind = Kind.REFUSED


class NothingToAssess(DeidError):
    """There is nobody whose risk could be assessed, or a property that is not one of the list."""

    code = "FB-DEID-034"
    kind = Kind.NOT_FOUND


class TextToolsMissing(DeidError):
    """Tesseract or a package of the extra `pixels` is missing: text in images cannot be looked for."""

    code = "FB-DEID-035"
    kind = Kind.UNAVAILABLE


class NoPreview(DeidError):
    """A file's pixels cannot be shown."""

    code = "FB-DEID-036"
    kind = Kind.FAILED


class KeyNotProtected(DeidError):
    """A person's key opens without a passphrase."""

    code = "FB-DEID-040"
    kind = Kind.REFUSED


class FaceDecisionIncomplete(DeidError):
    """A decision on faces names no reason or nobody."""

    code = "FB-DEID-041"
    kind = Kind.MISUSE


class FaceDecisionDamaged(DeidError):
    """A decision on faces is not what a person who may decide has signed."""

    code = "FB-DEID-042"
    kind = Kind.FORBIDDEN


class SeriesMayNotLeave(DeidError):
    """A series shows a face, or nobody has looked: its files stay at the node."""

    code = "FB-DEID-043"
    kind = Kind.REFUSED


class FacesUndecided(DeidError):
    """Heads were to be used in place, and no named person has decided that."""

    code = "FB-DEID-044"
    kind = Kind.REFUSED


class FoldersNested(DeidError):
    """The folder that is read and the one that is written lie one in the other."""

    code = "FB-DEID-045"
    kind = Kind.MISUSE


class AnotherMethod(DeidError):
    """An output folder was made with another project, method or key."""

    code = "FB-DEID-046"
    kind = Kind.CONFLICT


class FolderInUse(DeidError):
    """Another run is writing to the same output folder."""

    code = "FB-DEID-047"
    kind = Kind.CONFLICT


class NotARunFolder(DeidError):
    """The output folder holds files that no run has put there."""

    code = "FB-DEID-048"
    kind = Kind.CONFLICT


class NoSuchRun(DeidError):
    """No run has written to a folder."""

    code = "FB-DEID-049"
    kind = Kind.NOT_FOUND


class NoSuchGroup(DeidError):
    """No held file belongs to a group of that name."""

    code = "FB-DEID-050"
    kind = Kind.NOT_FOUND


class NotForAPerson(DeidError):
    """A group's files are held for a reason that no person may wave through."""

    code = "FB-DEID-051"

    kind = Kind.REFUSED


class NotInAFolder(DeidError):
    """Heads are to stay recognisable in a plain folder."""

    code = "FB-DEID-052"
    kind = Kind.REFUSED


class UidsTangled(DeidError):
    """Two originals became one, or one became two: the files that a run has written do not stand for what came in."""

    code = "FB-DEID-053"


class NotHeldAnyMore(DeidError):
    """A file that is decided on is not held any more."""

    code = "FB-DEID-054"
    kind = Kind.CONFLICT


class NothingToBlank(DeidError):
    """A file is to be blanked, and it is not said where."""

    code = "FB-DEID-055"
    kind = Kind.REFUSED
