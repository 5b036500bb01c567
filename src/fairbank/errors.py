"""The root of the error tree, its one mapping to exits and HTTP, and values that must not be printed.

    FairbankError
    ├── SettingsError            FB-CORE-001
    ├── SigningError             FB-CORE-010 … 019   (signing.py, http_signatures.py)
    ├── DatabaseError            FB-CORE-020 … 029   (database.py)
    ├── AuditError               FB-CORE-030 … 039   (audit.py)
    ├── MissingExtra             FB-CORE-040
    └── one subtree per room     FB-<ROOM>-NNN       (<room>/errors.py)

A code is never reused; each has a page `docs/errors/<code>.md`.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar, Generic, NoReturn, TypeVar

T = TypeVar("T")


class Told(str):
    """A sentence that keeps its text without the parts that were put in, so that pages can say it in other languages.

    Attributes:
        text: with `%(name)s` for each part.
    """

    text: str
    parts: dict[str, object]


def told(text: str, **parts: object) -> Told:
    """Return an English sentence of an error with parts put in.

    >>> told("Wait %(count)s minutes.", count=5)
    'Wait 5 minutes.'
    """
    made = Told(text % parts if parts else text)
    made.text, made.parts = text, parts
    return made


class Kind(Enum):
    """What sort of failure it is: (exit code of the command line, HTTP status)."""

    MISUSE = (2, 400)
    UNAUTHENTICATED = (1, 401)
    FORBIDDEN = (1, 403)
    NOT_FOUND = (1, 404)
    NOT_ACCEPTABLE = (1, 406)
    CONFLICT = (1, 409)
    GONE = (1, 410)
    PRECONDITION = (1, 412)
    TOO_LARGE = (1, 413)
    UNSUPPORTED = (1, 415)
    REFUSED = (1, 422)
    TOO_MANY = (1, 429)
    FAILED = (1, 500)
    UNAVAILABLE = (1, 503)
    TIMEOUT = (1, 504)

    @property
    def exit_code(self) -> int:
        """Return the exit code of a command that ends this way."""
        return self.value[0]

    @property
    def http_status(self) -> int:
        """Return the HTTP status of an answer that ends this way."""
        return self.value[1]


class FairbankError(Exception):
    """A failure that a person can understand: what happened, why, and what to do next.

    Args:
        what: what happened, with the value where it cannot identify anyone.
        why: the reason, in one sentence.
        todo: what to do next, in one sentence.
    """

    code: ClassVar[str] = "FB-CORE-000"
    kind: ClassVar[Kind] = Kind.FAILED

    def __init__(self, what: str, *, why: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.todo = todo

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why, self.todo) if part)

    def problem(self) -> dict[str, str | int]:
        """Return the RFC 9457 `application/problem+json` body of this error."""
        return {
            "type": f"urn:fairbank:error:{self.code}",
            "title": self.what,
            "status": self.kind.http_status,
            "detail": " ".join(part for part in (self.why, self.todo) if part),
            "code": self.code,
            "why": self.why,
            "todo": self.todo,
        }

    @classmethod
    def from_problem(cls, problem: dict[str, object]) -> FairbankError:
        """Rebuild an error that a server answered, keeping its code (used by clients)."""
        error = RemoteError(
            str(problem.get("title", "the server refused")),
            why=str(problem.get("why", "")),
            todo=str(problem.get("todo", "")),
        )
        error.remote_code = str(problem.get("code", cls.code))
        status = problem.get("status")
        error.status = status if isinstance(status, int) else 500
        return error


class RemoteError(FairbankError):
    """An error that another server reported; `remote_code` is the code that it gave."""

    code = "FB-CORE-002"
    remote_code: str = "FB-CORE-000"
    status: int = 500


class MissingExtra(FairbankError):
    """A command needs an optional part of fairbank that is not installed."""

    code = "FB-CORE-040"
    kind = Kind.MISUSE

    @classmethod
    def named(cls, extra: str, *, needed_for: str) -> MissingExtra:
        """Return the error that names the extra to install."""
        return cls(
            f"{needed_for} needs the extra '{extra}', which is not installed.",
            why="fairbank keeps heavy libraries optional.",
            todo=f"Install it: pip install 'fairbank[{extra}]'.",
        )


class Sensitive(Generic[T]):
    """A value that may identify a person: it prints as a local reference, never as itself.

    >>> print(Sensitive("DOE^JANE", reference="file #17"))
    file #17
    """

    __slots__ = ("_reference", "_value")

    def __init__(self, value: T, *, reference: str) -> None:
        self._value = value
        self._reference = reference

    def reveal(self) -> T:
        """Return the value itself; call this only where it stays on the node."""
        return self._value

    def __repr__(self) -> str:
        return self._reference

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(self._reference, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sensitive) and bool(self._value == other._value)

    def __hash__(self) -> int:
        return hash((Sensitive, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Sensitive value is never pickled: it must not leave its process")


def all_error_classes() -> list[type[FairbankError]]:
    """Return every error class that has been imported, the root included, sorted by code."""
    found: set[type[FairbankError]] = set()
    waiting: list[type[FairbankError]] = [FairbankError]
    while waiting:
        cls = waiting.pop()
        found.add(cls)
        waiting.extend(cls.__subclasses__())
    return sorted(found, key=lambda cls: (cls.code, cls.__name__))
