"""Whether UIDs still hang together after a run: references resolve, and nothing became one that was two.

Built file by file while a run goes on, in any order, from any process. Original UIDs are kept as keyed digests only,
and the key goes with the run.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from dataclasses import dataclass

from fairbank.deid.errors import UidsTangled
from fairbank.deid.method import Method
from fairbank.deid.sweep.public_uids import is_public
from fairbank.deid.sweep.walk import Path
from fairbank.deid.verification.judgements import May, may_be
from fairbank.deid.verification.output import Output
from fairbank.deid.verification.problem import Fault

_DIGEST_BYTES = 12
_TABLES = """
create table became (before blob, after blob, primary key (before, after)) without rowid;
create index became_after on became (after);
create table made (after blob primary key, before blob) without rowid;
create table referred (file integer, target blob);
create table refers (file integer, target blob, primary key (file, target)) without rowid;
"""
# References whose target was cleaned in the run, and what the same file refers to that the target became.
_WITHIN = "select 1 from referred as r where exists (select 1 from became where before = r.target)"
_KEPT = (
    "select 1 from became join refers on refers.target = became.after"
    " where became.before = r.target and refers.file = r.file"
)
# Study, series, instance and frame of reference: what others refer to (DICOM PS3.3, Annex C.7, C.12).
_OWN = (0x0020000D, 0x0020000E, 0x00080018, 0x00200052)
_INSTANCE = 0x00080018
# By what an item refers: instance; frame of reference (also of a structure set); series; study.
_REFERRING = frozenset({0x00081155, 0x30060024, 0x300600C2, 0x00200052, 0x0020000E, 0x0020000D})


@dataclass(frozen=True, slots=True)
class Links:
    """The UIDs of one file, as digests: small enough to be sent from process to process.

    Attributes:
        pairs: what the file's own UIDs were and became.
        instance: the pair of the instance.
        referred: original UIDs that the file refers to, where the method lets the reference stay.
        refers: UIDs that the output refers to.
    """

    pairs: tuple[tuple[bytes, bytes], ...]
    instance: tuple[bytes, bytes]
    referred: frozenset[bytes]
    refers: frozenset[bytes]


def links_of(original: Output, output: Output, *, method: Method, subject: str, key: bytes) -> Links:
    """Return the links of a file before and after cleaning.

    Args:
        original: the file that came in.
        output: the file that was made of it.
        method: how it was cleaned; references in sequences that it removes are not expected.
        subject: whose file it is; the same UID of two subjects is two.
        key: of the run, 32 bytes.
    """

    def old(uid: str) -> bytes:
        return _digest(key, f"{subject}\x00{uid}")

    def new(uid: str) -> bytes:
        return _digest(key, f"\x01{uid}")

    pairs = tuple((old(before), new(after)) for before, after in _own_pairs(original, output))
    instance = (old(original.text(_INSTANCE)), new(output.text(_INSTANCE)))
    referred = frozenset(old(uid) for uid in _references(original, method))
    return Links(pairs, instance, referred, frozenset(new(uid) for uid in _references(output, None)))


class UidGraph:
    """All links of a run so far, in a file without a name that the system removes: memory stays flat."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")
        self._database.executescript(_TABLES)
        self._files = 0
        self._two_to_one = 0

    def close(self) -> None:
        """Let the graph go."""
        self._database.close()

    def add(self, links: Links) -> None:
        """Take the links of one file."""
        self._files += 1
        run = self._database.execute
        before, after = links.instance
        run("insert or ignore into made values (?,?)", (after, before))
        (known,) = run("select before from made where after = ?", (after,)).fetchone()
        self._two_to_one += known != before
        many = self._database.executemany
        many("insert or ignore into became values (?,?)", links.pairs)
        if links.referred:
            many("insert into referred values (?,?)", [(self._files, one) for one in sorted(links.referred)])
            many("insert into refers values (?,?)", [(self._files, one) for one in sorted(links.refers)])

    def faults(self) -> Counter[Fault]:
        """Return how often which rule is broken, once every file is in."""
        found: Counter[Fault] = Counter()
        found[Fault.ONE_TO_TWO] = self._count("select 1 from became group by before having count(*) > 1")
        found[Fault.TWO_TO_ONE] = self._two_to_one + self._count(
            "select 1 from became group by after having count(*) > 1"
        )
        found[Fault.REFERENCE_LOST] = self._count(f"{_WITHIN} and not exists ({_KEPT})")
        return +found

    def check(self) -> None:
        """Do nothing if each original stands for one output.

        Raises:
            UidsTangled: if two became one, or one became two.
        """
        found = self.faults()
        if found[Fault.ONE_TO_TWO] or found[Fault.TWO_TO_ONE]:
            raise UidsTangled(
                "What was written does not stand for what came in, so none of it may be used.",
                why=f"{found[Fault.ONE_TO_TWO]} UIDs became two, {found[Fault.TWO_TO_ONE]} times two became one.",
                todo="Start again with an empty output folder or project; if it happens again, report it.",
            )

    def summary(self) -> dict[str, int]:
        """Return counts for a report: files, UIDs, references and how many of them lead to a file of the run."""
        return {
            "files": self._files,
            "uids": self._count("select distinct before from became"),
            "references": self._count("select 1 from referred"),
            "references within the run": self._count(_WITHIN),
        } | {fault.value: count for fault, count in self.faults().items()}

    def _count(self, query: str) -> int:
        return int(self._database.execute(f"select count(*) from ({query})").fetchone()[0])  # noqa: S608 - ours


def _own_pairs(original: Output, output: Output) -> list[tuple[str, str]]:
    both = ((original.text(tag), output.text(tag)) for tag in _OWN)
    return [(before, after) for before, after in both if before and after and not is_public(before)]


def _references(output: Output, method: Method | None) -> set[str]:
    found = set()
    for element in output.walked.elements:
        if element.tag in _REFERRING and element.path and (method is None or _stays(element.path, method)):
            value = output.walked.value(element).decode("latin-1")
            found |= {one.strip(" \0") for one in value.split("\\")}
    return {uid for uid in found if not is_public(uid)}


def _stays(path: Path, method: Method) -> bool:
    return all(may_be(tag, method) in (May.ANYTHING, May.REFERENCES) for tag, _ in path)


def _digest(key: bytes, text: str) -> bytes:
    return hashlib.blake2b(text.encode(), key=key, digest_size=_DIGEST_BYTES).digest()
