"""Radiomic features by their names in the IBSI reference manual, computed by PyRadiomics.

Names are those of the IBSI's table of reference values, identifiers those of its manual (Zwanenburg et al. 2016,
arXiv:1612.07003, chapter 3), which DICOM takes over with the scheme IBSI (PS3.16, section 8). A feature of the
library is here if it is the IBSI's, or becomes it by a constant (kurtosis, asphericity) or the number of voxels
(lengths of axes); the others are in `LEFT_OUT`, with the reason.

Grey levels are made here and handed to the library, so that their bins are the IBSI's and not those that the library
lays from zero, and so that levels which nothing falls into still count.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from fairbank.analysis.errors import ItemImpossible

Mask = NDArray[np.bool_]
Levels = NDArray[np.int64]
Family = Literal["morphology", "statistics", "histogram", "glcm", "glrlm", "glszm", "ngtdm", "ngldm"]
FAMILIES: Final[tuple[Family, ...]] = (
    "morphology",
    "statistics",
    "histogram",
    "glcm",
    "glrlm",
    "glszm",
    "ngtdm",
    "ngldm",
)
# What needs grey levels.
BINNED: Final[frozenset[Family]] = frozenset({"histogram", "glcm", "glrlm", "glszm", "ngtdm", "ngldm"})
# A matrix of grey levels has so many rows and columns, once for each of 13 directions.
MOST_LEVELS: Final = 1024
# The library compares all corners of a surface with all others to find the largest diameter: the time grows with the
# square. Both lungs of a CT have 190 000 voxels of surface and take 81 s, a region of this size 8 s.
MOST_SURFACE_VOXELS: Final = 60_000
# Directions one by one, then the mean; or one matrix of all (IBSI manual, section 3.6.2).
AVERAGED, MERGED = "3d_avg", "3d_v_mrg"

_CLASS_OF: Final[Mapping[str, tuple[str, str]]] = {
    "firstorder": ("radiomics.firstorder", "RadiomicsFirstOrder"),
    "shape": ("radiomics.shape", "RadiomicsShape"),
    "glcm": ("radiomics.glcm", "RadiomicsGLCM"),
    "glrlm": ("radiomics.glrlm", "RadiomicsGLRLM"),
    "glszm": ("radiomics.glszm", "RadiomicsGLSZM"),
    "ngtdm": ("radiomics.ngtdm", "RadiomicsNGTDM"),
    "gldm": ("radiomics.gldm", "RadiomicsGLDM"),
}


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature.

    Args:
        stem: its name in the IBSI's table, without the word for how directions are taken together.
        code: its identifier in the IBSI's manual.
        library: the class of features in the library, and its name there.
        unit: UCUM code; `intensity` for the unit of the images, `intensity2` for its square.
        meaning: a few words.
        plus: what is added to the library's value to get the IBSI's.
        of_sample: whether the IBSI divides by one voxel less than the library: its covariance is that of a sample.
    """

    family: Family
    stem: str
    code: str
    library: tuple[str, str]
    unit: str
    meaning: str
    plus: float = 0.0
    of_sample: bool = False

    def name(self, aggregation: str) -> str:
        """Return its name where directions are taken together in one way."""
        match self.family:
            case "glcm":
                return f"{self.stem}_d1_{aggregation}"
            case "glrlm":
                return f"{self.stem}_{aggregation}"
            case "glszm" | "ngtdm" | "ngldm":
                return f"{self.stem}_3d"
        return self.stem


@dataclass(frozen=True, slots=True)
class Binning:
    """How grey values become grey levels (IBSI manual, section 2.7).

    Args:
        width: of a bin, in the unit of the images; None to use `count`.
        count: of bins between the least and the greatest value of a region.
        start: where the first bin begins; None for the least value of the region. For `width` only.
        from_zero: whether bins begin at a multiple of the width, as PyRadiomics has them; then `start` is not used.
    """

    width: float | None
    count: int | None = None
    start: float | None = None
    from_zero: bool = False


def features_of(families: Collection[Family]) -> tuple[Feature, ...]:
    """Return the features of families, in the order of the table."""
    return tuple(feature for feature in FEATURES if feature.family in families)


