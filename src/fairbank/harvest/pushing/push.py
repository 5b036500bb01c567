"""Pushing a project's de-identified series to a research archive: asked for, sent, fetched back and compared.

What is there already is not sent again, so a push may be repeated, and goes on where it stopped. One bad series never
stops the rest; an archive that is down, or does not know its user, does.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fairbank import audit
from fairbank.audit import NodeAudit
from fairbank.database import writing
from fairbank.deid.identity import IdentityStore
from fairbank.harvest.errors import (
    HarvestError,
    SourceForbidden,
    SourceLoginRefused,
    SourceUnreachable,
)
from fairbank.harvest.pushing.comparing import same, sop_uid_of
from fairbank.harvest.pushing.destination import Destination
from fairbank.harvest.pushing.outgoing import MayLeave, OutgoingFile, OutgoingSeries, is_as_cleaned
from fairbank.harvest.pushing.receipts import Receipts
from fairbank.release.node import Node


class State(StrEnum):
    """What became of one series.

    Attributes:
        SENT: it was sent, and the archive now holds each of its files as it is here.
        REPLACED: the same, in the place of other content.
        UNCHANGED: the archive held it so already.
        WOULD_SEND: a rehearsal; it would be sent.
        DIFFERS: the archive holds other content and keeps it.
        MAY_NOT_LEAVE: a policy keeps its files at the node.
        NOT_VERIFIED: a file is not as it was when it passed the check, or was never checked.
        FAILED: the archive did not take it.
    """

    SENT = "sent"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    WOULD_SEND = "would-send"
    DIFFERS = "differs"
    MAY_NOT_LEAVE = "may-not-leave"
    NOT_VERIFIED = "not-verified"
    FAILED = "failed"

    @property
    def is_well(self) -> bool:
        """Tell whether nobody needs to look."""
        return self not in (State.DIFFERS, State.NOT_VERIFIED, State.FAILED)


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of one series: its pseudonymous UID, how many files it has, and how many were sent."""

    series_uid: str
    state: State
    files: int
    sent: int = 0
    error: HarvestError | None = None


@dataclass(frozen=True)
class Push:
    """One push of a project.

    Attributes:
        destination: where to.
        called: the destination's name at the node, and what it is sent into there.
        may_leave: whether a series may leave as files.
        rehearse: whether nothing is to be sent.
    """

    node: Node
    project: str
    destination: Destination
    called: tuple[str, str]
    identity: IdentityStore
    may_leave: MayLeave
    rehearse: bool = False

    def run(self, wanted: Sequence[OutgoingSeries]) -> Iterator[Pushed]:
        """Yield what became of each series, in their order; what was done is audited also if it breaks off.

        Raises:
            SourceUnreachable, SourceLoginRefused, SourceForbidden: if the archive itself cannot be used.
        """
        receipts = Receipts(self.node.settings.home, self.called, self.project)
        done: Counter[State] = Counter()
        try:
            for series in wanted:
                result = self._one(series, receipts)
                done[result.state] += 1
                yield result
        finally:
            if not self.rehearse:
                self._audit(done)

    def _one(self, series: OutgoingSeries, receipts: Receipts) -> Pushed:
        if not self.may_leave(self.project, series.series_uid):
            return Pushed(series.series_uid, State.MAY_NOT_LEAVE, len(series.files))
        if not is_as_cleaned(series, self.identity):
            return Pushed(series.series_uid, State.NOT_VERIFIED, len(series.files))
        try:
            return self._brought(series, receipts)
        except (SourceUnreachable, SourceLoginRefused, SourceForbidden):
            raise
        except HarvestError as err:
            return Pushed(series.series_uid, State.FAILED, len(series.files), error=err)

    def _brought(self, series: OutgoingSeries, receipts: Receipts) -> Pushed:
        count = len(series.files)
        there = self.destination.there(series)
        listed = there.sop_uids is None or there.sop_uids >= {file.sop_uid for file in series.files}
        if there.count >= count and listed and receipts.cover(series):
            return Pushed(series.series_uid, State.UNCHANGED, count)
        alike, other = self._compared(series) if there.count else (set(), set())
        receipts.add(series, [file for file in series.files if file.sop_uid in alike])
        lacking = [file for file in series.files if file.sop_uid not in alike]
        if not lacking:
            return Pushed(series.series_uid, State.UNCHANGED, count)
        if self.rehearse:
            return Pushed(series.series_uid, State.WOULD_SEND, count)
        return self._sent(series, lacking, receipts, replace=bool(other) and self.destination.replaces)

    def _sent(
        self, series: OutgoingSeries, lacking: Sequence[OutgoingFile], receipts: Receipts, *, replace: bool
    ) -> Pushed:
        self.destination.send(series, lacking, replace=replace)
        alike, other = self._compared(series)
        receipts.add(series, [file for file in series.files if file.sop_uid in alike])
        came = sum(file.sop_uid in alike for file in lacking)
        if came == len(lacking):
            state = State.REPLACED if replace else State.SENT
        else:
            state = State.DIFFERS if other else State.FAILED
        return Pushed(series.series_uid, state, len(series.files), came)

    def _compared(self, series: OutgoingSeries) -> tuple[set[str], set[str]]:
        """Return the SOP UIDs that the archive holds as they are here, and those that it holds otherwise."""
        ours = {file.sop_uid: file.path for file in series.files}
        alike: set[str] = set()
        other: set[str] = set()
        with tempfile.TemporaryDirectory(prefix="fairbank-push-") as folder:
            for path in self.destination.fetch(series, Path(folder)):
                sop_uid = sop_uid_of(path)
                if sop_uid in ours:
                    (alike if same(ours[sop_uid], path) else other).add(sop_uid)
                path.unlink()
        return alike - other, other

    def _audit(self, done: Counter[State]) -> None:
        with writing(self.node.engine) as session:
            audit.record(
                session,
                NodeAudit,
                clock=self.node.clock,
                actor=self.node.key.key_id,
                act="series.push",
                target=self.project,
                detail={"to": self.called[0], "into": self.called[1]}
                | {state.value: n for state, n in done.items()},
            )
