"""Errors of the catalogue.

FairbankError
└── CatalogueError             FB-CAT-001
    ├── HubNotInitialised      FB-CAT-002
    ├── HubExists              FB-CAT-003
    ├── RootKeyElsewhere       FB-CAT-004
    ├── InvitationRefused      FB-CAT-010
    ├── NodeNameTaken          FB-CAT-011
    ├── UnknownNode            FB-CAT-012
    ├── BodyTooLarge           FB-CAT-013
    ├── LengthMissing          FB-CAT-014
    ├── NotLoggedIn            FB-CAT-020
    ├── WrongPassword          FB-CAT-021
    ├── TooManyLogins          FB-CAT-022
    ├── NotAllowed             FB-CAT-023
    ├── AccountRefused         FB-CAT-024
    ├── KeyProofRefused        FB-CAT-025
    ├── UploadRefused          FB-CAT-030
    ├── UploadConflict         FB-CAT-031
    ├── DigestMismatch         FB-CAT-032
    ├── BlobNotFound           FB-CAT-033
    ├── UploadNotFound         FB-CAT-034
    ├── RecordRefused          FB-CAT-040
    ├── DatasetNotFound        FB-CAT-041
    ├── NotAcceptable          FB-CAT-042
    ├── QueryMalformed         FB-CAT-050
    ├── QueryForbidden         FB-CAT-051
    ├── QueryTimeout           FB-CAT-052
    ├── QueryTooBig            FB-CAT-053
    ├── QueryBusy              FB-CAT-054
    ├── QueryOutOfMemory       FB-CAT-055
    ├── QueryNotIsolated       FB-CAT-056
    ├── StorageFailed          FB-CAT-057
    ├── EncodingRefused        FB-CAT-058
    ├── RdfFileRefused         FB-CAT-059
    ├── RequestRefused         FB-CAT-060
    ├── RequestNotFound        FB-CAT-061
    ├── WrongState             FB-CAT-062
    ├── DecisionRefused        FB-CAT-063
    ├── GrantNotFound          FB-CAT-064
    ├── VersionNotFound        FB-CAT-070
    ├── ParameterRefused       FB-CAT-071
    ├── DatasetWithdrawn       FB-CAT-072
    ├── SearchRefused          FB-CAT-073
    ├── DocumentTooLarge       FB-CAT-077
    ├── DocumentEmpty          FB-CAT-078
    ├── DocumentUnsound        FB-CAT-079
    ├── IndexRefused           FB-CAT-090
    ├── MirrorRefused          FB-CAT-091
    ├── UnknownCollection      FB-CAT-092
    ├── RdfMalformed           FB-CAT-080
    ├── RdfUnsupported         FB-CAT-081
    ├── ShapesViolated         FB-CAT-082
    ├── DocumentRefused        FB-CAT-083
    ├── ParentRefused          FB-CAT-084
    ├── ChangedMeanwhile       FB-CAT-085
    ├── ResourceNotFound       FB-CAT-086
    ├── NotWritable            FB-CAT-087
    ├── StateRefused           FB-CAT-088
    ├── ResourceDeleted        FB-CAT-089
    ├── DatasetMirrored        FB-CAT-093
    ├── CatalogNotFound        FB-CAT-110
    ├── DistributionNotFound   FB-CAT-111
    ├── KeySuccessionRefused   FB-REL-035
    └── NodeSuspended          FB-REL-036
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from fairbank.errors import FairbankError, Kind


class CatalogueError(FairbankError):
    """Something went wrong in the hub's catalogue.

    Attributes:
        retry_after_s: after how many seconds trying again makes sense (the `Retry-After` of an answer).
    """

    code = "FB-CAT-001"
    kind = Kind.FAILED
    retry_after_s: ClassVar[int | None] = None


class HubNotInitialised(CatalogueError):
    """The home folder holds no hub, or half of one."""

    code = "FB-CAT-002"
    kind = Kind.MISUSE


class HubExists(CatalogueError):
    """The home folder holds a hub already."""

    code = "FB-CAT-003"
    kind = Kind.CONFLICT


class RootKeyElsewhere(CatalogueError):
    """The hub's root key was replaced, and the new one is not in the folder of this process: it seals nothing."""

    code = "FB-CAT-004"
    kind = Kind.FAILED


