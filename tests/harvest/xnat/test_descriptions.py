"""What the source says of a scan without fetching it: the same as its files do, as far as an item tells."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pydicom
import pytest

from fairbank.deid.facts import Recorder
from fairbank.deid.pseudonyms import study_value
from fairbank.harvest.described import SeriesDescription, describe_datasets
from fairbank.harvest.errors import (
    BadDefinition,
    NotInSource,
    SourceFailed,
    SourceForbidden,
    SourceUnreachable,
)
from fairbank.harvest.sources.protocol import Item
from fairbank.harvest.sources.xnat import Marks, SubjectName, XnatSource, option_of
from fairbank.harvest.sources.xnat_items import form_answers
from fairbank.harvest.xnat_standin.about import Script
from fairbank.harvest.xnat_standin.faults import Fault, Faults, Trouble

# What an item does not say: positions of slices, hence geometry and its quality; laterality; what is drawn; and the
# size of images that are not tomograms.
_NOT_IN_ITEMS = {"acquisition", "spacing_mm", "slice_spacing", "quality", "laterality", "annotations"}
_OF_TOMOGRAMS = {"rows", "columns"}


def _described(source: XnatSource, project: str) -> dict[str, SeriesDescription]:
    items = source.snapshot(project).items
    found = [each.description for each in source.describe(project, items)]
    return {each.series_uid.reveal(): each for each in found if each is not None}


def _from_files(xnat: Any, project: str) -> dict[str, SeriesDescription]:
    recorder = Recorder("test", datetime(2026, 11, 29, tzinfo=ZoneInfo("UTC")), "test")
    series: dict[str, list[pydicom.Dataset]] = {}
    for header in xnat.headers(project):
        series.setdefault(str(header.SeriesInstanceUID), []).append(header)
    return {uid: describe_datasets(headers, recorder=recorder) for uid, headers in series.items()}


def _facts(description: SeriesDescription) -> dict[str, Any]:
    left_out = _NOT_IN_ITEMS if description.facts.modality in ("CT", "MR") else _NOT_IN_ITEMS | _OF_TOMOGRAMS
    return {name: value for name, value in asdict(description.facts).items() if name not in left_out}


@pytest.mark.parametrize("project", ["LIVER", "BRAIN"])
def test_an_item_gives_the_facts_that_the_files_give(xnat: Any, project: str) -> None:
    ours, truth = _described(xnat.source(), project), _from_files(xnat, project)
    assert ours.keys() == truth.keys()
    for uid, description in ours.items():
        assert _facts(description) == _facts(truth[uid])
        assert description.subject == truth[uid].subject
        assert description.study_uid == truth[uid].study_uid
        assert description.expected_instances == truth[uid].facts.instances


def test_an_item_gives_the_coded_facts_that_the_files_give(xnat: Any) -> None:
    ours, truth = _described(xnat.source(), "LIVER"), _from_files(xnat, "LIVER")
    for fact in ("sex", "age_band", "body_region_code", "contrast", "kernel_class", "study_day", "modality"):
        said = {uid: getattr(each.sheet, fact) for uid, each in truth.items()}
        assert {uid: getattr(each.sheet, fact) for uid, each in ours.items()} == said, fact
        assert len(set(said.values())) > 1 or fact in ("kernel_class", "contrast")


def test_the_year_is_that_of_the_study_because_an_item_knows_no_other(xnat: Any) -> None:
    years = {each.sheet.acquisition_year for each in _described(xnat.source(), "LIVER").values()}
    assert years == {int(str(each.StudyDate)[:4]) for each in xnat.headers("LIVER")}


def test_a_session_costs_one_request_however_many_scans_it_has(xnat: Any) -> None:
    source = xnat.source()
    items = source.snapshot("BRAIN").items
    xnat.asked()
    described = list(source.describe("BRAIN", items))
    sessions = {item.local_id.split("/")[0] for item in items}
    assert len(described) == len(items) == 5
    assert len(xnat.asked()) == len(sessions) + 1 < len(items) + 1


def test_what_people_said_of_quality_is_passed_on_in_closed_words(xnat: Any) -> None:
    series = sorted({str(each.SeriesInstanceUID) for each in xnat.headers("LIVER")})
    studies = {str(each.SeriesInstanceUID): str(each.StudyInstanceUID) for each in xnat.headers("LIVER")}
    xnat.say(
        "LIVER",
        f"""
        scans = [
            {{ series = "{series[0]}", quality = "questionable" }},
            {{ series = "{series[1]}", quality = "Doe moved" }},
            {{ series = "{series[2]}", quality = "" }},
        ]
        sessions = [{{ study = "{studies[series[3]]}", validation = {{ status = "Failed", notes = "Doe" }} }}]
        """,
    )
    found = _described(xnat.source(), "LIVER")
    assert [found[uid].archive_quality for uid in series] == ["questionable", "other", None, "usable"]
    assert [found[uid].archive_validation for uid in series] == [None, None, None, "failed"]


def test_a_subject_can_be_named_by_its_label(xnat: Any) -> None:
    source = xnat.source(subject=SubjectName.LABEL)
    subjects = {each.subject.reveal() for each in _described(source, "LIVER").values()}
    assert subjects == {"\x1f1CT1", "\x1f77654033", "\x1f98890234"}


def test_another_name_for_a_subject_is_refused() -> None:
    with pytest.raises(BadDefinition, match="patient-id, label"):
        option_of(SubjectName, "subject", "hospital")


def _mark_first(root: Path, **elements: str) -> str:
    path = root / "LIVER" / "in0" / "0.dcm"
    dataset = pydicom.dcmread(path)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)
    return str(dataset.SeriesInstanceUID)


def test_an_item_shows_what_still_names_somebody_and_nothing_of_how_it_was_removed(xnat: Any) -> None:
    uid = _mark_first(
        xnat.root,
        PatientIdentityRemoved="YES",
        OperatorsName="Doe",
        PatientBirthDate="19010203",
        InstitutionName="",
    )
    mark = _described(xnat.source(), "LIVER")[uid].mark
    assert (mark.identity_removed, mark.methods, mark.burned_in) == ("", (), "")
    assert set(mark.identifying) == {"OperatorsName", "PatientBirthDate"}


def test_the_first_header_says_how_a_series_was_de_identified_if_it_is_asked(xnat: Any) -> None:
    uid = _mark_first(
        xnat.root, PatientIdentityRemoved="NO", DeidentificationMethod="by hand", BurnedInAnnotation="NO"
    )
    source = xnat.source(marks=Marks.HEADER)
    items = source.snapshot("LIVER").items
    xnat.asked()
    marks = {
        each.description.series_uid.reveal(): each.description.mark
        for each in source.describe("LIVER", items)
    }
    assert (marks[uid].identity_removed, marks[uid].methods, marks[uid].burned_in) == (
        "NO",
        ("by hand",),
        "NO",
    )
    said = {
        str(each.SeriesInstanceUID): str(each.get("PatientIdentityRemoved", ""))
        for each in xnat.headers("LIVER")
    }
    assert {uid: mark.identity_removed for uid, mark in marks.items()} == said
    assert set(said.values()) == {"NO", "YES"}
    assert xnat.asked().count("/data/services/dicomdump") == len(items)


def test_an_archive_that_shows_no_headers_leaves_the_question_open(xnat: Any) -> None:
    source = xnat.source(marks=Marks.HEADER, faults=Faults(Fault(Trouble.FORBIDDEN, where="dicomdump")))
    assert {each.mark.identity_removed for each in _described(source, "LIVER").values()} == {""}


def test_a_session_that_went_meanwhile_is_an_error_of_its_items_only(xnat: Any) -> None:
    source = xnat.source()
    items = [*source.snapshot("LIVER").items, Item("STANDIN_E000000000/1/DICOM", "1")]
    found = list(source.describe("LIVER", items))
    assert [type(each.error) for each in found] == [type(None)] * 4 + [NotInSource]
    assert [each.item for each in found] == items


def test_a_session_that_cannot_be_read_is_an_error_of_its_items_only(xnat: Any) -> None:
    items = xnat.source().snapshot("LIVER").items
    session = items[0].local_id.split("/")[0]
    source = xnat.source(faults=Faults(Fault(Trouble.TRUNCATED, where=f"/data/experiments/{session}")))
    errors = [type(each.error) for each in source.describe("LIVER", items)]
    assert SourceFailed in errors
    assert type(None) in errors


@pytest.mark.parametrize(("status", "error"), [(404, NotInSource), (403, SourceForbidden)])
def test_a_project_made_private_meanwhile_ends_the_description(
    xnat: Any, status: int, error: type[Exception]
) -> None:
    xnat.site.hidden_status = status
    source = xnat.source()
    items = source.snapshot("BRAIN").items
    found = source.describe("BRAIN", items)
    next(found)
    xnat.site.make_private("BRAIN")
    with pytest.raises(error):
        list(found)
    with pytest.raises(error):
        source.snapshot("BRAIN")


def test_an_archive_that_goes_away_ends_the_description(xnat: Any) -> None:
    items = xnat.source().snapshot("LIVER").items
    source = xnat.source(faults=Faults(Fault(Trouble.BAD_GATEWAY, where="/data/experiments")))
    more = [Item(f"STANDIN_E00000000{number}/1/DICOM", "1") for number in range(3)]
    # Each session is asked for four times; after five that failed nothing more is asked.
    with pytest.raises(SourceUnreachable):
        list(source.describe("LIVER", [*items, *more]))


def test_an_item_without_a_patient_is_of_a_subject_of_its_own(xnat: Any) -> None:
    path = xnat.root / "LIVER" / "in0" / "0.dcm"
    dataset = pydicom.dcmread(path)
    dataset.PatientID = ""
    dataset.save_as(path)
    source = xnat.source()
    described = [each.description for each in source.describe("LIVER", source.snapshot("LIVER").items)]
    subjects = {each.subject.reveal() for each in described if each is not None}
    assert study_value(dataset.StudyInstanceUID) in subjects
    assert len(described) == 4 and None not in described


def _touch(path: Path, moment: str) -> None:
    at = datetime.fromisoformat(moment).timestamp()
    os.utime(path, (at, at))


def test_no_change_is_missed_in_the_hour_that_comes_twice(xnat: Any) -> None:
    path = xnat.root / "LIVER" / "in0" / "0.dcm"
    source = xnat.source()
    versions = []
    # Berlin: 02:50 summer time, then 02:10 winter time, twenty minutes later and earlier by the archive's clock.
    for moment in ("2026-10-25T02:50:00+02:00", "2026-10-25T02:10:00+01:00", "2026-10-25T03:50:00+01:00"):
        _touch(path, moment)
        versions.append({item.local_id: item.version for item in source.snapshot("LIVER").items})
    changed = [
        [name for name in before if before[name] != after[name]] for before, after in pairwise(versions)
    ]
    assert [len(each) for each in changed] == [1, 1]


def test_scripts_that_are_switched_on_are_the_archive_s_word(
    xnat: Any, scripts: Callable[..., Script]
) -> None:
    site = 'version "6.1"\n(0010,0010) := "Doe"'
    source = xnat.source()
    off = source.deid_facts("LIVER")
    xnat.site.anonymisation = scripts(site)
    one = source.deid_facts("LIVER")
    own = 'version "6.3"\n-(0008,0090)'
    xnat.say("LIVER", f"[anonymisation]\nscript = '''{own}'''\nenabled = true")
    both = source.deid_facts("LIVER")
    assert (off.enabled, off.digest) == (False, None)
    assert (one.enabled, one.version) == (True, "6.1")
    assert one.digest == f"sha256:{hashlib.sha256(site.encode()).hexdigest()}"
    assert both.version == "6.1, 6.3"
    assert both.digest == f"sha256:{hashlib.sha256(f'{site}{chr(0)}{own}'.encode()).hexdigest()}"


def test_an_archive_that_does_not_tell_its_scripts_says_nothing(xnat: Any) -> None:
    source = xnat.source(faults=Faults(Fault(Trouble.FORBIDDEN, where="/xapi/anonymize")))
    assert source.deid_facts("LIVER") is None
    with pytest.raises(NotInSource):
        source.deid_facts("NOSUCH")


def test_custom_variables_and_forms_come_by_subject(xnat: Any) -> None:
    said = 'patient = "77654033", fields = { smoker = "yes" }, forms = { f1 = { packs = 12, drugs = ["a", "b"] } }'
    xnat.say("LIVER", f"subjects = [{{ {said} }}]")
    found = {each.subject.reveal(): each.values.reveal() for each in xnat.source().custom_variables("LIVER")}
    assert found == {
        "1CT1": {},
        "77654033": {"smoker": "yes", "packs": "12", "drugs": "a;b"},
        "98890234": {},
    }


def test_two_forms_that_ask_the_same_are_told_apart() -> None:
    assert form_answers({"f1": {"a": 1}, "f2": {"a": 2}, "flat": True}) == {
        "a": "1",
        "f2/a": "2",
        "flat": "True",
    }


def test_the_prearchive_is_counted_and_never_read(xnat: Any) -> None:
    xnat.say("LIVER", 'prearchive = [{ subject = "Doe", name = "1" }, { subject = "Doe", name = "2" }]')
    source = xnat.source()
    assert source.waiting("LIVER") == 2
    assert source.waiting("BRAIN") == 0
    assert len(source.snapshot("LIVER").items) == 4


def test_who_may_read_a_project_is_one_of_three_words(xnat: Any) -> None:
    xnat.say("LIVER", 'accessibility = "protected"')
    source = xnat.source()
    assert [source.accessibility(name) for name in ("BRAIN", "LIVER")] == ["private", "protected"]
