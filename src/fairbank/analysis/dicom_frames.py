"""Frames of a series: their grey values and where they lie in space, from single-frame and multi-frame DICOM.

Nothing here keeps or returns a UID, a date or a path.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from fairbank.analysis.errors import ItemImpossible

Floats = NDArray[np.float64]
Vector = NDArray[np.float64]

# How far slice distances may stray from their median before the series counts as unevenly spaced.
UNEVEN_SHARE = 0.05
# cos(20 degrees): a plane further than that from every body plane is oblique.
STRAIGHT_COSINE = 0.94


@dataclass(frozen=True, slots=True)
class Header:
    """What the headers of one file say.

    Args:
        dataset: the pydicom dataset without pixels.
    """

    file: Path
    dataset: Any

    @property
    def modality(self) -> str:
        """Return the modality code, empty if there is none."""
        return str(self.dataset.get("Modality", "") or "")

    @property
    def coloured(self) -> bool:
        """Tell whether its pixels are colours, so that they cannot be rescaled."""
        palette = "PALETTE" in str(self.dataset.get("PhotometricInterpretation", ""))
        return palette or int(self.dataset.get("SamplesPerPixel", 1) or 1) != 1

    @property
    def frames(self) -> int:
        """Return the number of frames in the file."""
        return int(self.dataset.get("NumberOfFrames", 1) or 1)


@dataclass(frozen=True, slots=True)
class Intensities:
    """Grey values of a series as distinct values and how often each occurs.

    Args:
        values: (n,) float64, rescaled, ascending.
        counts: (n,) int64.
        unit: UCUM-like code of the values.
    """

    values: Floats
    counts: NDArray[np.int64]
    unit: str

    def mean_and_sd(self) -> tuple[float, float]:
        """Return mean and population standard deviation."""
        total = self.counts.sum()
        mean = float((self.values * self.counts).sum() / total)
        return mean, float(np.sqrt((((self.values - mean) ** 2) * self.counts).sum() / total))

    def percentiles(self, wanted: Sequence[int]) -> list[float]:
        """Return inverse-CDF percentiles (Hyndman & Fan 1996, definition 1)."""
        cumulated = np.cumsum(self.counts)
        ranks = [max(1, -(-int(cumulated[-1]) * q // 100)) for q in wanted]
        return [float(self.values[np.searchsorted(cumulated, rank)]) for rank in ranks]


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the frames of a series lie; lengths in mm, None where the headers do not say.

    Args:
        slices: number of frames.
        slice_spacing_mm: median distance of neighbouring planes along their normal.
        even: whether the planes are evenly spaced.
    """

    rows: int
    columns: int
    slices: int
    row_spacing_mm: float | None
    column_spacing_mm: float | None
    slice_spacing_mm: float | None
    slice_thickness_mm: float | None
    even: bool | None
    orientation: str | None

    @property
    def complete(self) -> bool:
        """Tell whether a volume can be worked out."""
        return None not in (self.row_spacing_mm, self.column_spacing_mm, self.slice_spacing_mm)

    @property
    def volume_mm3(self) -> float | None:
        """Return the volume of all voxels."""
        if self.row_spacing_mm is None or self.column_spacing_mm is None or self.slice_spacing_mm is None:
            return None
        area = self.rows * self.row_spacing_mm * self.columns * self.column_spacing_mm
        return area * self.slice_spacing_mm * self.slices


def read_headers(files: Sequence[Path]) -> list[Header]:
    """Return the headers of all files.

    Raises:
        ItemImpossible: if there is no file, or one is no DICOM image.
    """
    if not files:
        raise ItemImpossible("empty")
    headers = []
    for file in files:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                dataset = dcmread(file, stop_before_pixels=True, force=True)
        except (InvalidDicomError, OSError, ValueError, EOFError, KeyError) as err:
            raise ItemImpossible("unreadable") from err
        if "Rows" not in dataset or "Columns" not in dataset:
            raise ItemImpossible("not_an_image")
        headers.append(Header(file, dataset))
    return headers


def grey_frames(header: Header) -> Iterator[tuple[Floats, NDArray[np.bool_]]]:
    """Yield each frame of a file as (rescaled values, which pixels are not padding).

    Raises:
        ItemImpossible: for colour, and for pixels that cannot be decoded here.
    """
    dataset = header.dataset
    if header.coloured:
        raise ItemImpossible("color")
    pixels = _decode(header.file)
    frames = pixels if pixels.ndim == 3 else pixels[None]
    for number, frame in enumerate(frames):
        slope, intercept = _rescale(dataset, number)
        yield frame.astype(np.float64) * slope + intercept, ~_padded(dataset, frame)


def measure_intensities(headers: Sequence[Header]) -> Intensities:
    """Return the grey values of a series, one file in memory at a time.

    Raises:
        ItemImpossible: for colour, undecodable pixels, or a series of padding only.
    """
    found: list[tuple[Floats, NDArray[np.int64]]] = []
    for header in headers:
        for values, kept in grey_frames(header):
            finite = values[kept & np.isfinite(values)]
            if finite.size:
                found.append(_merged([np.unique(finite, return_counts=True)]))
        if len(found) > 64:
            found = [_merged(found)]
    if not found:
        raise ItemImpossible("only_padding")
    values, counts = _merged(found)
    return Intensities(values, counts, unit_of(headers[0]))


