"""Recipes: read whole or not at all, stricter than the profile or refused, and compared with the library itself."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from tests.deid.conftest import as_file, ct_dataset

from fairbank.deid.cleaning import Cleaned, Order, clean_file
from fairbank.deid.errors import BadRecipe, RecipeWouldLeak
from fairbank.deid.facts import Recorder
from fairbank.deid.identity import IdentityStore
from fairbank.deid.method import Method
from fairbank.deid.profiles import Profile
from fairbank.deid.recipes.reading import read_recipe
from fairbank.deid.recipes.recipe import Recipe
from fairbank.deid.rules import Option

Read = Callable[[str], Recipe]
Clean = Callable[..., tuple[bytes, Dataset]]


@pytest.fixture
def recipe(tmp_path: Path) -> Read:
    def _read(header: str, before: str = "") -> Recipe:
        path = tmp_path / "site.deid"
        path.write_text(f"FORMAT dicom\n{before}%header\n{header}\n", "utf-8")
        return read_recipe(path)

    return _read


@pytest.fixture
def cleaned(identity: IdentityStore, recorder: Recorder) -> Clean:
    def _clean(
        source: Dataset, recipe: Recipe, profile: Profile = Profile.RESEARCH, *more: Option
    ) -> tuple[bytes, Dataset]:
        order = Order("lung", Method(profile, frozenset(more), recipe))
        result = clean_file(as_file(source), order, identity=identity, recorder=recorder)
        assert isinstance(result, Cleaned), result
        return result.content, pydicom.dcmread(BytesIO(result.content))

    return _clean


def rich_dataset() -> Dataset:
    source, item = ct_dataset(), Dataset()
    source.SeriesDescription, source.StudyDescription = "CHEST^Routine", "CT chest"
    source.StationName, source.KVP, source.SliceThickness = "CT7", "120", "1.5"
    source.PatientWeight, source.PatientSize = "71.5", "1.68"
    source.ProtocolName, source.ConvolutionKernel = "chest", "B30f"
    source.SeriesDate = source.AcquisitionDate = "20190412"
    item.SliceThickness, item.SeriesDescription = "2.5", "knee"
    source[0x00082218] = pydicom.DataElement(0x00082218, "SQ", Sequence([item]))
    return source


@pytest.mark.parametrize(
    "field", ["SliceThickness", "(0018,0050)", "00180050", "contains:Thickness", "startswith:SliceT"]
)
def test_what_a_recipe_removes_goes_at_every_depth(field: str, recipe: Read, cleaned: Clean) -> None:
    _, dataset = cleaned(rich_dataset(), recipe(f"REMOVE {field}"))
    assert "SliceThickness" not in dataset
    assert "SliceThickness" not in dataset[0x00082218].value[0]
    assert str(dataset.KVP) == "120"


def test_blank_empties_and_replace_writes_a_constant(recipe: Read, cleaned: Clean) -> None:
    _, dataset = cleaned(
        rich_dataset(), recipe("BLANK KVP\nREPLACE StationName REMOVED\nREPLACE SeriesDescription CT chest")
    )
    assert dataset["KVP"].is_empty
    assert dataset.StationName == "REMOVED"
    assert dataset.SeriesDescription == "CT chest"
    assert dataset[0x00082218].value[0].SeriesDescription == "CT chest"


def test_keep_saves_from_a_wider_line_what_the_profile_keeps(recipe: Read, cleaned: Clean) -> None:
    _, dataset = cleaned(rich_dataset(), recipe("REMOVE startswith:Patient\nKEEP PatientWeight"))
    assert str(dataset.PatientWeight) == "71.5"
    assert "PatientSize" not in dataset
    assert dataset.PatientIdentityRemoved == "YES"
    assert dataset.PatientID not in ("", "PAT-4711")


def test_what_a_file_needs_stays_whatever_a_wide_line_says(recipe: Read, cleaned: Clean) -> None:
    _, dataset = cleaned(rich_dataset(), recipe("REMOVE contains:UID\nREMOVE all"))
    assert dataset.SOPInstanceUID.startswith("2.25.")
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert "FrameOfReferenceUID" not in dataset
    assert "KVP" not in dataset
    assert dataset.pixel_array.shape == (4, 4)
    assert dataset.PatientIdentityRemoved == "YES"


def test_add_writes_at_the_top_only(recipe: Read, cleaned: Clean) -> None:
    _, dataset = cleaned(rich_dataset(), recipe("ADD ImageComments CT chest\nADD PatientIdentityRemoved YES"))
    assert dataset.ImageComments == "CT chest"
    assert "ImageComments" not in dataset[0x00082218].value[0]


def test_functions_of_the_library_are_the_engines_own(recipe: Read, cleaned: Clean) -> None:
    text = (
        "REPLACE StudyInstanceUID deid_func:pydicom_uid\nREPLACE PatientID var:id\nREPLACE PatientName var:id\n"
        "REPLACE StudyDate deid_func:jitter days=5\nJITTER SeriesDate 31"
    )
    source = rich_dataset()
    _, with_recipe = cleaned(source, recipe(text))
    _, without = cleaned(source, recipe("KEEP KVP"))
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "StudyDate", "SeriesDate"):
        assert with_recipe[keyword].value == without[keyword].value


def test_groups_of_fields_and_values(recipe: Read, cleaned: Clean) -> None:
    source = rich_dataset()
    source.ImageComments = "of QUARZFELD"
    source[0x00082218].value[0].ProtocolName = "quarzfeld knee"
    groups = (
        "%fields technical\nFIELD KVP\nFIELD endswith:Kernel\n"
        '%values names\nSPLIT PatientName by="^"\nFIELD AccessionNumber\n'
    )
    _, dataset = cleaned(source, recipe("REMOVE fields:technical\nREMOVE values:names", groups))
    for keyword in ("KVP", "ConvolutionKernel", "ImageComments"):
        assert keyword not in dataset
    assert "ProtocolName" not in dataset[0x00082218].value[0]
    assert dataset.ProtocolName == "chest"


def test_private_elements_can_be_removed_and_kept(recipe: Read, cleaned: Clean) -> None:
    source = rich_dataset()
    block = source.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "800")
    block.add_new(0x0D, "CS", "DIRECTIONAL")
    line = 'REMOVE (0019,"SIEMENS MR HEADER",0C)\nKEEP (0019,"SIEMENS MR HEADER",0D)'
    _, dataset = cleaned(source, recipe(line), Profile.RESEARCH, Option.RETAIN_SAFE_PRIVATE)
    assert [int(tag) for tag in list(dataset.keys()) if tag.group % 2] == [0x00190010, 0x0019100D]


@pytest.mark.parametrize(
    "line",
    [
        "KEEP PatientName",
        "KEEP PatientID",
        "KEEP PatientBirthDate",
        "KEEP AccessionNumber",
        "KEEP ReferringPhysicianName",
        "KEEP 00080050",
        "KEEP 00091001",
        'KEEP (0029,"SIEMENS CSA HEADER",10)',
        'REPLACE (0019,"SIEMENS MR HEADER",0C) 1000',
        "REPLACE PatientName Doe^Jane",
        "REPLACE InstitutionName General Hospital",
        "REPLACE StudyDate 20190412",
        "REPLACE PatientComments var:comments",
        "REPLACE SeriesDescription func:describe",
        "REPLACE StudyInstanceUID func:make_uid",
        "REPLACE StudyInstanceUID deid_func:my_own",
        "REPLACE PatientID deid_func:pydicom_uid",
        "REMOVE PatientName func:is_name",
        "ADD InstitutionName St. Elsewhere",
        "ADD PatientBirthDate var:birth",
        "JITTER StudyDate func:days",
    ],
)
def test_what_would_leak_is_refused_with_its_line(line: str, recipe: Read) -> None:
    with pytest.raises(RecipeWouldLeak, match="Line 4 ") as caught:
        recipe(f"REMOVE KVP\n{line}")
    for word in ("Doe", "Elsewhere", "General"):
        assert word not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "DELETE PatientName",
        "REMOVE NoSuchField",
        "REMOVE resembles:Name",
        "REMOVE contains:(a+)+",
        "REMOVE select:VRX:PN",
        "REMOVE",
        "REPLACE KVP",
        "BLANK KVP 120",
        "REMOVE fields:nothing",
        "REMOVE values:nothing",
        "JITTER PatientName 5",
        "REPLACE contains:Name REMOVED",
        "REPLACE Rows 5",
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(line: str, recipe: Read) -> None:
    with pytest.raises(BadRecipe, match="Line 4 "):
        recipe(f"REMOVE KVP\n{line}")


@pytest.mark.parametrize(
    "text",
    ["FORMAT nifti", "%nothing", "%filter", "REMOVE KVP", "%fields x\nSPLIT KVP", "%values x\nKEEP KVP"],
)
def test_sections_that_are_not_understood_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_text(text + "\n", "utf-8")
    with pytest.raises(BadRecipe, match="Line "):
        read_recipe(path)


@pytest.mark.parametrize(
    ("line", "profile", "option"),
    [
        ("KEEP StudyDate", Profile.BASIC, Option.RETAIN_FULL_DATES),
        ("JITTER StudyDate 5", Profile.BASIC, Option.RETAIN_MODIFIED_DATES),
        ("KEEP InstitutionName", Profile.RESEARCH, Option.RETAIN_INSTITUTION_IDENTITY),
        ("KEEP StudyInstanceUID", Profile.RESEARCH, None),
        ("KEEP FrameOfReferenceUID", Profile.RESEARCH, Option.RETAIN_UIDS),
        ("KEEP PatientAge", Profile.BASIC, Option.RETAIN_PATIENT_CHARACTERISTICS),
    ],
)
def test_keep_needs_the_option_that_keeps(
    line: str, profile: Profile, option: Option | None, recipe: Read
) -> None:
    read = recipe(line)
    if option is None:
        Method(profile, recipe=read)  # what a file cannot be without is the engine's own
        return
    with pytest.raises(RecipeWouldLeak, match=option.value):
        Method(profile, recipe=read)
    assert Method(profile, frozenset({option}), read).recipe is read


@pytest.mark.parametrize(
    "line",
    ["KEEP all", "KEEP contains:Patient", "KEEP contains:Physician", "KEEP select:VR:PN", "KEEP except:KVP"],
)
def test_wide_keeps_are_refused_if_one_of_theirs_would_leak(line: str, recipe: Read) -> None:
    with pytest.raises(RecipeWouldLeak, match="elements are concerned"):
        Method(Profile.RESEARCH, recipe=recipe(line))


def test_a_recipe_counts_in_the_method_and_travels_to_other_processes(recipe: Read) -> None:
    one, other = recipe("REMOVE KVP"), recipe("REMOVE KVP # with a comment")
    assert one == other
    assert Method(recipe=one).digest != Method().digest
    again = pickle.loads(pickle.dumps(Method(recipe=one)))
    assert again == Method(recipe=one)
    assert hash(again) == hash(Method(recipe=one))
    assert "KVP" not in repr(one)


def test_filters_are_handed_to_the_pixel_stage(recipe: Read) -> None:
    read = recipe("REMOVE KVP", "%filter graylist\nLABEL x\ncontains Modality CT\nctpcoordinates 0,0,10,10\n")
    assert [(rule.name, len(rule.areas)) for rule in read.pixel_rules] == [("x", 1)]


def test_no_recipe_lets_a_name_through(recipe: Read, cleaned: Clean) -> None:
    text = "KEEP SeriesDescription\nADD ImageComments removed\nREMOVE startswith:Study\nBLANK select:VR:DS"
    source = rich_dataset()
    source.SeriesDescription = "chest of Quarzfeld"
    content, _ = cleaned(source, recipe(text))
    assert b"QUARZFELD" not in content.upper()


ORACLE = [
    "REMOVE KVP",
    "BLANK KVP",
    "REMOVE contains:Description",
    "REMOVE startswith:Patient\nKEEP PatientWeight",
    "REMOVE endswith:Date",
    "REMOVE endswith:Time\nREMOVE StationName",
    "REPLACE SeriesDescription CT chest",
    "REMOVE select:VR:LO",
    "REMOVE select:group:0018",
    "REMOVE (0018,0050)",
    "BLANK SeriesDescription\nREMOVE contains:Protocol",
]


@pytest.mark.parametrize("text", ORACLE)
def test_ours_is_never_laxer_than_the_librarys_engine(
    text: str, recipe: Read, cleaned: Clean, tmp_path: Path
) -> None:
    """Whatever the library removes or changes is removed or changed here too, but for what every file needs."""
    parser = pytest.importorskip("deid.dicom.parser")
    config = pytest.importorskip("deid.config")
    ours = recipe(text)
    source = rich_dataset()
    theirs = parser.DicomParser(
        FileDataset("", pydicom.dcmread(BytesIO(as_file(source)))),
        config.DeidRecipe(str(tmp_path / "site.deid")),
    )
    theirs.parse()
    _, dataset = cleaned(source, ours)
    engines_own = {
        "PatientID",
        "PatientName",
        "PatientIdentityRemoved",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
    }
    laxer = []
    for element in source:
        if element.keyword in engines_own:
            continue
        before, after, mine = (
            str(element.value),
            theirs.dicom.get(element.keyword),
            dataset.get(element.keyword),
        )
        touched = after is None or str(after) != before
        if touched and mine is not None and str(mine) == before:
            laxer.append(element.keyword)
    assert laxer == []
    assert dataset.PatientID != source.PatientID
