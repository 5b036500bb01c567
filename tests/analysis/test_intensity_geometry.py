"""The tool `intensity-geometry` on real and on made-up DICOM, with numpy as the oracle."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from fairbank.analysis.contract import Row
from fairbank.analysis.errors import RowsRefused, ToolDigestMismatch, ToolParametersRefused, ToolUnknown
from fairbank.analysis.execution import measure_item
from fairbank.analysis.staged import StagedSeries, read_staged
from fairbank.analysis.tool import (
    Desk,
    ToolParameters,
    require_tool,
    tool_digest,
    tool_named,
    tool_parameters,
)

FILES = Path(pydicom.__file__).parent / "data/test_files"
TOOL = tool_named("intensity-geometry")
DEFAULTS = tool_parameters("intensity-geometry", {})


def rows_of(series: list[StagedSeries], parameters: ToolParameters) -> list[Row]:
    nowhere = Desk(Path("/nonexistent"), Path("/nonexistent"))
    return [row for one in series for row in measure_item(TOOL, one, parameters, nowhere)]


def measured(*files: Path, **parameters: object) -> Row:
    checked = tool_parameters("intensity-geometry", parameters)
    rows = rows_of([StagedSeries("u1", "s1", files)], checked)
    TOOL.contract(checked).check(rows)
    return rows[0]


def made_up(folder: Path, name: str, pixels: np.ndarray, **attributes: object) -> Path:
    """Write one DICOM image."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = Dataset()
    image.file_meta = meta
    image.Rows, image.Columns = pixels.shape[-2:]
    if pixels.ndim == 3:
        image.NumberOfFrames = len(pixels)
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    image.PixelRepresentation = 1
    image.Modality = "CT"
    for key, value in attributes.items():
        setattr(image, key, value)
    image.PixelData = pixels.astype("<i2").tobytes()
    file = folder / name
    image.save_as(file, enforce_file_format=True)
    return file


def volume(folder: Path, positions: list[float], **attributes: object) -> list[Path]:
    rng = np.random.default_rng(0)
    return [
        made_up(
            folder,
            f"{i}.dcm",
            rng.integers(-1000, 1000, (8, 6)),
            ImagePositionPatient=[0.0, 0.0, z],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            PixelSpacing=[2.0, 0.5],
            **attributes,
        )
        for i, z in enumerate(positions)
    ]


def test_grey_values_agree_with_numpy() -> None:
    image = pydicom.dcmread(FILES / "CT_small.dcm")
    values = image.pixel_array.astype(float) * image.RescaleSlope + image.RescaleIntercept
    values = values[image.pixel_array != image.PixelPaddingValue]
    row = measured(FILES / "CT_small.dcm", significant_digits=6)
    assert row["intensity_unit"] == "[hnsf'U]"
    assert row["mean"] == pytest.approx(values.mean(), rel=1e-5)
    assert row["sd"] == pytest.approx(values.std(), rel=1e-5)
    for wanted in (5, 25, 50, 75, 95):
        assert row[f"p{wanted:02d}"] == np.percentile(values, wanted, method="inverted_cdf")


def test_a_series_is_measured_over_all_its_files(tmp_path: Path) -> None:
    files = volume(tmp_path, [0.0, 3.0, 6.0], RescaleSlope=2, RescaleIntercept=-5)
    values = np.stack([pydicom.dcmread(f).pixel_array for f in files]).astype(float) * 2 - 5
    row = measured(*files, significant_digits=6)
    assert row["mean"] == pytest.approx(values.mean(), rel=1e-5)
    assert row["p50"] == pytest.approx(np.percentile(values, 50, method="inverted_cdf"))
    assert (row["rows"], row["columns"], row["slices"]) == (8, 6, 3)
    assert row["volume_mm3"] == pytest.approx(8 * 2.0 * 6 * 0.5 * 3 * 3.0)
    assert (row["slice_spacing_mm"], row["evenly_spaced"], row["orientation"]) == (3.0, "yes", "axial")
    assert row["status"] == "ok"


def test_files_may_come_in_any_order(tmp_path: Path) -> None:
    files = volume(tmp_path, [0.0, 3.0, 6.0, 9.0])
    assert measured(*files) == measured(*reversed(files))


@pytest.mark.parametrize("positions", [[0.0, 3.0, 9.0], [0.0, 3.0, 3.0, 6.0]], ids=["gap", "double"])
def test_a_missing_or_doubled_slice_is_seen(tmp_path: Path, positions: list[float]) -> None:
    assert measured(*volume(tmp_path, positions))["evenly_spaced"] == "no"


def test_extremes_are_coarse(tmp_path: Path) -> None:
    pixels = np.full((4, 4), 123)
    pixels[0, 0], pixels[1, 1] = -987, 1234
    row = measured(made_up(tmp_path, "a.dcm", pixels), measure=["intensity"])
    assert (row["minimum"], row["maximum"]) == (-990.0, 1200.0)


def test_padding_does_not_count(tmp_path: Path) -> None:
    pixels = np.full((4, 4), 100)
    pixels[:2] = -2000
    row = measured(made_up(tmp_path, "a.dcm", pixels, PixelPaddingValue=-2000), measure=["intensity"])
    assert (row["mean"], row["sd"]) == (100.0, 0.0)


@pytest.mark.parametrize(
    ("cosines", "orientation"),
    [
        ([1, 0, 0, 0, 1, 0], "axial"),
        ([1, 0, 0, 0, 0, -1], "coronal"),
        ([0, 1, 0, 0, 0, -1], "sagittal"),
        ([1, 0, 0, 0, 0.7071, 0.7071], "oblique"),
    ],
)
def test_the_body_plane_is_named(tmp_path: Path, cosines: list[float], orientation: str) -> None:
    file = made_up(tmp_path, "a.dcm", np.ones((4, 4)), ImageOrientationPatient=cosines)
    assert measured(file)["orientation"] == orientation


