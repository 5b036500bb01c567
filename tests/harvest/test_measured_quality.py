"""Quality measured in pixels: kept by series, told in records as gated counts, gone with what it was measured in."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from sqlalchemy import select
from tests.conftest import Ran
from tests.deid.conftest import ct_dataset
from tests.harvest.test_judging import indexed, quality, rows

from fairbank.analysis.contract import Row
from fairbank.analysis.image_quality import ImageQuality
from fairbank.analysis.staged import StagedSeries
from fairbank.analysis.tool import Desk
from fairbank.audit import NodeAudit
from fairbank.database import reading, writing
from fairbank.federated_jobs.node import quality_measuring
from fairbank.federated_jobs.node.quality_measuring import measure_quality
from fairbank.harvest.aspects import Aspect
from fairbank.harvest.index import forget_in_index
from fairbank.harvest.publishing import preview
from fairbank.harvest.quality_words import import_quality
from fairbank.harvest.series_view import series_of
from fairbank.harvest.store import MeasuredQualityRow, SeriesRow
from fairbank.ontology.counts import CountKind
from fairbank.ontology.record import HowKnown
from fairbank.release.node import Node

__all__ = ["indexed"]
EDGE = 32


def picture(
    patient: str, *, noise: float = 10.0, clipped: bool = False, blank: bool = False
) -> pydicom.Dataset:
    """Return a CT image of something round in air, as its scanner may have made it."""
    dataset = ct_dataset(patient, study=1)
    y, x = np.mgrid[:EDGE, :EDGE]
    hounsfield = np.where(np.hypot(x - EDGE / 2, y - EDGE / 2) < EDGE / 3, 40.0, -980.0)
    hounsfield += np.random.default_rng(len(patient)).normal(0, noise, hounsfield.shape)
    if clipped:
        hounsfield[12:20, 12:20] = 3071
    if blank:
        hounsfield[:] = -1000
    dataset.Rows = dataset.Columns = EDGE
    dataset.BitsStored, dataset.HighBit = 12, 11
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = -1024, 1, "HU"
    dataset.PixelSpacing = [0.8, 0.8]
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    dataset.PixelData = np.clip(np.round(hounsfield) + 1024, 0, 4095).astype("<u2").tobytes()
    return dataset


def spoil(file: Path) -> None:
    """Cut the pixels of a stored file short, as a bad disk may."""
    dataset = pydicom.dcmread(file)
    dataset.PixelData = dataset.PixelData[: EDGE * EDGE]
    dataset.save_as(file)


def calm(file: Path) -> bool:
    """Tell whether an image is neither clipped, nor blank, nor noisy."""
    pixels = pydicom.dcmread(file).pixel_array.astype(float)
    return bool(0 < pixels[0].std() < 40 and pixels.max() < 4000)


def kept(node: Node) -> dict[str, str]:
    with reading(node.engine) as session:
        return {row.series_uid: row.content_digest for row in session.scalars(select(MeasuredQualityRow))}


def test_what_is_measured_becomes_quality_of_the_record_and_bands_of_signal(
    indexed: Callable[..., Node],
) -> None:
    node = indexed(
        picture("A", clipped=True), picture("B", clipped=True),
        picture("C"), picture("D", noise=80), picture("E", noise=80), picture("F", blank=True), picture("G"),
    )  # fmt: skip
    spoil(next(file for file in sorted(node.settings.store_path.rglob("*.dcm")) if calm(file)))
    assert not quality(node, Aspect.CLIPPED_VALUES).assessed
    assert rows(node, "signal-to-noise") == {}
    done = measure_quality(node, "lungs")
    assert done.statuses == {"ok": 5, "impossible": 2}
    assert done.reasons == {"blank": 1, "undecodable": 1}
    clipped = quality(node, Aspect.CLIPPED_VALUES)
    assert (clipped.assessed, clipped.how_known) == (True, HowKnown.COMPUTED)
    assert clipped.at is not None and clipped.at.startswith(node.clock.now().date().isoformat())
    assert clipped.series_affected is not None and clipped.series_affected.value == 2
    (blank,) = series_of(node, "lungs", affected=Aspect.BLANK_SLICES)
    assert blank.known[Aspect.BLANK_SLICES].assessment.details == ("all slices",)
    assert len(series_of(node, "lungs", affected=Aspect.UNREADABLE_PIXELS)) == 1
    assert rows(node, "signal-to-noise") == {"10-20": 2, "50-100": 1, "unknown": 4}


def test_few_are_not_told_and_no_series_is_named(indexed: Callable[..., Node]) -> None:
    # Two are enough at this node: one clipped series of five is too few, and so is one unknown band.
    node = indexed(picture("A", clipped=True), *(picture(name) for name in "BCDE"))
    measure_quality(node, "lungs")
    made = preview(node, "lungs")
    told = {each.aspect: each for each in made.record.quality}[Aspect.CLIPPED_VALUES.value]
    assert told.series_affected is not None and told.series_affected.kind is CountKind.BELOW_K
    assert b"% of pixels" not in made.envelope
    assert not any(view.series_uid.encode() in made.envelope for view in series_of(node, "lungs"))


def test_only_what_is_new_or_changed_is_measured_again(indexed: Callable[..., Node]) -> None:
    node = indexed(picture("A"), picture("B"))
    assert measure_quality(node, "lungs").statuses == {"ok": 2}
    assert (measure_quality(node, "lungs").statuses, measure_quality(node, "lungs").current) == ({}, 2)
    before = kept(node)
    # As an archive that sends a series anew: other content under the same name.
    with writing(node.engine) as session:
        row = session.scalars(select(SeriesRow)).first()
        assert row is not None
        row.content_digest = "sha256:other"
    assert sum(bool(view.known[Aspect.CLIPPED_VALUES].at) for view in series_of(node, "lungs")) == 1
    assert measure_quality(node, "lungs").statuses == {"ok": 1}
    assert len(set(kept(node).values()) - set(before.values())) == 1
    assert measure_quality(node, "lungs", again=True).statuses == {"ok": 2}


def test_a_person_s_word_comes_before_what_was_measured(indexed: Callable[..., Node], tmp_path: Path) -> None:
    node = indexed(picture("A", clipped=True))
    measure_quality(node, "lungs")
    (view,) = series_of(node, "lungs", affected=Aspect.CLIPPED_VALUES)
    said = tmp_path / "said.csv"
    said.write_text(f"series,aspect,value,rater,date\n{view.series_uid},clipped-values,no,A,2026-01-02\n")
    import_quality(node, "lungs", said)
    assert series_of(node, "lungs", affected=Aspect.CLIPPED_VALUES) == []


def test_what_was_measured_of_a_withdrawn_subject_goes_with_it(indexed: Callable[..., Node]) -> None:
    node = indexed(picture("A"), picture("B"))
    measure_quality(node, "lungs")
    gone, stays = series_of(node, "lungs")
    with writing(node.engine) as session:
        forget_in_index(session, "lungs", gone.subject)
    assert set(kept(node)) == {stays.series_uid}


@dataclasses.dataclass(frozen=True)
class BreaksOff(ImageQuality):
    """Breaks off at the second series, once."""

    mark: Path = Path()

    def measure(self, item: StagedSeries, parameters: Any, desk: Desk) -> Sequence[Row]:
        seen = len(list(self.mark.iterdir()))
        (self.mark / str(seen)).touch()
        if seen == 1:
            raise KeyboardInterrupt
        return super().measure(item, parameters, desk)


def test_a_run_that_was_interrupted_goes_on_with_what_is_left(
    indexed: Callable[..., Node], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = indexed(picture("A"), picture("B"), picture("C"))
    (mark := tmp_path / "mark").mkdir()
    monkeypatch.setattr(quality_measuring, "TOOL", BreaksOff(mark=mark))
    with pytest.raises(KeyboardInterrupt):
        measure_quality(node, "lungs")
    assert len(kept(node)) == 1
    told: list[tuple[int, int]] = []
    done = measure_quality(node, "lungs", progress=lambda *at: told.append(at))
    assert (done.statuses, done.current, told[-1]) == ({"ok": 2}, 1, (2, 2))
    assert list((node.settings.home / "measuring" / "lungs").iterdir()) == []


@dataclasses.dataclass(frozen=True)
class Kills(ImageQuality):
    """Kills its process at one patient's series."""

    victim: str = ""

    def measure(self, item: StagedSeries, parameters: Any, desk: Desk) -> Sequence[Row]:
        if item.unit == self.victim:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().measure(item, parameters, desk)


