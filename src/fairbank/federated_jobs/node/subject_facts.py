"""What fact sheets keep of the subjects of a cohort: sex and age."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from fairbank.database import reading
from fairbank.errors import FairbankError
from fairbank.federated_jobs.node.cohort import Member
from fairbank.release.node import Node


def subject_facts(node: Node, members: Sequence[Member]) -> dict[str, dict[str, str]]:
    """Return sex and age of subjects as fact sheets keep them, where all series of a subject agree."""
    from fairbank.deid.store import facts_of
    from fairbank.harvest.datasets import dataset_of

    series: dict[str, set[str]] = defaultdict(set)
    for member in members:
        series[member.dataset].add(member.series_uid)
    said: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    subjects = {(member.dataset, member.series_uid): member.subject for member in members}
    with reading(node.engine) as session:
        for dataset, uids in series.items():
            try:
                project = dataset_of(session, dataset).project
            except FairbankError:
                # A cohort may come from another source than the index.
                continue
            for uid, sheet in facts_of(session, project, uids).items():
                of = said[subjects[dataset, uid]]
                of["sex"].add(sheet.sex.value)
                of["age_band"].add(sheet.age_band)
    return {
        subject: {name: next(iter(words)) for name, words in each.items() if len(words) == 1}
        for subject, each in said.items()
    }
