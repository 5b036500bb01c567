"""A report as files: `report.json`, `report.html` and `provenance.json`, each whole or absent."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from fairbank.deid.reports.html import page
from fairbank.deid.reports.provenance import provenance
from fairbank.deid.reports.summary import Summary


def write_report(summary: Summary, folder: Path) -> tuple[Path, ...]:
    """Write all forms of a report into a folder; return the files.

    Raises:
        OSError: if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = asdict(summary)
    told.pop("thumbnails")
    contents = {
        "report.json": json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False),
        "report.html": page(summary),
        "provenance.json": json.dumps(provenance(summary), indent=1, sort_keys=True, ensure_ascii=False),
    }
    return tuple(_written(folder / name, content) for name, content in contents.items())


def _written(path: Path, content: str) -> Path:
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    return path