def levels_of(values: NDArray[Any], mask: Mask, binning: Binning) -> Levels:
    """Return grey levels, (slices, rows, columns) int64, from 1 inside a mask and 0 outside.

    Args:
        values: (slices, rows, columns), in the unit of the images.
        mask: where there is at least one voxel.

    Raises:
        ItemImpossible: `too_many_grey_levels`.

    Source: IBSI manual, section 2.7: fixed bin number and fixed bin size.

    >>> grey, inside = np.array([[[-10, 0, 14, 15, 40]]]), np.ones((1, 1, 5), bool)
    >>> levels_of(grey, inside, Binning(25)).tolist(), levels_of(grey, inside, Binning(None, 5)).tolist()
    ([[[1, 1, 1, 2, 3]]], [[[1, 2, 3, 3, 5]]])
    """
    inside = values[mask].astype(np.float64)
    least, greatest = float(inside.min()), float(inside.max())
    if binning.width is None:
        assert binning.count is not None
        spread = greatest - least
        found = np.floor(binning.count * (inside - least) / spread) + 1 if spread else np.ones_like(inside)
        found = np.minimum(found, binning.count)
    else:
        start = least if binning.start is None else binning.start
        if binning.from_zero:
            start = math.floor(least / binning.width) * binning.width
        found = np.floor((inside - start) / binning.width) + 1
    if found.max() > MOST_LEVELS:
        raise ItemImpossible("too_many_grey_levels")
    levels = np.zeros(mask.shape, dtype=np.int64)
    levels[mask] = found.astype(np.int64)
    return levels


def compute(
    values: NDArray[Any],
    *,
    shape: Mask,
    intensity: Mask,
    levels: Levels | None,
    spacing_mm: tuple[float, float, float],
    families: Collection[Family],
    aggregation: str = AVERAGED,
) -> dict[str, float | None]:
    """Return the features of one region, by name; None for what is not defined there, such as skewness of one value.

    Args:
        values: (slices, rows, columns) grey values.
        shape: the region.
        intensity: the part of it whose grey values count; at least one voxel.
        levels: grey levels inside `intensity`; needed for the families of `BINNED`.
        spacing_mm: distance of slices, rows, columns.
        families: which features.
        aggregation: `AVERAGED` or `MERGED`.
    """
    found: dict[str, float | None] = {}
    wanted = features_of(families)
    for kind in _CLASS_OF:
        features = [feature for feature in wanted if feature.library[0] == kind]
        if not features:
            continue
        mask = shape if kind == "shape" else intensity
        measured = _library(kind, values, mask, levels, spacing_mm, features, aggregation)
        count = int(mask.sum())
        for feature in features:
            value = float(np.squeeze(measured[feature.library[1]])) + feature.plus
            if feature.of_sample:
                value *= math.sqrt(count / (count - 1)) if count > 1 else math.nan
            found[feature.name(aggregation)] = value if math.isfinite(value) else None
    return {feature.name(aggregation): found[feature.name(aggregation)] for feature in wanted}


def surface_voxels(mask: Mask) -> int:
    """Return how many voxels of a region touch, by a face, what is not in it."""
    wide = np.pad(mask, 1)
    inner = mask.copy()
    for axis in range(3):
        for step in (-1, 1):
            inner &= np.roll(wide, step, axis=axis)[1:-1, 1:-1, 1:-1]
    return int(mask.sum() - inner.sum())


def _library(
    kind: str,
    values: NDArray[Any],
    mask: Mask,
    levels: Levels | None,
    spacing_mm: tuple[float, float, float],
    features: Collection[Feature],
    aggregation: str,
) -> Mapping[str, Any]:
    import SimpleITK

    # Threads of its own would need more processes than a sandbox allows.
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    box = box_of(mask)
    image, region = (
        SimpleITK.GetImageFromArray(np.ascontiguousarray(array[box]))
        for array in (values.astype(np.float64), mask.astype(np.uint8))
    )
    for one in (image, region):
        # The library's order is columns, rows, slices.
        one.SetSpacing([float(each) for each in reversed(spacing_mm)])
    calculator = _discretised(kind)(
        image,
        region,
        label=1,
        additionalInfo=False,
        weightingNorm="no_weighting" if aggregation == MERGED else None,
        grey_levels=None if levels is None else levels[box],
    )
    for feature in features:
        calculator.enableFeatureByName(feature.library[1])
    with np.errstate(all="ignore"):
        measured: Mapping[str, Any] = calculator.execute()
    return measured


