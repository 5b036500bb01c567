"""Where the rows of a mapping come from: a file that is named, or the server that the mapping names."""

from __future__ import annotations

from pathlib import Path

from fairbank.harvest.clinical.mapping import Mapping
from fairbank.harvest.clinical.rows import Rows
from fairbank.harvest.clinical.table_rows import TableRows
from fairbank.harvest.errors import BadMapping
from fairbank.release.node import Node


def open_rows(node: Node, project: str, mapping: Mapping, *, file: Path | None, beside: Path) -> Rows:
    """Return the rows that a mapping is about.

    Args:
        file: the table, where rows come from one.
        beside: the folder that names of password files in the mapping are relative to.

    Raises:
        BadMapping: if it is not clear where rows come from.
        BadTable, IdentifyingColumn, SourceUnreachable, SourceLoginRefused: as the kind of source says.
    """
    if file is None:
        raise BadMapping(
            "It is not said where the variables come from.",
            why="There is one of a table, a REDCap project ([redcap]) and a FHIR server ([fhir]).",
            todo="Name the table's file, or add the section to the mapping.",
        )
    return TableRows(file, mapping)
