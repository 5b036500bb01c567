"""Merge the rows of several sites into one table, a summary per site, and a plot; runs at the hub, sees no image."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev

from fairbank.analysis.contract import Column, ColumnType, Contract, Row, RowStatus, Value
from fairbank.analysis.errors import NothingToMerge, RowsRefused
from fairbank.analysis.tool import tool_named, tool_parameters
from fairbank.charts.boxes import Group, Panel, panelled_box_plot
from fairbank.ontology.counts import Count, CountKind
from fairbank.ontology.exclusions import OTHER_REASONS, Exclusion

SUMMARY_DIGITS = 6
SITE = "site"
EXCLUSION_COLUMNS = (SITE, "reason", "series", "subjects")


@dataclass(frozen=True, slots=True)
class SiteSummary:
    """One numeric column at one site, for one modality.

    Args:
        n: number of series with a value.
        mean, sd: over these series, population standard deviation.
    """

    site: str
    modality: str
    column: str
    n: int
    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class MergedTable:
    """The rows of all sites.

    Args:
        columns: the contract's columns; a first column names the site.
        rows: sorted by site, then as the site sent them.
        statuses: number of rows per site and status.
        exclusions: what each site left out, by reason, as far as it tells it; a site without has left out nothing.
    """

    tool: str
    version: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    summaries: tuple[SiteSummary, ...]
    statuses: dict[str, dict[str, int]]
    exclusions: dict[str, tuple[Exclusion, ...]] = field(default_factory=dict)

    @property
    def sites(self) -> tuple[str, ...]:
        """Return the sites, sorted."""
        return tuple(sorted(self.statuses))

    @property
    def header(self) -> tuple[str, ...]:
        """Return the column names of the merged table."""
        return (SITE, *(column.name for column in self.columns))

    def to_csv(self) -> str:
        """Return the table as CSV (RFC 4180), empty cells where a value is missing."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(self.header)
        writer.writerows([row[name] for name in self.header] for row in self.rows)
        return text.getvalue()

    def exclusions_csv(self) -> str:
        """Return what was left out as CSV, one line per site and reason; `<k` where a count is not told."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(EXCLUSION_COLUMNS)
        writer.writerows(
            (site, one.reason, str(one.series), str(one.subjects))
            for site, each in self.exclusions.items()
            for one in each
        )
        return text.getvalue()

    def to_json(self) -> str:
        """Return table, summaries and column meanings as JSON."""
        merged = {
            "schema": "merged-table/1",
            "tool": self.tool,
            "version": self.version,
            "columns": [
                {
                    "name": c.name,
                    "type": c.type.value,
                    "unit": c.unit,
                    "meaning": c.meaning,
                    "biomarker": c.biomarker,
                }
                for c in self.columns
            ],
            "statuses": self.statuses,
            "exclusions": {
                site: [one.model_dump(mode="json", exclude_none=True) for one in each]
                for site, each in self.exclusions.items()
            },
            "summaries": [_summary_json(summary) for summary in self.summaries],
            "rows": [dict(row) for row in self.rows],
        }
        return json.dumps(merged, allow_nan=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> MergedTable:
        """Return the table that `to_json` wrote, without its summaries.

        Raises:
            NothingToMerge: if it is none.
        """
        try:
            told = json.loads(text)
            if told["schema"] != "merged-table/1":
                raise KeyError("schema")
            columns = tuple(
                Column(
                    one["name"],
                    ColumnType(one["type"]),
                    one["unit"],
                    one["meaning"],
                    biomarker=one.get("biomarker"),
                )
                for one in told["columns"]
            )
            rows, statuses = tuple(dict(row) for row in told["rows"]), dict(told["statuses"])
            exclusions = read_exclusions(told.get("exclusions", {}))
            return cls(told["tool"], told["version"], columns, rows, (), statuses, exclusions)
        except (ValueError, KeyError, TypeError) as err:
            raise NothingToMerge(
                "This is no merged table.",
                why="It was not made by a hub, or by another version of one.",
                todo="Take table.json of 'fairbank job results --to'.",
            ) from err

    def to_svg(self, column: str | None = None) -> str:
        """Return box plots of one numeric column by site, one panel per modality: their grey values do not compare.

        Args:
            column: by default `mean`, or the first biomarker with values, or the first column with values.

        Raises:
            NothingToMerge: if the table has no such column of numbers.
        """
        found = self.plotted(column)
        panels = [
            Panel(modality, tuple(Group(site, values) for site, values in by_site))
            for modality, by_site in self.values_by_modality(found.name).items()
        ]
        return panelled_box_plot(
            panels,
            title=f"{self.tool}: {found.name} per series, by modality and site",
            axis=self.axis(found),
        )

    def plotted(self, column: str | None) -> Column:
        """Return the column to plot, `column` or the usual one.

        Raises:
            NothingToMerge: if there is no such column of numbers.
        """
        numbers = [each for each in self.columns if each.type in _NUMERIC]
        if column is None:
            filled = [each for each in numbers if any(row.get(each.name) is not None for row in self.rows)]
            named = [each for each in filled if each.name == "mean"]
            coded = [each for each in filled if each.biomarker is not None]
            found = next(iter([*named, *coded, *filled]), None)
        else:
            found = next((each for each in numbers if each.name == column), None)
        if found is None:
            what = "with a value" if column is None else f"named {column!r}"
            raise NothingToMerge(
                f"The merged table has no column of numbers {what}.",
                why="Only numbers can be plotted.",
                todo=f"Choose one of: {', '.join(each.name for each in numbers)}.",
            )
        return found

    def axis(self, column: Column) -> str:
        """Return what a column holds, with its unit, for the axis of a plot."""
        unit = f", {column.unit}" if column.unit not in (None, "", "1") else ""
        return f"{column.meaning.rstrip('.')}{unit}"

    def values_by_modality(self, column: str) -> dict[str, list[tuple[str, tuple[float, ...]]]]:
        """Return the values of each site that has any, by modality, both sorted."""
        panels: dict[str, list[tuple[str, tuple[float, ...]]]] = {}
        for (site, modality), rows in sorted(
            _by_site_and_modality(self.rows).items(), key=lambda item: item[0][::-1]
        ):
            if values := tuple(_values(rows, column)):
                panels.setdefault(modality, []).append((site, values))
        return panels


@dataclass(frozen=True, slots=True)
class Known:
    """What merging has to know of a tool."""

    version: str
    contract: Contract


def merge_rows(
    tool: str,
    *,
    parameters: Mapping[str, object],
    rows_by_site: Mapping[str, Sequence[Row]],
    known: Known | None = None,
    exclusions: Mapping[str, Sequence[object]] | None = None,
) -> MergedTable:
    """Merge the rows of all sites; the order in which they arrived does not matter.

    Args:
        known: version and contract of a tool that is not installed here.
        exclusions: what each site told of what it left out; of a site that is not in it, its rows are counted.

    Raises:
        NothingToMerge: if no site sent rows.
        RowsRefused: if a site's rows break the tool's contract or name a series twice, or its exclusions are none.
    """
    if not rows_by_site:
        raise NothingToMerge(
            "There are no results to merge.", why="No site released any.", todo="Wait for the sites' release."
        )
    if known is None:
        installed = tool_named(tool)
        known = Known(installed.version, installed.contract(tool_parameters(tool, parameters)))
    contract = known.contract
    merged: list[Row] = []
    for site in sorted(rows_by_site):
        contract.check(rows_by_site[site])
        _check_unique(rows_by_site[site], contract)
        merged += [{SITE: site, **{name: row[name] for name in contract.names}} for row in rows_by_site[site]]
    return MergedTable(
        tool=tool,
        version=known.version,
        columns=contract.columns,
        rows=tuple(merged),
        summaries=tuple(_summaries(merged, contract)),
        statuses={
            site: {s.value: sum(row["status"] == s.value for row in rows) for s in RowStatus}
            for site, rows in sorted(rows_by_site.items())
        },
        exclusions=_exclusions(contract, rows_by_site, exclusions or {}),
    )


def read_exclusions(told: Mapping[str, Sequence[object]]) -> dict[str, tuple[Exclusion, ...]]:
    """Return exclusions by site, as they are written in JSON.

    Raises:
        ValueError, TypeError: if they are none.
    """
    read = {site: tuple(Exclusion.model_validate(one) for one in told[site]) for site in sorted(told)}
    return {site: each for site, each in read.items() if each}


_NUMERIC = (ColumnType.NUMBER, ColumnType.INTEGER)


def _summaries(rows: Sequence[Row], contract: Contract) -> list[SiteSummary]:
    # A number that only tells rows apart measures nothing.
    numeric = [c.name for c in contract.columns if c.type in _NUMERIC and c.name not in contract.key]
    found = []
    for (site, modality), group in _by_site_and_modality(rows).items():
        for name in numeric:
            values = _values(group, name)
            if values:
                found.append(
                    SiteSummary(
                        site, modality, name, len(values), _rounded(fmean(values)), _rounded(pstdev(values))
                    )
                )
    return found


def _by_site_and_modality(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((str(row[SITE]), str(row.get("modality") or "unknown")), []).append(row)
    return dict(sorted(groups.items()))


def _values(rows: Sequence[Row], name: str) -> list[float]:
    return [float(value) for row in rows if isinstance(value := row[name], int | float)]


def _exclusions(
    contract: Contract, rows_by_site: Mapping[str, Sequence[Row]], told: Mapping[str, Sequence[object]]
) -> dict[str, tuple[Exclusion, ...]]:
    """Return what each site left out; what a node of an older version did not count is counted in its rows."""
    words = {word for column in contract.columns if column.name == "reason" for word in column.words}
    try:
        found = read_exclusions({site: told.get(site, _counted(rows_by_site[site])) for site in rows_by_site})
    except (ValueError, TypeError) as err:
        raise _foreign_exclusions() from err
    if any(one.reason not in {*words, OTHER_REASONS} for each in found.values() for one in each):
        raise _foreign_exclusions()
    return found


def _counted(rows: Sequence[Row]) -> list[Exclusion]:
    series: dict[str, set[str]] = {}
    for row in rows:
        if row["status"] != RowStatus.OK.value:
            series.setdefault(str(row["reason"] or OTHER_REASONS), set()).add(str(row["row"]))
    unknown = Count(kind=CountKind.NOT_COUNTABLE)
    return [
        Exclusion(reason=reason, series=Count.exact(len(series[reason])), subjects=unknown)
        for reason in sorted(series)
    ]


def _foreign_exclusions() -> RowsRefused:
    return RowsRefused(
        "A site's result tells what was left out in words that the contract does not have.",
        why="It is told by the reasons of the tool, each with the numbers of series and subjects.",
        todo="The tool at this site must be the approved version.",
    )


def _check_unique(rows: Sequence[Row], contract: Contract) -> None:
    names = [tuple(row[name] for name in contract.key) for row in rows]
    if len(set(names)) != len(names):
        raise RowsRefused(
            "A site's result names a series twice.",
            why=f"Each row has its own {' and '.join(contract.key)}.",
            todo="The tool at this site must be the approved version.",
        )


def _summary_json(summary: SiteSummary) -> dict[str, Value]:
    return {
        "site": summary.site,
        "modality": summary.modality,
        "column": summary.column,
        "n": summary.n,
        "mean": summary.mean,
        "sd": summary.sd,
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{SUMMARY_DIGITS - 1}e}")