@cache
def _discretised(kind: str) -> Any:
    """Return the library's class of features, taking grey levels as they are given."""
    module, name = _CLASS_OF[kind]
    parent: Any = getattr(import_module(module), name)
    # It warns of what its own authors call by other names; the import sets its level. An error stays an error.
    logging.getLogger("radiomics").setLevel(logging.CRITICAL + 1)

    class WithLevels(parent):  # type: ignore[misc]  # the library says no types
        # It logs by the name of the module.
        __module__ = module

        def _applyBinning(self, matrix: Any) -> Any:  # noqa: N802 - the library's name
            levels = self.settings["grey_levels"]
            if levels is None:
                levels = self.maskArray.astype(np.int64)
            self.coefficients["grayLevels"] = np.unique(levels[self.maskArray])
            self.coefficients["Ng"] = int(levels.max())
            return np.ascontiguousarray(levels)

    return WithLevels


def box_of(mask: Mask) -> tuple[slice, slice, slice]:
    """Return the smallest box around a mask that is not empty."""
    sides = []
    for axis in range(3):
        places = np.nonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))[0]
        sides.append(slice(int(places[0]), int(places[-1]) + 1))
    return sides[0], sides[1], sides[2]


_OF_SAMPLE: Final = "of a sample"


def _family(family: Family, prefix: str, library: str, rows: str) -> tuple[Feature, ...]:
    """Read a table: name, IBSI identifier, name in the library, unit, meaning.

    A number behind `+` is added; `of a sample` says that it is scaled.
    """
    found = []
    for row in filter(None, map(str.strip, rows.splitlines())):
        stem, code, name, unit, meaning = (cell.strip() for cell in row.split("|"))
        of_sample = name.endswith(_OF_SAMPLE)
        name, _, plus = name.removesuffix(_OF_SAMPLE).partition("+")
        source = (library, name.strip())
        found.append(
            Feature(family, f"{prefix}_{stem}", code, source, unit, meaning, float(plus or 0), of_sample)
        )
    return tuple(found)