def test_a_multi_frame_image_is_measured_from_its_functional_groups(tmp_path: Path) -> None:
    measures, plane = Dataset(), Dataset()
    measures.PixelSpacing = [1.5, 1.5]
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared = Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
    per_frame = []
    for number in range(3):
        position, transformation, item = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [0.0, 0.0, number * 2.5]
        transformation.RescaleSlope, transformation.RescaleIntercept = number + 1, 0
        item.PlanePositionSequence, item.PixelValueTransformationSequence = [position], [transformation]
        per_frame.append(item)
    file = made_up(
        tmp_path,
        "multi.dcm",
        np.full((3, 4, 4), 10),
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=per_frame,
    )
    row = measured(file)
    assert (row["slices"], row["slice_spacing_mm"], row["row_spacing_mm"]) == (3, 2.5, 1.5)
    assert row["mean"] == 20.0
    assert row["status"] == "ok"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("SC_rgb_small_odd.dcm", "color"),
        ("reportsi.dcm", "not_an_image"),
        ("MR_small_expb.dcm", None),
        ("image_dfl.dcm", "geometry_missing"),
    ],
)
def test_each_kind_of_image_has_its_reason(name: str, reason: str | None) -> None:
    row = measured(FILES / name)
    assert row["reason"] == reason
    assert row["status"] == ("ok" if reason is None else "impossible")


def test_pixels_that_cannot_be_decoded_leave_the_geometry(tmp_path: Path) -> None:
    file = volume(tmp_path, [0.0], SliceThickness=1)[0]
    image = pydicom.dcmread(file)
    image.PixelData = image.PixelData[:10]
    image.save_as(file)
    row = measured(file)
    assert (row["status"], row["reason"], row["rows"], row["mean"]) == ("impossible", "undecodable", 8, None)


def test_a_truncated_file_and_a_file_that_is_no_dicom_do_not_stop_the_others(tmp_path: Path) -> None:
    whole = (FILES / "CT_small.dcm").read_bytes()
    (tmp_path / "truncated.dcm").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.dcm").write_text("no DICOM at all " * 100)
    (tmp_path / "empty.dcm").touch()
    series = [
        StagedSeries("u0", "s", (tmp_path / "truncated.dcm",)),
        StagedSeries("u1", "s", (tmp_path / "text.dcm",)),
        StagedSeries("u2", "s", (tmp_path / "empty.dcm",)),
        StagedSeries("u3", "s", (tmp_path / "gone.dcm",)),
        StagedSeries("u4", "s", ()),
        StagedSeries("u5", "s", (FILES / "CT_small.dcm",)),
    ]
    rows = rows_of(series, DEFAULTS)
    TOOL.contract(DEFAULTS).check(rows)
    assert [row["status"] for row in rows[:5]].count("ok") == 0
    assert rows[5]["status"] == "ok"


def test_every_bundled_file_gives_a_row_of_the_contract() -> None:
    series = [StagedSeries(f"u{i}", "s", (f,)) for i, f in enumerate(sorted(FILES.glob("*.dcm")))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = rows_of(series, DEFAULTS)
    TOOL.contract(DEFAULTS).check(rows)
    assert len(rows) == len(series)
    assert sum(row["status"] == "ok" for row in rows) >= 10


def test_no_identifier_is_in_a_row() -> None:
    image = pydicom.dcmread(FILES / "CT_small.dcm")
    row = str(measured(FILES / "CT_small.dcm"))
    for keyword in (
        "PatientID",
        "PatientName",
        "StudyDate",
        "SOPInstanceUID",
        "SeriesInstanceUID",
        "StudyTime",
    ):
        assert str(image.get(keyword)) not in row
    assert "CT_small" not in row


def test_only_what_was_asked_for_is_in_the_row() -> None:
    row = measured(FILES / "CT_small.dcm", measure=["geometry"])
    assert "mean" not in row
    assert "rows" in row


@pytest.mark.parametrize(
    "parameters",
    [
        {"colour": 1},
        {"significant_digits": 9},
        {"significant_digits": "4"},
        {"measure": []},
        {"measure": ["texture"]},
    ],
)
def test_unknown_and_out_of_range_parameters_are_refused(parameters: dict[str, object]) -> None:
    with pytest.raises(ToolParametersRefused, match=next(iter(parameters))):
        tool_parameters("intensity-geometry", parameters)


def test_a_tool_is_known_by_name_and_digest() -> None:
    assert require_tool("intensity-geometry", tool_digest("intensity-geometry")) is TOOL
    with pytest.raises(ToolDigestMismatch):
        require_tool("intensity-geometry", "sha256:0")
    with pytest.raises(ToolUnknown, match="intensity-geometry"):
        tool_named("phrenology")


@pytest.mark.parametrize(
    "change",
    [
        {"mean": float("nan")},
        {"mean": "DOE^JANE"},
        {"reason": "because of DOE"},
        {"rows": 1.5},
        {"rows": True},
        {"row": "1.2.840.113619"},
        {"status": None},
        {"extra": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_row_that_breaks_the_contract_is_refused_without_its_value(change: dict[str, object]) -> None:
    row = {**measured(FILES / "CT_small.dcm"), **change}
    with pytest.raises(RowsRefused) as refused:
        TOOL.contract(DEFAULTS).check([row])
    assert "DOE" not in str(refused.value)


def test_a_damaged_list_of_staged_series_is_told(tmp_path: Path) -> None:
    from fairbank.analysis.errors import StagedInputsUnreadable

    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(StagedInputsUnreadable):
        read_staged(tmp_path)
