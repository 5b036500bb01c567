"""Write the table of metrics by group for the gate, from what the worker measured, under the site's own rules.

What the worker said is believed as far as its numbers go; a subject that it puts into two groups of a kind, or a word
that stands for no group, is an error of its code.
"""

from __future__ import annotations

from pathlib import Path

from fairbank.federated_jobs.algorithms.by_group import WORDS, ByGroup
from fairbank.federated_jobs.code import GROUP_METRICS
from fairbank.federated_jobs.node.errors import WorkerProtocolBroken
from fairbank.ontology.signed_objects import Manifest
from fairbank.release.group_metrics import Group, GroupMetrics, table
from fairbank.release.node import Node
from fairbank.release.tables import TableRules


def wants_groups(manifest: Manifest) -> bool:
    """Tell whether a job asks for metrics by group."""
    return any(output.name == GROUP_METRICS for output in manifest.outputs)


def write_table(node: Node, manifest: Manifest, found: ByGroup, *, number: int, into: Path) -> GroupMetrics:
    """Write the table of one round, and return what the gate has to know of it.

    Raises:
        WorkerProtocolBroken: if the groups of a kind are not parts of one whole.
    """
    groups, settings = groups_in(found), node.settings
    asked = next(output.minimum_count for output in manifest.outputs if output.name == GROUP_METRICS)
    rules = TableRules(max(settings.release_minimum_count, asked), base=settings.release_rounding_base)
    into.write_bytes(table(groups, rules, number=number))
    return groups


def groups_in(found: ByGroup) -> GroupMetrics:
    """Return what a worker measured by group, checked.

    Raises:
        WorkerProtocolBroken: if the groups of a kind are not parts of one whole.
    """
    kinds = {
        kind: {word: Group(frozenset(one.subjects), one.metrics) for word, one in groups.items()}
        for kind, groups in found.kinds.items()
    }
    wholes = {frozenset[int]().union(*(one.subjects for one in groups.values())) for groups in kinds.values()}
    parts = all(
        sum(len(one.subjects) for one in groups.values()) == len(whole)
        for groups in kinds.values()
        for whole in wholes
    )
    known = all(kind in WORDS and set(groups) <= set(WORDS[kind]) for kind, groups in kinds.items())
    classes = tuple(frozenset(each) for each in found.classes)
    if (
        len(wholes) > 1
        or not parts
        or not known
        or any(not each <= whole for each in classes for whole in wholes)
    ):
        raise WorkerProtocolBroken(
            "The worker's metrics by group are not of parts of one whole.",
            why="Each held-out subject is in one group of each kind.",
            todo="Look at the end of its error output in the node's job details.",
        )
    return GroupMetrics(kinds, classes, WORDS)