@pytest.mark.long
def test_a_series_that_kills_its_process_costs_one_row(
    indexed: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = indexed(picture("A"), picture("B"), picture("C"))
    victim = series_of(node, "lungs")[1].series_uid
    monkeypatch.setattr(quality_measuring, "TOOL", Kills(victim=victim.replace(".", "_")))
    several = dataclasses.replace(node, settings=dataclasses.replace(node.settings, analysis_workers=2))
    done = measure_quality(several, "lungs")
    assert (done.statuses, done.reasons) == ({"ok": 2, "error": 1}, {"crashed": 1})


def test_the_curator_measures_and_sees_which_series_are_affected(
    indexed: Callable[..., Node], fairbank: Callable[..., Ran]
) -> None:
    node = indexed(picture("A", clipped=True), picture("B"))
    ran = fairbank("harvest", "quality", "measure", "lungs", "--format", "json")
    assert (ran.code, json.loads(ran.out)) == (0, {"series ok": 2, "measured before": 0})
    shown = fairbank("harvest", "series", "lungs", "--affected", "clipped-values", "--format", "json")
    (row,) = json.loads(shown.out)
    assert row["how_known"] == "computed" and row["details"][0].endswith("% of pixels")
    with reading(node.engine) as session:
        act = session.scalars(select(NodeAudit).where(NodeAudit.act == "quality.measure")).one()
    assert act.detail["series"] == 2
    fairbank("harvest", "quality", "measure", "hearts").refused("hearts", "FB-HARV")