def measure_geometry(headers: Sequence[Header]) -> Geometry:
    """Return the geometry of a series.

    Raises:
        ItemImpossible: if its files differ in size.
    """
    first = headers[0].dataset
    sizes = {(int(h.dataset.Rows), int(h.dataset.Columns)) for h in headers}
    if len(sizes) != 1:
        raise ItemImpossible("mixed_sizes")
    rows, columns = sizes.pop()
    planes = [plane for header in headers for plane in _planes(header.dataset)]
    row_mm, column_mm = _pixel_spacing(first)
    thickness = number_of(functional_value(first, 0, "PixelMeasuresSequence", "SliceThickness"))
    normal = _normal(functional_value(first, 0, "PlaneOrientationSequence", "ImageOrientationPatient"))
    spacing, even = _slice_spacing(planes, normal)
    if spacing is None and len(planes) == 1:
        spacing = thickness
    return Geometry(
        rows, columns, len(planes), row_mm, column_mm, spacing, thickness, even, _orientation(normal)
    )


def _decode(file: Path) -> NDArray[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = np.asarray(dcmread(file, force=True).pixel_array)
    except Exception as err:
        # The decoders of many libraries raise errors of every kind.
        raise ItemImpossible("undecodable") from err
    if pixels.ndim not in (2, 3):
        raise ItemImpossible("undecodable")
    return pixels


def _rescale(dataset: Any, frame: int) -> tuple[float, float]:
    slope = number_of(functional_value(dataset, frame, "PixelValueTransformationSequence", "RescaleSlope"))
    intercept = number_of(
        functional_value(dataset, frame, "PixelValueTransformationSequence", "RescaleIntercept")
    )
    return (1.0 if slope is None or slope == 0 else slope), intercept or 0.0


def _padded(dataset: Any, frame: NDArray[Any]) -> NDArray[np.bool_]:
    limits = padding_of(dataset)
    if limits is None:
        return np.zeros(frame.shape, dtype=bool)
    padded: NDArray[np.bool_] = (frame >= limits[0]) & (frame <= limits[1])
    return padded


def padding_of(dataset: Any) -> tuple[int, int] | None:
    """Return the least and the greatest stored value that stand for padding (PS3.3 C.7.5.1.1.2), None if none does."""
    low = dataset.get("PixelPaddingValue")
    if not isinstance(low, int):
        return None
    high = dataset.get("PixelPaddingRangeLimit", low)
    other = high if isinstance(high, int) else low
    return min(low, other), max(low, other)


def _merged(parts: Sequence[tuple[Any, Any]]) -> tuple[Floats, NDArray[np.int64]]:
    values, where = np.unique(np.concatenate([p[0] for p in parts]), return_inverse=True)
    counts = np.zeros(values.shape, dtype=np.int64)
    np.add.at(counts, where, np.concatenate([p[1] for p in parts]))
    return values, counts


def unit_of(header: Header) -> str:
    """Return the unit of a series' rescaled values: UCUM, or the DICOM word where PET says becquerels."""
    if header.modality == "CT":
        return "[hnsf'U]"
    return "Bq/ml" if str(header.dataset.get("Units", "")) == "BQML" else "1"


def functional_value(dataset: Any, frame: int, group: str, name: str) -> Any:
    """Return an attribute from the dataset, or of one frame from its functional groups (PS3.3 C.7.6.16)."""
    if name in dataset:
        return dataset.get(name)
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for item in (*per_frame[frame : frame + 1], *shared[:1]):
        for macro in item.get(group) or []:
            if name in macro:
                return macro.get(name)
    return None


def _planes(dataset: Any) -> list[Vector | None]:
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    return [
        vector_of(functional_value(dataset, number, "PlanePositionSequence", "ImagePositionPatient"), 3)
        for number in range(frames)
    ]


def _pixel_spacing(dataset: Any) -> tuple[float | None, float | None]:
    found = vector_of(functional_value(dataset, 0, "PixelMeasuresSequence", "PixelSpacing"), 2)
    if found is None or (found <= 0).any():
        return None, None
    return float(found[0]), float(found[1])


def _normal(orientation: Any) -> Vector | None:
    cosines = vector_of(orientation, 6)
    if cosines is None:
        return None
    normal = np.cross(cosines[:3], cosines[3:])
    length = float(np.linalg.norm(normal))
    return normal / length if length > 0.5 else None


def _slice_spacing(
    planes: Sequence[Vector | None], normal: Vector | None
) -> tuple[float | None, bool | None]:
    placed = [plane for plane in planes if plane is not None]
    if normal is None or len(placed) < 2 or len(placed) != len(planes):
        return None, None
    distances = np.diff(np.sort(np.array(placed) @ normal))
    steps = distances[distances > 1e-3]
    if steps.size == 0:
        return None, None
    median = float(np.median(steps))
    even = steps.size == distances.size and bool((np.abs(steps - median) <= UNEVEN_SHARE * median).all())
    return median, even


def _orientation(normal: Vector | None) -> str | None:
    if normal is None:
        return None
    axis = int(np.argmax(np.abs(normal)))
    if abs(float(normal[axis])) < STRAIGHT_COSINE:
        return "oblique"
    return ("sagittal", "coronal", "axial")[axis]


def vector_of(value: Any, length: int) -> Vector | None:
    """Return a value as `(length,) float64`; None if it is not so many finite numbers."""
    try:
        found = np.array([float(v) for v in value], dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return found if found.shape == (length,) and np.isfinite(found).all() else None


def number_of(value: Any) -> float | None:
    """Return a value as a finite number; None if it is none."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if np.isfinite(found) else None
