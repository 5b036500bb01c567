"""Radiomic features against the digital phantom of the IBSI, and against definitions worked out by hand."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.radiomic_features import (
    AVERAGED,
    FAMILIES,
    FEATURES,
    LEFT_OUT,
    MERGED,
    Binning,
    compute,
    levels_of,
    surface_voxels,
)

# Not of the library: what the IBSI has besides. Features of other families and of slices are not computed at all.
NOT_COMPUTED = {
    "morph_com": "shift of the centre of mass",
    "morph_vol_dens_aabb": "density of the box",
    "morph_area_dens_aabb": "density of the box",
    "morph_vol_dens_aee": "density of the ellipsoid",
    "morph_area_dens_aee": "density of the ellipsoid",
    "morph_vol_dens_conv_hull": "density of the convex hull",
    "morph_area_dens_conv_hull": "density of the convex hull",
    "morph_integ_int": "integrated intensity",
    "morph_moran_i": "autocorrelation in space",
    "morph_geary_c": "autocorrelation in space",
    "stat_medad": "deviation from the median",
    "stat_cov": "coefficient of variation",
    "stat_qcod": "quartile coefficient of dispersion",
}


@pytest.fixture(scope="module")
def phantom() -> tuple[NDArray[np.float64], NDArray[np.bool_], tuple[float, float, float]]:
    import nibabel

    folder = Path(os.environ["FAIRBANK_DATA"]) / "ibsi/ibsi_1_digital_phantom/nifti"
    image, mask = (nibabel.load(folder / f"{name}.nii.gz") for name in ("image/phantom", "mask/mask"))
    x, y, z = (float(each) for each in image.header.get_zooms())
    values = np.asarray(image.dataobj).transpose(2, 1, 0).astype(np.float64)
    return values, np.asarray(mask.dataobj).transpose(2, 1, 0) > 0, (z, y, x)


def reference() -> dict[str, tuple[float, float, float]]:
    """Return value, tolerance and what the rounding of the published value allows, by name."""
    file = Path(os.environ["FAIRBANK_DATA"]) / "ibsi/ibsi_1_digital_phantom_values.csv"
    found = {}
    for row in csv.DictReader(file.open()):
        digits = row["reference"].lstrip("-").partition(".")[2]
        # Published with three significant digits.
        value = float(row["reference"])
        step = 10.0 ** -len(digits) if digits else 10.0 ** max(0, len(str(int(abs(value)))) - 3)
        found[row["feature"]] = (value, float(row["tolerance"]), step / 2)
    return found


def of_phantom(phantom, aggregation: str) -> dict[str, float | None]:  # type: ignore[no-untyped-def]
    values, mask, spacing = phantom
    return compute(
        values,
        shape=mask,
        intensity=mask,
        levels=levels_of(values, mask, Binning(1.0)),
        spacing_mm=spacing,
        families=FAMILIES,
        aggregation=aggregation,
    )


@pytest.mark.data
@pytest.mark.parametrize("aggregation", [AVERAGED, MERGED])
def test_every_feature_meets_the_published_value_of_the_digital_phantom(phantom, aggregation: str) -> None:  # type: ignore[no-untyped-def]
    published = reference()
    found = of_phantom(phantom, aggregation)
    compared = {name: value for name, value in found.items() if not name.startswith("ngl_")}
    assert sorted(set(compared) - set(published)) == []
    far = {
        name: (value, published[name])
        for name, value in compared.items()
        if value is None or abs(value - published[name][0]) > published[name][1] + published[name][2]
    }
    assert far == {}
    assert len(compared) == 94


@pytest.mark.data
def test_what_is_not_computed_of_the_phantom_s_table_is_named(phantom) -> None:  # type: ignore[no-untyped-def]
    found = {*of_phantom(phantom, AVERAGED), *of_phantom(phantom, MERGED)}
    of_families = [
        name
        for name in reference()
        if name.startswith(("morph_", "stat_")) or name.endswith(("3d_avg", "3d_v_mrg"))
    ]
    assert sorted(set(of_families) - found) == sorted(NOT_COMPUTED)


@pytest.mark.data
def test_dependences_are_counted_as_the_ibsi_defines_them(phantom) -> None:  # type: ignore[no-untyped-def]
    """The table has no values of this family, so each is worked out here from its definition (section 3.11)."""
    values, mask, _ = phantom
    levels = np.where(mask, values, 0).astype(int)
    counts: dict[tuple[int, int], int] = {}
    for place in np.argwhere(mask):
        same = 0
        for step in product((-1, 0, 1), repeat=3):
            other = place + step
            if (other >= 0).all() and (other < levels.shape).all():
                same += int(levels[tuple(other)] == levels[tuple(place)])
        # Each voxel depends on itself.
        key = (int(levels[tuple(place)]), same)
        counts[key] = counts.get(key, 0) + 1
    total = sum(counts.values())
    part = {key: count / total for key, count in counts.items()}
    of_level, of_count = ({}, {})  # type: ignore[var-annotated]
    for (level, same), count in counts.items():
        of_level[level] = of_level.get(level, 0) + count
        of_count[same] = of_count.get(same, 0) + count
    mean_level = sum(i * p for (i, _), p in part.items())
    mean_count = sum(j * p for (_, j), p in part.items())
    expected = {
        "lde": sum(p / j**2 for (_, j), p in part.items()),
        "hde": sum(p * j**2 for (_, j), p in part.items()),
        "lgce": sum(p / i**2 for (i, _), p in part.items()),
        "hgce": sum(p * i**2 for (i, _), p in part.items()),
        "ldlge": sum(p / (i * j) ** 2 for (i, j), p in part.items()),
        "ldhge": sum(p * i**2 / j**2 for (i, j), p in part.items()),
        "hdlge": sum(p * j**2 / i**2 for (i, j), p in part.items()),
        "hdhge": sum(p * (i * j) ** 2 for (i, j), p in part.items()),
        "glnu": sum(count**2 for count in of_level.values()) / total,
        "dcnu": sum(count**2 for count in of_count.values()) / total,
        "dcnu_norm": sum(count**2 for count in of_count.values()) / total**2,
        "gl_var": sum((i - mean_level) ** 2 * p for (i, _), p in part.items()),
        "dc_var": sum((j - mean_count) ** 2 * p for (_, j), p in part.items()),
        "dc_entr": -sum(p * np.log2(p) for p in part.values()),
    }
    found = of_phantom(phantom, AVERAGED)
    assert {name: found[f"ngl_{name}_3d"] for name in expected} == pytest.approx(expected, rel=1e-9)
    assert len(expected) == sum(feature.family == "ngldm" for feature in FEATURES)


def test_each_feature_of_the_library_is_a_column_or_left_out_with_a_reason() -> None:
    from radiomics import getFeatureClasses

    classes = {feature.library[0] for feature in FEATURES}
    there = {(kind, name) for kind in classes for name in getFeatureClasses()[kind].getFeatureNames()}
    used = {feature.library for feature in FEATURES}
    assert used | set(LEFT_OUT) == there and not used & set(LEFT_OUT)
    names = [feature.name(AVERAGED) for feature in FEATURES]
    assert len(set(names)) == len(names) == 108
    assert len({feature.code for feature in FEATURES}) == len(FEATURES)


def test_bins_begin_where_they_are_asked_to() -> None:
    grey = np.array([[[-10.0, 0.0, 14.0, 15.0, 40.0]]])
    inside = np.ones((1, 1, 5), dtype=bool)
    for binning, expected in (
        (Binning(25.0), [1, 1, 1, 2, 3]),
        (Binning(25.0, start=-60.0), [3, 3, 3, 4, 5]),
        (Binning(25.0, from_zero=True), [1, 2, 2, 2, 3]),
        (Binning(None, 5), [1, 2, 3, 3, 5]),
        (Binning(None, 2), [1, 1, 1, 2, 2]),
    ):
        assert levels_of(grey, inside, binning).ravel().tolist() == expected, binning
    assert levels_of(np.full((1, 1, 5), 7.0), inside, Binning(None, 8)).ravel().tolist() == [1] * 5
    with pytest.raises(ItemImpossible, match="too_many_grey_levels"):
        levels_of(grey, inside, Binning(0.01))


def test_levels_below_the_first_one_that_occurs_still_count() -> None:
    """Emphasis of low grey levels depends on where the range begins, not on the least value that happens to occur."""
    values = np.full((3, 3, 3), 110.0)
    mask = np.ones((3, 3, 3), dtype=bool)

    def emphasis(start: float) -> float | None:
        found = compute(
            values,
            shape=mask,
            intensity=mask,
            levels=levels_of(values, mask, Binning(25.0, start=start)),
            spacing_mm=(1.0, 1.0, 1.0),
            families=("glszm",),
        )
        return found["szm_lgze_3d"]

    assert emphasis(100.0) == 1.0
    assert emphasis(0.0) == pytest.approx(1 / 25)


def test_what_is_not_defined_in_a_flat_region_is_missing() -> None:
    mask = np.ones((3, 4, 5), dtype=bool)
    values = np.full(mask.shape, 40.0)
    found = compute(
        values,
        shape=mask,
        intensity=mask,
        levels=levels_of(values, mask, Binning(25.0)),
        spacing_mm=(1.0, 1.0, 1.0),
        families=FAMILIES,
    )
    assert found["stat_mean"] == 40.0 and found["stat_var"] == 0.0 and found["ih_entropy"] == pytest.approx(0)
    assert found["morph_vol_approx"] == 60.0
    assert all(value is None or np.isfinite(value) for value in found.values())


def test_the_library_keeps_its_warnings_to_itself() -> None:
    """A job's standard error is read by people; what the library thinks of its own names is no news to them."""
    script = (
        "import numpy as np; from fairbank.analysis.radiomic_features import compute\n"
        "mask = np.ones((4, 4, 4), bool)\n"
        "compute(np.zeros(mask.shape), shape=mask, intensity=mask, levels=mask.astype(int),"
        " spacing_mm=(1.0, 1.0, 1.0), families=('morphology', 'glcm'))"
    )
    ran = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_voxels_of_a_surface_are_counted() -> None:
    mask = np.zeros((6, 6, 6), dtype=bool)
    mask[:5, :5, :5] = True
    assert surface_voxels(mask) == 125 - 27


def test_the_page_of_the_tool_lists_each_feature_and_what_is_left_out() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/reference/radiomics.md").read_text(encoding="utf-8")
    for feature in FEATURES:
        assert f"| `{feature.name(AVERAGED)}` | {feature.code} |" in page
    assert [name for _, name in LEFT_OUT if f"`{name}`" not in page] == []
