"""A node whose index holds many series, and how long the way from there to a sealed record takes.

The rows are made up, with as many different values, studies and series per subject as the largest collection of the
Imaging Data Commons has (NLST: 592,600 series of 26,254 subjects). `main` prints one line of JSON; the memory is what
the process needs more than after its imports.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from fairbank.clock import SystemClock, iso
from fairbank.database import reading, writing
from fairbank.harvest.consent import LegalBasis
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.legal_basis import record_basis
from fairbank.harvest.records import build
from fairbank.harvest.series import Aspect
from fairbank.harvest.store import RunRow, SeriesRow
from fairbank.ontology.attributes import ATTRIBUTES
from fairbank.ontology.record import UNKNOWN, CollectionKind
from fairbank.ontology.vocabulary import MANUFACTURERS, THICKNESS_BANDS
from fairbank.release.disclosure import suppress_record
from fairbank.release.node import Node, init_node
from fairbank.settings import Settings

DATASET = "made-up"
PROJECT = "made-up"
_SERIES_PER_SUBJECT = 23
_STUDIES_PER_SUBJECT = 3
_PAGE = 20_000
_LABELS = sorted(ATTRIBUTES["annotation-label"].words)[:40]
_BODY_PARTS = ("CHEST", "ABDOMEN", "BRAIN", "BREAST", "PELVIS", UNKNOWN)
_MODALITIES = ("CT", "MR", "SEG", "PT", "CR", "RTSTRUCT")


def series_rows(number: int, *, seed: int) -> Iterator[dict[str, Any]]:
    """Yield rows of the index, made from a seed."""
    rng = random.Random(seed)
    seen = SystemClock().now()
    models = [word for word in ATTRIBUTES["model"].words if word != UNKNOWN]
    for place in range(number):
        subject, within = divmod(place, _SERIES_PER_SUBJECT)
        if within == 0:
            sex, age = rng.choice("FM"), f"{rng.randrange(50, 80, 5)}"
            maker, start = rng.choice(MANUFACTURERS[:6]), rng.randrange(730_000, 733_000)
        modality = rng.choices(_MODALITIES, (70, 8, 10, 4, 4, 4))[0]
        label = rng.sample(_LABELS, 2) if modality in ("SEG", "RTSTRUCT") else []
        thickness = rng.choice(THICKNESS_BANDS)
        visit = within * _STUDIES_PER_SUBJECT // _SERIES_PER_SUBJECT
        yield {
            "project": PROJECT,
            "series_uid": f"2.25.{place:038d}",
            "study_uid": f"2.25.9{subject:030d}{visit}",
            "subject": f"s{subject:063d}",
            "state": "live",
            "source": "",
            "held": None,
            "gone": None,
            "directory": f"/store/{PROJECT}/{subject}/{visit}/{place}",
            "stat_token": f"{place:064x}",
            "content_digest": f"sha256:{place:064x}",
            "modality": modality,
            "body_part": rng.choices(_BODY_PARTS, (60, 5, 5, 5, 5, 20))[0],
            "body_part_known": None,
            "manufacturer": maker,
            "manufacturer_raw": maker,
            "slice_thickness_mm": None,
            "slice_thickness": thickness,
            "spacing_mm": None,
            "slice_spacing": rng.choice((thickness, UNKNOWN)),
            "model": models[(subject * 7) % 60],
            "field_strength": rng.choice(("1.5", "3")) if modality == "MR" else UNKNOWN,
            "kernel": rng.choice(("sharp", "soft")) if modality == "CT" else UNKNOWN,
            "laterality": UNKNOWN,
            "rows": 512,
            "columns": 512,
            "instances": rng.randrange(1, 400),
            "frames": 1,
            "sex": sex,
            "age_band": f"{age}-{int(age) + 4}",
            "contrast": rng.choice(("yes", "no", UNKNOWN)),
            "acquisition_year": 1999 + (start - 730_000) // 365 + visit,
            "study_day": start + 365 * visit,
            "annotations": {"coded": label[:1], "named": label[1:]},
            "quality": _quality(rng, iso(seen)),
            "run": "made-up",
            "seen": seen,
        }


def filled(home: Path, number: int, *, seed: int = 1) -> Node:
    """Return a node whose index holds so many series of one dataset."""
    node = init_node(Settings(home=home), SystemClock(), name="scale")
    define_dataset(
        node, DATASET, project=PROJECT, description=Description("Made up", "Rows.", CollectionKind.TEST)
    )
    record_basis(node, PROJECT, LegalBasis.ANONYMOUS_DATA, note="made up", by="bench")
    now = node.clock.now()
    with writing(node.engine, lasting=False) as session:
        session.add(
            RunRow(
                id="made-up",
                kind="index",
                source="research store",
                source_kind="research-store",
                source_version="-",
                container=PROJECT,
                project=PROJECT,
                state="finished",
                software="fairbank",
                profile="",
                started=now,
                ended=now,
                counts={},
            )
        )
        page: list[dict[str, Any]] = []
        for row in series_rows(number, seed=seed):
            page.append(row)
            if len(page) == _PAGE:
                session.execute(insert(SeriesRow), page)
                page.clear()
        if page:
            session.execute(insert(SeriesRow), page)
    return node


def measured(node: Node) -> dict[str, float]:
    """Build, suppress and seal the dataset's record once, and return seconds, memory and what came out."""
    begun = time.perf_counter()
    with reading(node.engine) as session:
        exact = build(session, node, DATASET)
    built = time.perf_counter()
    record = suppress_record(exact, exact.minimum_count)
    suppressed = time.perf_counter()
    envelope = record.seal(node.key)
    sealed = time.perf_counter()
    return {
        "series": exact.totals.series.at_least,
        "subjects": exact.totals.subjects.at_least,
        "cells": len(exact.cube),
        "bytes": len(envelope),
        "build_s": round(built - begun, 2),
        "suppress_s": round(suppressed - built, 2),
        "seal_s": round(sealed - suppressed, 2),
        "total_s": round(sealed - begun, 2),
    }


def main() -> None:
    """Fill a node in a process of its own, then measure in this one, so that only the measuring counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=592_600)
    parser.add_argument("--home", type=Path, help="where the node lies; filled if it is not there yet")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = arguments.home or Path(folder)
        if not (home / "node.db").exists():
            import subprocess

            code = "import sys; from pathlib import Path; from index_scale import filled; "
            code += f"filled(Path({str(home)!r}), {arguments.series})"
            here = str(Path(__file__).parent)
            subprocess.run(
                [sys.executable, "-c", f"import sys; sys.path.insert(0, {here!r}); {code}"], check=True
            )
        from fairbank.release.node import open_node

        node = open_node(Settings(home=home), SystemClock())
        # What the first record of a process needs once (imports, shapes) is not what the series need.
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = measured(node)
        after_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({**found, "more_mb": round((after_kb - before_kb) / 1024)}))


def _quality(rng: random.Random, at: str) -> dict[str, dict[str, object]]:
    marks = {"at": at, "tool": "fairbank"}
    return {
        aspect.value: {
            "assessed": (assessed := rng.random() < 0.8),
            "affected": assessed and rng.random() < 0.1,
            "how_known": "computed" if assessed else None,
            **marks,
        }
        for aspect in Aspect
    }


if __name__ == "__main__":
    main()