class InvitationRefused(CatalogueError):
    """An enrolment token is unknown, used, or past its time."""

    code = "FB-CAT-010"
    kind = Kind.FORBIDDEN


class NodeNameTaken(CatalogueError):
    """A node of this name, or with this key, has enrolled already."""

    code = "FB-CAT-011"
    kind = Kind.CONFLICT


class UnknownNode(CatalogueError):
    """A request is signed with a key that no enrolled node has."""

    code = "FB-CAT-012"
    kind = Kind.UNAUTHENTICATED


class BodyTooLarge(CatalogueError):
    """A body is larger than its route takes; it was not read."""

    code = "FB-CAT-013"
    kind = Kind.TOO_LARGE


class LengthMissing(CatalogueError):
    """A body comes without saying how long it is."""

    code = "FB-CAT-014"
    kind = Kind.MISUSE


class NotLoggedIn(CatalogueError):
    """A request needs an account, and its token is missing, unknown or expired."""

    code = "FB-CAT-020"
    kind = Kind.UNAUTHENTICATED


class WrongPassword(CatalogueError):
    """The account name and password do not belong together."""

    code = "FB-CAT-021"
    kind = Kind.UNAUTHENTICATED


class TooManyLogins(CatalogueError):
    """Too many wrong passwords in a short time."""

    code = "FB-CAT-022"
    kind = Kind.TOO_MANY
    retry_after_s = 300


class NotAllowed(CatalogueError):
    """The account lacks the role that this needs."""

    code = "FB-CAT-023"
    kind = Kind.FORBIDDEN


class AccountRefused(CatalogueError):
    """An account cannot be made or changed like this."""

    code = "FB-CAT-024"
    kind = Kind.REFUSED


class KeyProofRefused(CatalogueError):
    """A requester's key cannot be registered."""

    code = "FB-CAT-025"
    kind = Kind.REFUSED


class UploadRefused(CatalogueError):
    """The headers of an upload do not say what is being sent."""

    code = "FB-CAT-030"
    kind = Kind.MISUSE


class UploadConflict(CatalogueError):
    """Something else has been uploaded in this place, or the piece does not continue what is there."""

    code = "FB-CAT-031"
    kind = Kind.CONFLICT


class DigestMismatch(CatalogueError):
    """The bytes that arrived are not the bytes that were announced."""

    code = "FB-CAT-032"
    kind = Kind.REFUSED


class BlobNotFound(CatalogueError):
    """There is no such content, or the reader may not see it."""

    code = "FB-CAT-033"
    kind = Kind.NOT_FOUND


class UploadNotFound(CatalogueError):
    """No upload of this id has begun."""

    code = "FB-CAT-034"
    kind = Kind.NOT_FOUND


class RecordRefused(CatalogueError):
    """A dataset record cannot be published."""

    code = "FB-CAT-040"
    kind = Kind.REFUSED


class DatasetNotFound(CatalogueError):
    """There is no such dataset, or the caller may not see it."""

    code = "FB-CAT-041"
    kind = Kind.NOT_FOUND


class NotAcceptable(CatalogueError):
    """None of the formats that the caller accepts is offered."""

    code = "FB-CAT-042"
    kind = Kind.NOT_ACCEPTABLE


class QueryMalformed(CatalogueError):
    """A SPARQL query cannot be read."""

    code = "FB-CAT-050"
    kind = Kind.MISUSE


class QueryForbidden(CatalogueError):
    """A SPARQL operation would change the catalogue or reach another server."""

    code = "FB-CAT-051"
    kind = Kind.FORBIDDEN


class QueryTimeout(CatalogueError):
    """A SPARQL query ran too long and was stopped."""

    code = "FB-CAT-052"
    kind = Kind.TIMEOUT
    retry_after_s = 10


class QueryTooBig(CatalogueError):
    """The answer of a SPARQL query has too many rows or bytes."""

    code = "FB-CAT-053"
    kind = Kind.REFUSED