FEATURES: Final[tuple[Feature, ...]] = (
    *_family(
        "morphology",
        "morph",
        "shape",
        """
        volume          | RNU0 | MeshVolume            | mm3  | volume inside the surface
        vol_approx      | YEKZ | VoxelVolume           | mm3  | volume of all voxels
        area_mesh       | C0JK | SurfaceArea           | mm2  | area of the surface
        av              | 2PR5 | SurfaceVolumeRatio    | /mm  | surface to volume ratio
        comp_1          | SKGS | Compactness1          | 1    | compactness 1
        comp_2          | BQWJ | Compactness2          | 1    | compactness 2
        sph_dispr       | KRCK | SphericalDisproportion | 1   | spherical disproportion
        sphericity      | QCFX | Sphericity            | 1    | sphericity
        asphericity     | 25C7 | SphericalDisproportion+-1 | 1 | asphericity
        diam            | L0JK | Maximum3DDiameter     | mm   | maximum 3D diameter
        pca_maj_axis    | TDIC | MajorAxisLength of a sample | mm   | major axis length
        pca_min_axis    | P9VJ | MinorAxisLength of a sample | mm   | minor axis length
        pca_least_axis  | 7J51 | LeastAxisLength of a sample | mm   | least axis length
        pca_elongation  | Q3CK | Elongation            | 1    | elongation
        pca_flatness    | N17B | Flatness              | 1    | flatness
        """,
    ),
    *_family(
        "statistics",
        "stat",
        "firstorder",
        """
        mean    | Q4LE | Mean                         | intensity  | mean intensity
        var     | ECT3 | Variance                     | intensity2 | intensity variance
        skew    | KE2A | Skewness                     | 1          | intensity skewness
        kurt    | IPH6 | Kurtosis+-3                  | 1          | excess intensity kurtosis
        median  | Y12H | Median                       | intensity  | median intensity
        min     | 1GSF | Minimum                      | intensity  | minimum intensity
        p10     | QG58 | 10Percentile                 | intensity  | 10th intensity percentile
        p90     | 8DWT | 90Percentile                 | intensity  | 90th intensity percentile
        max     | 84IY | Maximum                      | intensity  | maximum intensity
        iqr     | SALO | InterquartileRange           | intensity  | intensity interquartile range
        range   | 2OJQ | Range                        | intensity  | intensity range
        mad     | 4FUA | MeanAbsoluteDeviation        | intensity  | mean absolute deviation of intensity
        rmad    | 1128 | RobustMeanAbsoluteDeviation  | intensity  | robust mean absolute deviation of intensity
        energy  | N8CA | Energy                       | intensity2 | intensity energy
        rms     | 5ZWQ | RootMeanSquared              | intensity  | root mean square intensity
        """,
    ),
    *_family(
        "histogram",
        "ih",
        "firstorder",
        """
        entropy    | TLU2 | Entropy    | 1 | entropy of grey levels
        uniformity | BJ5W | Uniformity | 1 | uniformity of grey levels
        """,
    ),
    *_family(
        "glcm",
        "cm",
        "glcm",
        """
        joint_max         | GYBY | MaximumProbability | 1 | joint maximum
        joint_avg         | 60VM | JointAverage       | 1 | joint average
        joint_var         | UR99 | SumSquares         | 1 | joint variance
        joint_entr        | TU9B | JointEntropy       | 1 | joint entropy
        diff_avg          | TF7R | DifferenceAverage  | 1 | difference average
        diff_var          | D3YU | DifferenceVariance | 1 | difference variance
        diff_entr         | NTRS | DifferenceEntropy  | 1 | difference entropy
        sum_avg           | ZGXS | SumAverage         | 1 | sum average
        sum_var           | OEEB | ClusterTendency    | 1 | sum variance
        sum_entr          | P6QZ | SumEntropy         | 1 | sum entropy
        energy            | 8ZQL | JointEnergy        | 1 | angular second moment
        contrast          | ACUI | Contrast           | 1 | contrast
        dissimilarity     | 8S9J | DifferenceAverage  | 1 | dissimilarity
        inv_diff          | IB1Z | Id                 | 1 | inverse difference
        inv_diff_norm     | NDRX | Idn                | 1 | normalised inverse difference
        inv_diff_mom      | WF0Z | Idm                | 1 | inverse difference moment
        inv_diff_mom_norm | 1QCO | Idmn               | 1 | normalised inverse difference moment
        inv_var           | E8JP | InverseVariance    | 1 | inverse variance
        corr              | NI2N | Correlation        | 1 | correlation
        auto_corr         | QWB0 | Autocorrelation    | 1 | autocorrelation
        clust_tend        | DG8W | ClusterTendency    | 1 | cluster tendency
        clust_shade       | 7NFM | ClusterShade       | 1 | cluster shade
        clust_prom        | AE86 | ClusterProminence  | 1 | cluster prominence
        info_corr1        | R8DG | Imc1               | 1 | information correlation 1
        info_corr2        | JN9H | Imc2               | 1 | information correlation 2
        """,
    ),
    *_family(
        "glrlm",
        "rlm",
        "glrlm",
        """
        sre       | 22OV | ShortRunEmphasis                 | 1 | short runs emphasis
        lre       | W4KF | LongRunEmphasis                  | 1 | long runs emphasis
        lgre      | V3SW | LowGrayLevelRunEmphasis          | 1 | low grey level run emphasis
        hgre      | G3QZ | HighGrayLevelRunEmphasis         | 1 | high grey level run emphasis
        srlge     | HTZT | ShortRunLowGrayLevelEmphasis     | 1 | short run low grey level emphasis
        srhge     | GD3A | ShortRunHighGrayLevelEmphasis    | 1 | short run high grey level emphasis
        lrlge     | IVPO | LongRunLowGrayLevelEmphasis      | 1 | long run low grey level emphasis
        lrhge     | 3KUM | LongRunHighGrayLevelEmphasis     | 1 | long run high grey level emphasis
        glnu      | R5YN | GrayLevelNonUniformity           | 1 | grey level non-uniformity of runs
        glnu_norm | OVBL | GrayLevelNonUniformityNormalized | 1 | normalised grey level non-uniformity of runs
        rlnu      | W92Y | RunLengthNonUniformity           | 1 | run length non-uniformity
        rlnu_norm | IC23 | RunLengthNonUniformityNormalized | 1 | normalised run length non-uniformity
        r_perc    | 9ZK5 | RunPercentage                    | 1 | run percentage
        gl_var    | 8CE5 | GrayLevelVariance                | 1 | grey level variance of runs
        rl_var    | SXLW | RunVariance                      | 1 | run length variance
        rl_entr   | HJ9O | RunEntropy                       | 1 | run entropy
        """,
    ),
    *_family(
        "glszm",
        "szm",
        "glszm",
        """
        sze       | 5QRC | SmallAreaEmphasis                | 1 | small zone emphasis
        lze       | 48P8 | LargeAreaEmphasis                | 1 | large zone emphasis
        lgze      | XMSY | LowGrayLevelZoneEmphasis         | 1 | low grey level zone emphasis
        hgze      | 5GN9 | HighGrayLevelZoneEmphasis        | 1 | high grey level zone emphasis
        szlge     | 5RAI | SmallAreaLowGrayLevelEmphasis    | 1 | small zone low grey level emphasis
        szhge     | HW1V | SmallAreaHighGrayLevelEmphasis   | 1 | small zone high grey level emphasis
        lzlge     | YH51 | LargeAreaLowGrayLevelEmphasis    | 1 | large zone low grey level emphasis
        lzhge     | J17V | LargeAreaHighGrayLevelEmphasis   | 1 | large zone high grey level emphasis
        glnu      | JNSA | GrayLevelNonUniformity           | 1 | grey level non-uniformity of zones
        glnu_norm | Y1RO | GrayLevelNonUniformityNormalized | 1 | normalised grey level non-uniformity of zones
        zsnu      | 4JP3 | SizeZoneNonUniformity            | 1 | zone size non-uniformity
        zsnu_norm | VB3A | SizeZoneNonUniformityNormalized  | 1 | normalised zone size non-uniformity
        z_perc    | P30P | ZonePercentage                   | 1 | zone percentage
        gl_var    | BYLV | GrayLevelVariance                | 1 | grey level variance of zones
        zs_var    | 3NSA | ZoneVariance                     | 1 | zone size variance
        zs_entr   | GU8N | ZoneEntropy                      | 1 | zone size entropy
        """,
    ),
    *_family(
        "ngtdm",
        "ngt",
        "ngtdm",
        """
        coarseness | QCDE | Coarseness | 1 | coarseness
        contrast   | 65HE | Contrast   | 1 | contrast of neighbourhoods
        busyness   | NQ30 | Busyness   | 1 | busyness
        complexity | HDEZ | Complexity | 1 | complexity
        strength   | 1X9X | Strength   | 1 | strength
        """,
    ),
    *_family(
        "ngldm",
        "ngl",
        "gldm",
        """
        lde       | SODN | SmallDependenceEmphasis                 | 1 | low dependence emphasis
        hde       | IMOQ | LargeDependenceEmphasis                 | 1 | high dependence emphasis
        lgce      | TL9H | LowGrayLevelEmphasis                    | 1 | low grey level count emphasis
        hgce      | OAE7 | HighGrayLevelEmphasis                   | 1 | high grey level count emphasis
        ldlge     | EQ3F | SmallDependenceLowGrayLevelEmphasis     | 1 | low dependence low grey level emphasis
        ldhge     | JA6D | SmallDependenceHighGrayLevelEmphasis    | 1 | low dependence high grey level emphasis
        hdlge     | NBZI | LargeDependenceLowGrayLevelEmphasis     | 1 | high dependence low grey level emphasis
        hdhge     | 9QMG | LargeDependenceHighGrayLevelEmphasis    | 1 | high dependence high grey level emphasis
        glnu      | FP8K | GrayLevelNonUniformity                  | 1 | grey level non-uniformity of dependences
        dcnu      | Z87G | DependenceNonUniformity                 | 1 | dependence count non-uniformity
        dcnu_norm | OKJI | DependenceNonUniformityNormalized       | 1 | normalised dependence count non-uniformity
        gl_var    | 1PFV | GrayLevelVariance                       | 1 | grey level variance of dependences
        dc_var    | DNX2 | DependenceVariance                      | 1 | dependence count variance
        dc_entr   | FCBV | DependenceEntropy                       | 1 | dependence count entropy
        """,
    ),
)

