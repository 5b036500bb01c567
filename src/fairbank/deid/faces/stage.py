"""What is done with one series of cleaned files, if it shows a head from which a face could be made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fairbank.deid import part10
from fairbank.deid.decisions import Decisions, Verdict
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason, Refused
from fairbank.deid.policies import FacePolicy

if TYPE_CHECKING:
    from fairbank.deid.faces.heads import Look


@dataclass(frozen=True, slots=True)
class FaceWork:
    """What became of a series' face.

    Attributes:
        head: whether a head was found from which a face could be made.
        defaced: whether Clean Recognizable Visual Features Option (113102) is claimed in the files.
        in_situ: whether the series must never be downloaded.
        brain_kept: of a defaced series, the share of the brain's voxels that are as they were.
        group: under which a curator has said that such series show no face; `head` is False by that word alone then.
    """

    head: bool = False
    defaced: bool = False
    in_situ: bool = False
    brain_kept: float | None = None
    group: str | None = None

    def merged(self, other: FaceWork) -> FaceWork:
        """Return what is true of two parts of a series together: the worse of the two."""
        kept = [one.brain_kept for one in (self, other) if one.brain_kept is not None]
        return FaceWork(
            head=self.head or other.head,
            defaced=(self.defaced or other.defaced) and not (self.shows_face or other.shows_face),
            in_situ=self.in_situ or other.in_situ,
            brain_kept=min(kept, default=None),
            group=self.group or other.group,
        )

    @property
    def shows_face(self) -> bool:
        """Return whether a face can still be made from the series."""
        return self.in_situ or (self.head and not self.defaced)


NO_HEAD = FaceWork()


def treat_series(files: Sequence[Path], *, method: Method, decisions: Decisions) -> FaceWork:
    """Judge a series of cleaned files, and rewrite them in place if the policy says so.

    Whoever runs this with IN_SITU has made sure that a named person signed it (`policy_store.py`).

    Args:
        files: the cleaned files of one series, in a folder that nobody else reads yet.
        method: how the collection is de-identified.
        decisions: what a curator has decided of groups of files. RELEASE of a `face|…` group says: looked at, these are
            no heads that anybody could know. It counts under every policy, for this group only, and leaves the files as
            they are.

    Raises:
        Refused: if the series has to be held; its files may have been changed and must not be used.
    """
    with part10.quiet_pydicom():
        try:
            return _treated(files, method, decisions)
        except ImportError as err:
            raise Refused(Reason.FACE_TOOLS_MISSING) from err


def _treated(files: Sequence[Path], method: Method, decisions: Decisions) -> FaceWork:
    from fairbank.deid.faces.heads import Sign, look
    from fairbank.deid.faces.removal import are_cleaned, mark

    seen = look(files)
    if not seen.head:
        return NO_HEAD
    if decisions.of(seen.group) is Verdict.RELEASE:
        return FaceWork(group=seen.group)
    if method.faces is FacePolicy.HOLD:
        raise Refused(Reason.FACE, group=seen.group)
    if method.faces is FacePolicy.DEFACE and seen.sign is Sign.UNREADABLE:
        raise Refused(Reason.FACE_REMAINS, group=_remains(seen.group))
    try:
        if method.faces is FacePolicy.IN_SITU:
            mark(files, recognizable=True)
            return FaceWork(head=True, in_situ=True)
        if are_cleaned(files):  # by an earlier run: cleaning removes the code from what comes in
            return FaceWork(head=True, defaced=True)
        return _defaced(files, seen, method.deface_command)
    except (ImportError, Refused):
        raise
    except Exception as err:  # whatever malformed pixels raise: it was not shown that the face is gone
        raise Refused(Reason.FACE_REMAINS, group=_remains(seen.group)) from err


def _defaced(files: Sequence[Path], seen: Look, command: str) -> FaceWork:
    from fairbank.deid.faces.defacing import deface

    done = deface(files, seen, command=command)
    return FaceWork(head=True, defaced=True, brain_kept=done.brain_kept)


def _remains(group: str) -> str:
    return group.replace("face|", f"{Reason.FACE_REMAINS}|", 1)
