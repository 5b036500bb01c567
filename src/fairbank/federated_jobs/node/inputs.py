"""Prepare the inputs of a job: the series of its cohort with what describes them, under names of this job only."""

from __future__ import annotations

from collections import defaultdict

from fairbank.database import reading
from fairbank.federated_jobs.code import tool_of
from fairbank.federated_jobs.node.cohort import Cohort
from fairbank.federated_jobs.node.cohort_annotations import annotations_to_stage
from fairbank.federated_jobs.node.labels import Asked, asked_of
from fairbank.federated_jobs.node.sandbox_staging import SeriesToStage
from fairbank.federated_jobs.node.site_keys import cohort_secret, job_pseudonym
from fairbank.ontology.signed_objects import Manifest
from fairbank.release.node import Node


def series_to_stage(
    node: Node, job: str, cohort: Cohort, *, manifest: Manifest | None = None
) -> list[SeriesToStage]:
    """Return the series of a cohort as the worker will know them.

    Args:
        manifest: of the job; a training may ask for labels.

    Names begin with the place in the sorted cohort, so that jobs over the same cohort see it in the same order and come
    to the same bits; the rest of a name is keyed with the job.
    """
    secret = cohort_secret(node.settings)
    known = _facts(node, cohort)
    with reading(node.engine) as session:
        annotations = annotations_to_stage(session, job, cohort)
    asked = _asked(node, manifest, cohort, known) if manifest is not None else {}
    subjects = {
        subject: place for place, subject in enumerate(sorted({m.subject for m in cohort.members}), 1)
    }
    return [
        SeriesToStage(
            unit=f"s{place:06d}-"
            + job_pseudonym(secret, job, "series", f"{member.dataset}/{member.series_uid}"),
            subject=f"p{subjects[member.subject]:06d}-"
            + job_pseudonym(secret, job, "subject", member.subject),
            files=tuple(sorted(member.directory.glob("*.dcm"))),
            facts=known.get((member.dataset, member.series_uid), {}),
            annotations=annotations.get((member.dataset, member.series_uid), ()),
            asked=asked.get((member.dataset, member.series_uid), {}),
        )
        for place, member in enumerate(cohort.members, 1)
    ]


def _asked(
    node: Node, manifest: Manifest, cohort: Cohort, facts: dict[tuple[str, str], dict[str, str]]
) -> Asked:
    tool = tool_of(manifest.code)
    return asked_of(node, tool, tool.check_parameters(manifest.parameters), cohort.members, facts)


def _facts(node: Node, cohort: Cohort) -> dict[tuple[str, str], dict[str, str]]:
    """Return how series were made, by dataset and UID, as fact sheets keep what cleaning took from the headers."""
    from fairbank.deid.store import facts_of
    from fairbank.harvest.datasets import dataset_of
    from fairbank.harvest.errors import UnknownDataset

    wanted: dict[str, list[str]] = defaultdict(list)
    for member in cohort.members:
        wanted[member.dataset].append(member.series_uid)
    found = {}
    with reading(node.engine) as session:
        for dataset, series in wanted.items():
            try:
                project = dataset_of(session, dataset).project
            except UnknownDataset:
                # A cohort may come from another source than the index.
                continue
            for uid, sheet in facts_of(session, project, series).items():
                words = {
                    "kernel_class": sheet.kernel_class.value,
                    "contrast": sheet.contrast.value,
                    "respiratory_phase": sheet.respiratory_phase.value,
                }
                found[dataset, uid] = {name: word for name, word in words.items() if word != "unknown"}
    return found