# What the library has besides, and why it is not among the columns.
LEFT_OUT: Final[Mapping[tuple[str, str], str]] = {
    ("firstorder", "TotalEnergy"): "not of the IBSI: its energy times the volume of a voxel",
    ("firstorder", "StandardDeviation"): "not of the IBSI: the root of its variance",
    ("shape", "Maximum2DDiameterSlice"): "not of the IBSI: it depends on how the slices lie",
    ("shape", "Maximum2DDiameterColumn"): "not of the IBSI: it depends on how the slices lie",
    ("shape", "Maximum2DDiameterRow"): "not of the IBSI: it depends on how the slices lie",
    ("glcm", "MCC"): "not of the IBSI: the maximal correlation coefficient of Haralick",
    ("glcm", "Dissimilarity"): "the library itself no longer computes it: the same as difference average",
    ("glcm", "Homogeneity1"): "the library itself no longer computes it: the same as inverse difference",
    (
        "glcm",
        "Homogeneity2",
    ): "the library itself no longer computes it: the same as inverse difference moment",
    ("glcm", "SumVariance"): "the library itself no longer computes it: the same as cluster tendency",
    ("gldm", "DependencePercentage"): "the library itself no longer computes it: it is always 1",
    (
        "gldm",
        "GrayLevelNonUniformityNormalized",
    ): "the library itself no longer computes it: the uniformity of levels",
}
