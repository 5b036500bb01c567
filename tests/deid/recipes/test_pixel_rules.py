"""Pixel rules of recipes: read, matched against headers, and compared with the `deid` library's own engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from tests.deid.conftest import ct_dataset

from fairbank.deid.errors import BadRecipe
from fairbank.deid.recipes.filter_lines import read_pixel_rules
from fairbank.deid.recipes.pixel_rules import Area, Comparison, PixelRule, areas_of, holds, rules_for


def shipped(name: str = "deid.dicom") -> Path:
    deid = pytest.importorskip("deid")
    return Path(deid.__file__).parent / "data" / name


def recipe(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe"
    path.write_text(f"FORMAT dicom\n{text}", "utf-8")
    return path


def rules(tmp_path: Path, text: str) -> tuple[PixelRule, ...]:
    return read_pixel_rules(recipe(tmp_path, f"%filter graylist\n{text}"))


def example_of(rule: PixelRule) -> Dataset | None:
    """Return a file that meets every line of a rule; None where one is made of numbers or absences."""
    dataset = ct_dataset()
    dataset.file_meta = FileMetaDataset()
    held: dict[int, str] = {}
    for condition in rule.conditions:
        term = condition.terms[0]
        if term.comparison not in (Comparison.CONTAINS, Comparison.EQUALS):
            return None
        if term.comparison is Comparison.EQUALS and held.get(term.tag, term.value) != term.value:
            return None
        said = held.get(term.tag, "")
        held[term.tag] = said if term.value in said else f"{said} {term.value.split('|')[0]}".strip()
    for tag, value in held.items():
        level = dataset.file_meta if tag >> 16 == 2 else dataset
        vr = {0x00280010: "US", 0x00280011: "US", 0x00281051: "DS"}.get(tag, "LO")
        level[tag] = DataElement(tag, vr, int(value.split()[0]) if vr == "US" else value)
    return dataset


def test_every_rule_that_deid_ships_is_read() -> None:
    found = read_pixel_rules(shipped())
    assert len(found) == 118
    assert sum(len(rule.areas) for rule in found) == 117
    assert {rule.group for rule in found} == {"whitelist", "graylist", "blacklist"}
    assert all(0 < (area.width or 0) <= 4096 for rule in found for area in rule.areas)


def test_a_rule_of_width_and_height_and_one_of_corners_mean_the_same(tmp_path: Path) -> None:
    by_size, by_corner = rules(
        tmp_path,
        "LABEL a\ncontains Modality US\nctpcoordinates 10,20,30,40\n"
        "LABEL b\ncontains Modality US\ncoordinates 10,20,40, 60",
    )
    assert by_size.areas == by_corner.areas == (Area(False, 10, 20, 30, 40),)


def test_shipped_rules_blank_at_least_what_deid_blanks() -> None:
    detect = pytest.importorskip("deid.dicom.pixels.detect")
    config = pytest.importorskip("deid.config")
    theirs = config.DeidRecipe(str(shipped()))
    ours, compared = read_pixel_rules(shipped()), 0
    for rule in ours:
        example = example_of(rule)
        if example is None:
            continue
        assert holds(rule, example), rule.name
        result = detect.has_burned_pixels(FileDataset("", example), deid=theirs)
        wanted = {box for flag in result["results"] for _, box in flag["coordinates"]}
        got = {
            f"{area.left},{area.top},{area.left + area.width},{area.top + area.height}"
            for found in rules_for(ours, example)
            for area in found.areas
        }
        assert {box.replace(" ", "") for box in wanted} <= got
        compared += len(wanted)
    assert compared > 100


def test_a_whitelist_never_speaks_for_a_file(tmp_path: Path) -> None:
    found = read_pixel_rules(recipe(tmp_path, "%filter whitelist\nLABEL ok\ncontains Modality CT"))
    assert holds(found[0], ct_dataset())
    assert rules_for(found, ct_dataset()) == ()


def test_lines_are_joined_as_they_say(tmp_path: Path) -> None:
    (rule,) = rules(
        tmp_path,
        "LABEL x\ncontains Modality MR || contains Manufacturer ACME\n+ equals Rows 4\n"
        "|| present PatientComments\ncoordinates all",
    )
    dataset = ct_dataset()
    assert holds(rule, dataset)
    dataset.Rows = 5
    assert not holds(rule, dataset)
    dataset.PatientComments = ""
    assert holds(rule, dataset)


@pytest.mark.parametrize(
    ("line", "met"),
    [
        ("contains ImageType PRIM", True),
        ("notcontains ImageType PRIM", False),
        ("equals ImageType axial", True),
        ("notequals Modality MR", True),
        ("missing SeriesDescription", True),
        ("present SeriesDescription", False),
        ("empty AccessionNumber", False),
        ("empty StationName", False),
        ("equals Columns 4", True),
        ("contains Manufacturer AC+ME", True),
    ],
)
def test_each_comparison(line: str, met: bool, tmp_path: Path) -> None:
    (rule,) = rules(tmp_path, f"LABEL x\n{line}\ncoordinates all")
    assert holds(rule, ct_dataset()) is met


def test_a_field_is_found_at_every_depth_and_in_the_meta_information(tmp_path: Path) -> None:
    nested, meta = rules(
        tmp_path,
        "LABEL a\ncontains CodeMeaning Dosimetry\ncoordinates all\n"
        "LABEL b\ncontains ImplementationVersionName MINDRAY\ncoordinates all",
    )
    dataset, item = ct_dataset(), Dataset()
    item.CodeMeaning = "IEC Body Dosimetry Phantom"
    dataset.CTDIPhantomTypeCodeSequence = Sequence([item])
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.ImplementationVersionName = "MINDRAY_1"
    assert [rule.name for rule in rules_for((nested, meta), dataset)] == ["a", "b"]


def test_areas_of_ultrasound_regions_are_those_of_the_file() -> None:
    found = read_pixel_rules(shipped("deid.dicom.ultrasound"))
    dataset, region = ct_dataset(), Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 5, 6
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 25, 36
    dataset.SequenceOfUltrasoundRegions = Sequence([region])
    areas = [area for rule in rules_for(found, dataset) for area in areas_of(rule, dataset)]
    assert areas == [Area(keep=False), Area(True, 5, 6, 20, 30)]


@pytest.mark.parametrize(
    "line",
    [
        "contains Modality",
        "missing Modality CT",
        "resembles Modality CT",
        "contains NoSuchField CT",
        "contains Manufacturer (a+)+b",
        "contains Manufacturer [",
        "coordinates 1,2,3",
        "coordinates 10,10,5,20",
        "coordinates -1,0,5,5",
        "coordinates from:PatientName",
    ],
)
def test_a_line_that_is_not_understood_is_named(line: str, tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="Line 4 "):
        rules(tmp_path, f"LABEL x\n{line}")


def test_a_line_before_the_first_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="Line 3 "):
        rules(tmp_path, "contains Modality CT")


def test_a_recipe_that_is_not_there_is_refused_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe) as caught:
        read_pixel_rules(tmp_path / "doe_jane")
    assert "doe_jane" not in str(caught.value)
