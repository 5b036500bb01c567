"""Sum up the rows of a site's series for a federated statistic: here, outside the sandbox, under the site's own rules.

The rows stay in the job's folder. What the worker said of a series is believed as far as its own columns go; who its
subject is, and what fact sheets know of it, is looked up here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairbank.analysis.statistics.grouped import bin_names
from fairbank.analysis.statistics.question import Kind, Question
from fairbank.analysis.statistics.site_part import edges_of, shapes, site_sums
from fairbank.analysis.statistics.site_rows import table_of
from fairbank.analysis.statistics.site_table import SiteTable
from fairbank.analysis.statistics_tool import SUBJECT, StatisticsParameters, columns_of
from fairbank.analysis.tool import tool_parameters
from fairbank.federated_jobs.node.clinical_columns import clinical_columns
from fairbank.federated_jobs.node.cohort import Member
from fairbank.federated_jobs.node.leaving_out import subjects_of
from fairbank.federated_jobs.node.subject_facts import subject_facts
from fairbank.ontology.signed_objects import Manifest
from fairbank.release.node import Node
from fairbank.release.rounding import smallest_count
from fairbank.release.tables import TableRules, dominance_of
from fairbank.release.told_sums import Sums


@dataclass(frozen=True, slots=True)
class Asked:
    """One round of a statistic at this site.

    Attributes:
        members: the series of the cohort, in its order.
        message: what the hub made of the round before, as a file; None in the first.
    """

    manifest: Manifest
    members: tuple[Member, ...]
    round: int
    message: Path | None


def sum_up(node: Node, asked: Asked, rows: Path, *, into: Path) -> Sums:
    """Write the sums of one round to a file, for the gate, and return of which subjects they are.

    Args:
        rows: as the worker made them, of all series of the cohort.

    Raises:
        StatisticWithheld: if what would be told is about few subjects.
    """
    question = tool_parameters(asked.manifest.code.name, asked.manifest.parameters)
    assert isinstance(question, StatisticsParameters)
    table, names = _table(node, asked.members, question, rows)
    limits = rules_of(node, asked.manifest)
    sums = site_sums(question, table, _read(asked.message), limits)
    into.write_bytes(sums.to_json(question, asked.round, limits))

    def named(places: Any) -> frozenset[str]:
        return frozenset(names[place] for place in places.tolist())

    return Sums(
        statistic=question.statistic.value,
        fitted=question.fitted,
        axes=_axes(question, table.known_words),
        shapes=shapes(question),
        table=sums.table,
        told={cell.group: named(cell.members) for cell in sums.cells},
        everybody=named(sums.everybody),
        cohort=frozenset(member.subject for member in asked.members),
        datasets=tuple(sorted({member.dataset for member in asked.members})),
        asked=f"{asked.manifest.id}/{asked.round}",
    )


def rules_of(node: Node, manifest: Manifest) -> TableRules:
    """Return what the site, and the manifest if it asks for more, demand of every sum."""
    settings = node.settings
    least = max(output.minimum_count for output in manifest.outputs)
    k = smallest_count(max(settings.release_minimum_count, least), settings.release_rounding_base)
    return TableRules(k, dominance_of(settings), settings.release_rounding_base)


def _table(
    node: Node, members: tuple[Member, ...], question: StatisticsParameters, rows: Path
) -> tuple[SiteTable, list[str]]:
    made = json.loads(rows.read_bytes())["rows"]
    subject_of = subjects_of(made, members)
    listed = [{**row, SUBJECT: subject_of[row["row"]]} for row in made]
    known: dict[str, dict[str, str | float]] = {}
    columns = [*columns_of(question), *clinical_columns(node, members, question, into=known)]
    for subject, words in subject_facts(node, members).items():
        known.setdefault(subject, {}).update(words)
    return table_of(listed, columns, subject=SUBJECT, known=known)


def _axes(question: Question, words: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    groups = tuple(words[name] for name in question.groups)
    if question.statistic not in (Kind.HISTOGRAM, Kind.QUANTILES):
        return groups
    return (*groups, tuple(bin_names(edges_of(question))))


def _read(file: Path | None) -> dict[str, Any] | None:
    if file is None:
        return None
    message: dict[str, Any] = json.loads(file.read_bytes())
    return message
