"""Pictures that tools leave for the curator of a site: what was taken for lung, what a model marked.

They lie in the node's home, below the name of the job and under the job's own pseudonyms, and no door leads out from
there: nothing that the outbox reads lies in that folder. They go when a subject of the job is withdrawn, when a project
of it is deleted, and after so many days.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.analysis.run import OVERLAYS
from fairbank.federated_jobs.errors import NoOverlays
from fairbank.federated_jobs.node.errors import StagingRefused
from fairbank.federated_jobs.node.sandbox_policy import JobFolder
from fairbank.federated_jobs.node.sandbox_staging import OPAQUE, take_from_scratch
from fairbank.federated_jobs.node.site_keys import cohort_secret, job_pseudonym
from fairbank.federated_jobs.node.store import CohortRow
from fairbank.release.node import Node

FOLDER: Final = "overlays"
SUFFIX: Final = ".png"
MOST: Final = 20_000
LARGEST_BYTES: Final = 8 << 20
_PNG: Final = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Overlay:
    """A picture for the curator.

    Attributes:
        unit: the job's own name of the series.
        series: the series as the site knows it; None if it has left the cohort.
    """

    unit: str
    file: Path
    series: str | None


def keep(node: Node, job: str, folder: JobFolder) -> int:
    """Take the pictures that a job left out of its scratch folder; return how many.

    The job owns what it left, so links, pipes, other files and what is too large are left behind.
    """
    remove_old(node)
    target = _folder(node, job)
    taken = 0
    for name in _names(folder.scratch / OVERLAYS):
        if taken >= MOST:
            break
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(StagingRefused):
            take_from_scratch(
                folder, name, to=target / name, max_bytes=LARGEST_BYTES, head=_png_only, below=OVERLAYS
            )
            taken += 1
    if taken:
        # By the node's own clock, which says when they are old.
        at = node.clock.now().timestamp()
        os.utime(target, (at, at))
    return taken


def of_job(node: Node, session: Session, job: str) -> list[Overlay]:
    """Return the pictures of a job, with the series that they show.

    Raises:
        NoOverlays: if there are none.
    """
    files = sorted(_folder(node, job).glob(f"*{SUFFIX}"))
    if not files:
        raise NoOverlays(
            "There are no pictures of this job here.",
            why="Its tool makes none, it has not measured yet, or they were removed: they are kept for "
            f"{node.settings.node_overlays_days} days (setting node_overlays_days), and go when a subject withdraws.",
            todo="See 'fairbank node jobs list'.",
        )
    secret = cohort_secret(node.settings)
    rows = session.scalars(select(CohortRow).where(CohortRow.job == job, CohortRow.gone.is_(None)))
    known = {
        job_pseudonym(secret, job, "series", f"{row.dataset}/{row.series_uid}"): row.series_uid
        for row in rows
    }
    # The place in the cohort comes first in the name.
    return [Overlay(file.stem, file, known.get(file.stem.partition("-")[2])) for file in files]


def copy_to(overlays: list[Overlay], folder: Path) -> None:
    """Copy pictures into a new folder that only who runs this may enter.

    Raises:
        NoOverlays: if the folder is there already.
    """
    try:
        folder.mkdir(mode=0o700)
    except OSError as err:
        raise NoOverlays(
            "The pictures cannot be written there.",
            why=f"A new folder is made for them, and the system says: {err.strerror}.",
            todo="Name a folder that is not there yet.",
        ) from err
    for one in overlays:
        shutil.copyfile(one.file, folder / one.file.name)


def remove(node: Node, job: str) -> None:
    """Remove all pictures of a job."""
    shutil.rmtree(_folder(node, job), ignore_errors=True)


def remove_old(node: Node) -> None:
    """Remove the pictures of jobs that were measured longer ago than the site keeps them."""
    place = node.settings.home / FOLDER
    oldest = node.clock.now() - timedelta(days=node.settings.node_overlays_days)
    for folder in list(place.iterdir()) if place.is_dir() else ():
        if datetime.fromtimestamp(folder.stat().st_mtime, UTC) < oldest:
            shutil.rmtree(folder, ignore_errors=True)


def _folder(node: Node, job: str) -> Path:
    return node.settings.home / FOLDER / job


def _names(folder: Path) -> Iterator[str]:
    """Yield names of pictures in a folder that a job owns; a link to a folder is none."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        # By descriptor, so that nobody puts a link in the place of the folder meanwhile.
        names = sorted(os.listdir(handle))  # noqa: PTH208
    finally:
        os.close(handle)
    yield from (name for name in names if name.endswith(SUFFIX) and OPAQUE.fullmatch(name[: -len(SUFFIX)]))


def _png_only(read: Callable[[int], bytes]) -> bytes:
    begins = read(len(_PNG))
    if begins != _PNG:
        raise StagingRefused("A picture that the job left is none.", why="It does not begin as a PNG does.")
    return begins