class QueryBusy(CatalogueError):
    """All query workers are busy, or the RDF view is not ready yet."""

    code = "FB-CAT-054"
    kind = Kind.UNAVAILABLE
    retry_after_s = 5


class QueryOutOfMemory(CatalogueError):
    """A SPARQL query needed too much memory and was stopped."""

    code = "FB-CAT-055"
    kind = Kind.UNAVAILABLE
    retry_after_s = 10


class QueryNotIsolated(CatalogueError):
    """This machine cannot keep a query worker from the network, so no query is answered."""

    code = "FB-CAT-056"
    kind = Kind.UNAVAILABLE
    retry_after_s = 300


class StorageFailed(CatalogueError):
    """The hub's disk or database cannot be used at the moment."""

    code = "FB-CAT-057"
    kind = Kind.UNAVAILABLE
    retry_after_s = 60


class EncodingRefused(CatalogueError):
    """A body is compressed, or encoded in another way."""

    code = "FB-CAT-058"
    kind = Kind.UNSUPPORTED


class RdfFileRefused(CatalogueError):
    """A file that is to be served as RDF is missing, of no known format, or cannot be parsed."""

    code = "FB-CAT-059"
    kind = Kind.MISUSE


class RequestRefused(CatalogueError):
    """An access request cannot be accepted as it is."""

    code = "FB-CAT-060"
    kind = Kind.REFUSED


class RequestNotFound(CatalogueError):
    """There is no such access request, or the caller may not see it."""

    code = "FB-CAT-061"
    kind = Kind.NOT_FOUND


class WrongState(CatalogueError):
    """A request or grant is not in a state in which this can happen."""

    code = "FB-CAT-062"
    kind = Kind.CONFLICT


class DecisionRefused(CatalogueError):
    """A committee member's decision cannot be taken like this."""

    code = "FB-CAT-063"
    kind = Kind.REFUSED


class GrantNotFound(CatalogueError):
    """There is no such grant, or the caller may not see it."""

    code = "FB-CAT-064"
    kind = Kind.NOT_FOUND


class VersionNotFound(CatalogueError):
    """A dataset has no version of this number."""

    code = "FB-CAT-070"
    kind = Kind.NOT_FOUND


class ParameterRefused(CatalogueError):
    """A number in an address is no number, or out of its range."""

    code = "FB-CAT-071"
    kind = Kind.MISUSE


class DatasetWithdrawn(CatalogueError):
    """A dataset was withdrawn for good; the answer names the class of the reason and the moment.

    Attributes:
        reason: a word of `WithdrawalReason`.
        at: when, as RFC 3339 text.
    """

    code = "FB-CAT-072"
    kind = Kind.GONE
    reason: str = ""
    at: str = ""

    @classmethod
    def of(cls, dataset: str, *, at: str, reason: str) -> DatasetWithdrawn:
        """Return the error about a dataset."""
        error = cls(
            f"The dataset {dataset} was withdrawn on {at[:10]}: {reason.replace('_', ' ')}.",
            why="A withdrawal is final, for all versions: nothing of it is shown, granted or published any more.",
            todo="Look for another dataset; who published it may publish again under another name.",
        )
        error.reason, error.at = reason, at
        return error

    def problem(self) -> dict[str, str | int]:
        """Return the problem, with `reason` and `withdrawn` for programs (RFC 9457, section 3.2)."""
        return {**super().problem(), "reason": self.reason, "withdrawn": self.at}


class SearchRefused(CatalogueError):
    """A parameter of a search is not known, or its value cannot be used."""

    code = "FB-CAT-073"
    kind = Kind.REFUSED


class DocumentTooLarge(CatalogueError):
    """A file that is to be judged by the profiles is larger than a description of datasets can be."""

    code = "FB-CAT-077"
    kind = Kind.TOO_LARGE


class DocumentEmpty(CatalogueError):
    """A file that is to be judged by the profiles describes no dataset."""

    code = "FB-CAT-078"
    kind = Kind.MISUSE


