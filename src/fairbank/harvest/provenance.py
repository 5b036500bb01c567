"""The steps in the life of a dataset, from the runs that this node remembers: acquired, de-identified, harvested."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence

from fairbank import __version__
from fairbank.deid import _e1_1 as table
from fairbank.deid.profiles import Profile
from fairbank.harvest.reports import RunKind, RunState
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.harvest.store import RunRow
from fairbank.ontology.record import Activity, ActivityKind
from fairbank.ontology.wire import moment


def provenance(of_project: Sequence[RunRow], *, agent: str) -> tuple[Activity, ...]:
    """Return the steps that the runs of a project stand for.

    Args:
        of_project: its runs, oldest first.
        agent: the publisher of the dataset, who runs the archive and the node.

    What an archive says of its own de-identification is told as it says it, with the digest of its rules.
    """
    pulls = [run for run in of_project if run.kind == RunKind.PULL.value and run.ended is not None]
    of_images = (RunKind.PULL.value, RunKind.HARVEST.value)
    read = [run for run in of_project if run.kind in of_images and run.ended is not None]
    harvests = (RunKind.INDEX.value, RunKind.HARVEST.value)
    indexings = [run for run in of_project if run.kind in harvests and _finished(run)]
    activities = []
    for (kind, version), group in _grouped(read, lambda run: (run.source_kind, run.source_version)):
        words = SourceKind(kind).words
        activities.append(
            _activity(ActivityKind.ACQUISITION, group, agent, tool=words, version=version, source=words)
        )
    for (profile, software), group in _grouped(pulls, lambda run: (run.profile, run.software)):
        activities.append(
            _activity(
                ActivityKind.DEIDENTIFICATION,
                group,
                agent,
                tool="fairbank deid",
                version=software.removeprefix("fairbank "),
                profile=Profile(profile),
            )
        )
    activities += _by_the_archive(read, agent)
    if indexings:
        activities.append(
            _activity(
                ActivityKind.HARVEST, indexings[-1:], agent, tool="fairbank harvest", version=__version__
            )
        )
    return tuple(activities)


def _by_the_archive(read: Sequence[RunRow], agent: str) -> list[Activity]:
    """Return how the archives themselves de-identified, as they say."""
    known = [run for run in read if run.archive_deid]
    groups: dict[tuple[str, str, str], list[RunRow]] = defaultdict(list)
    for run in known:
        said = run.archive_deid or {}
        groups[str(said["tool"]), str(said["version"] or "-"), str(said["digest"] or "")].append(run)
    return [
        _activity(
            ActivityKind.DEIDENTIFICATION, group, agent, tool=tool, version=version, digest=digest or None
        )
        for (tool, version, digest), group in sorted(groups.items())
    ]


def profile_digest(profile: Profile) -> str:
    """Return the digest that names a profile exactly: its options and the table that they act on."""
    options = ",".join(sorted(option.value for option in profile.options))
    text = f"{profile.value}\n{options}\n{table.EDITION}\n{table.TABLE_SHA256}"
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _finished(run: RunRow) -> bool:
    return run.state == RunState.FINISHED.value


def _activity(
    kind: ActivityKind,
    group: Sequence[RunRow],
    agent: str,
    *,
    tool: str,
    version: str,
    source: str | None = None,
    profile: Profile | None = None,
    digest: str | None = None,
) -> Activity:
    return Activity(
        kind=kind,
        tool=tool,
        tool_version=version,
        profile=f"DICOM PS3.15 {table.EDITION}, profile {profile.value}" if profile else None,
        profile_digest=profile_digest(profile) if profile else digest,
        source_system=source,
        agent=agent,
        started=moment(min(run.started for run in group)),
        ended=moment(max(run.ended or run.started for run in group)),
    )


def _grouped(
    of_project: Sequence[RunRow], key: Callable[[RunRow], tuple[str, str]]
) -> list[tuple[tuple[str, str], list[RunRow]]]:
    groups: dict[tuple[str, str], list[RunRow]] = defaultdict(list)
    for run in of_project:
        groups[key(run)].append(run)
    return sorted(groups.items())