class DocumentUnsound(CatalogueError):
    """A file that is to be judged by the profiles holds values that are none."""

    code = "FB-CAT-079"
    kind = Kind.MISUSE


class IndexRefused(CatalogueError):
    """A file is no index of series that could be mirrored."""

    code = "FB-CAT-090"
    kind = Kind.MISUSE


class MirrorRefused(CatalogueError):
    """The node of a mirror is not the hub's own, or was shut out."""

    code = "FB-CAT-091"
    kind = Kind.CONFLICT


class UnknownCollection(CatalogueError):
    """A collection that was named is not in the index."""

    code = "FB-CAT-092"
    kind = Kind.NOT_FOUND


class RdfMalformed(CatalogueError):
    """A body that should be RDF, or the JSON of a small message, cannot be read."""

    code = "FB-CAT-080"
    kind = Kind.MISUSE


class RdfUnsupported(CatalogueError):
    """A body is of a type or charset that is not read."""

    code = "FB-CAT-081"
    kind = Kind.UNSUPPORTED


class Described(Protocol):
    """What can be said in names and texts, such as one result of a validation."""

    def described(self) -> dict[str, str]:
        """Return it as names and texts."""
        ...


class ShapesViolated(CatalogueError):
    """A document does not fit the shapes of its kind.

    Attributes:
        results: what is wrong.
    """

    code = "FB-CAT-082"
    kind = Kind.MISUSE
    results: Sequence[Described] = ()

    def problem(self) -> dict[str, Any]:
        """Return the problem, with the results for programs (RFC 9457, section 3.2)."""
        return {**super().problem(), "results": [each.described() for each in self.results]}


class DocumentRefused(CatalogueError):
    """A document says what it may not say here."""

    code = "FB-CAT-083"
    kind = Kind.MISUSE


class ParentRefused(CatalogueError):
    """A document names no parent, or one that cannot be its parent."""

    code = "FB-CAT-084"
    kind = Kind.MISUSE


class ChangedMeanwhile(CatalogueError):
    """Somebody else has changed a resource since the caller read it."""

    code = "FB-CAT-085"
    kind = Kind.PRECONDITION


class ResourceNotFound(CatalogueError):
    """There is no such described resource, or the caller may not see it."""

    code = "FB-CAT-086"
    kind = Kind.NOT_FOUND


class NotWritable(CatalogueError):
    """What a node has signed cannot be changed by the addresses of the FAIR Data Point."""

    code = "FB-CAT-087"
    kind = Kind.FORBIDDEN


class StateRefused(CatalogueError):
    """A described resource cannot get the state that was asked for."""

    code = "FB-CAT-088"
    kind = Kind.MISUSE


class ResourceDeleted(CatalogueError):
    """A described resource was deleted."""

    code = "FB-CAT-089"
    kind = Kind.GONE


class DatasetMirrored(CatalogueError):
    """Access is asked for to a dataset of a mirror, whose images are open elsewhere and at no biobank of this hub."""

    code = "FB-CAT-093"
    kind = Kind.REFUSED

    @classmethod
    def of(cls, iri: str) -> DatasetMirrored:
        """Return the error about a dataset."""
        return cls(
            f"No access can be granted to {iri}.",
            why="It is a mirror's: no biobank of this hub has its images, so no job could run on them.",
            todo="Fetch the images at the address in its description, where they are open to everyone.",
        )


class CatalogNotFound(CatalogueError):
    """No node of this name has a catalog."""

    code = "FB-CAT-110"
    kind = Kind.NOT_FOUND


class DistributionNotFound(CatalogueError):
    """A dataset has no distribution of this name."""

    code = "FB-CAT-111"
    kind = Kind.NOT_FOUND


class KeySuccessionRefused(CatalogueError):
    """A node or an operator wants to replace a key and does not prove that it may."""

    code = "FB-REL-035"
    kind = Kind.FORBIDDEN


class NodeSuspended(CatalogueError):
    """The hub's administrators have suspended a node; nothing of it is accepted, and it gets no work."""

    code = "FB-REL-036"
    kind = Kind.FORBIDDEN
