"""What is peculiar to each source that describes series without images: tables, BIDS datasets, FHIR servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from tests.harvest.described_series import (
    MANNERS,
    MAPPING,
    SERIES,
    Serve,
    fhir_source,
    filled,
    good,
    imaging_study,
    line,
    of_bids,
    table,
)
from tests.harvest.fhir_fake import CANARY, FhirFake, now

from fairbank.deid.pseudonyms import subject_value
from fairbank.errors import Sensitive
from fairbank.harvest.errors import BadMapping, BadRow, NotInSource, SourceFailed, SourceLoginRefused
from fairbank.harvest.sources.bids import BidsSource
from fairbank.harvest.sources.fhir import FhirSource
from fairbank.harvest.sources.fhir_server import FhirServer
from fairbank.harvest.sources.tables import TableSource, read_table_mapping

# -- tables ----------------------------------------------------------------------------------------------------------


def test_errors_of_a_table_name_the_row(tmp_path: Path) -> None:
    rows = [line(row).split(";") for row in SERIES]
    rows[0][1] = ""
    rows[1][9] = "31.02.2020"
    rows[2][3] = rows[1][3]
    rows[3][4] = "viele"
    source = table(tmp_path, *(";".join(row) for row in rows), "brains;1;2")
    found = source.describe("brains", source.snapshot("brains").items)
    said = sorted(str(one.error).partition(" of the table")[0] for one in found if one.error)
    assert said == ["Row 2", "Row 3", "Row 4", "Row 5", "Row 6"]


def test_a_table_without_a_column_of_containers_is_one(tmp_path: Path) -> None:
    source = table(tmp_path, *map(line, SERIES), mapping=MAPPING.replace('container = "Sammlung"\n', ""))
    assert [one.id for one in source.list_containers()] == ["all"]
    assert len(source.snapshot("all").items) == 4


def test_a_column_of_versions_takes_the_place_of_the_row_s_digest(tmp_path: Path) -> None:
    versioned = MAPPING.replace('instances = "Bilder"', 'instances = "Bilder"\nversion = "Notiz"')
    before = table(tmp_path, *map(line, SERIES), mapping=versioned).snapshot("brains")
    after = table(tmp_path, *(line(row, "9,0") for row in SERIES), mapping=versioned).snapshot("brains")
    assert before == after
    assert before.items[0].version == CANARY


def test_a_word_that_the_mapping_does_not_have_is_not_known(tmp_path: Path) -> None:
    source = table(tmp_path, line(SERIES[0]).replace("weiblich", "w"))
    (one,) = source.describe("brains", source.snapshot("brains").items)
    assert one.description is not None and one.description.sheet.sex.value == "unknown"


def test_parquet_is_read_with_its_types(tmp_path: Path) -> None:
    columns = {
        "p": ["001", "002"],
        "st": ["1", "2"],
        "se": ["1.1", "2.1"],
        "m": ["CT", "MR"],
        "t": [1.25, None],
    }
    path = tmp_path / "series.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    text = '[series]\nsubject="p"\nstudy="st"\nseries="se"\n[columns]\nModality="m"\nSliceThickness="t"\n'
    source = TableSource(path, read_table_mapping(text))
    found = [one.description for one in source.describe("all", source.snapshot("all").items)]
    assert [(one.facts.modality, one.facts.slice_thickness) for one in found if one] == [
        ("CT", "1-1.5"),
        ("MR", "unknown"),
    ]


@pytest.mark.parametrize(
    "text", ["[[", '[series]\nsubject = "a"', MAPPING.replace("Modality", "PatientName")]
)
def test_a_mapping_of_a_table_that_cannot_be_right_is_refused(text: str) -> None:
    with pytest.raises(BadMapping):
        read_table_mapping(text)


# -- BIDS ------------------------------------------------------------------------------------------------------------


def test_shared_sidecars_are_inherited_and_the_nearer_one_wins(tmp_path: Path) -> None:
    found = {one.series_uid.reveal(): one for one in good(of_bids(tmp_path))}
    first, other = found["sub-001/anat/sub-001_T1w"], found["sub-002/anat/sub-002_T1w"]
    assert (first.facts.manufacturer, first.facts.field_strength) == ("GE", "3")
    assert (other.facts.manufacturer, other.facts.field_strength) == ("Siemens", "1.5")
    assert found["sub-001/anat/sub-001_T2w"].facts.field_strength == "unknown"


def test_ages_of_participants_become_bands(tmp_path: Path) -> None:
    found = good(of_bids(tmp_path))
    assert sorted(one.sheet.age_band for one in found) == ["30-34", "30-34", "85-89", "unknown"]


def test_dates_that_were_moved_are_no_years_and_shared_files_change_versions(tmp_path: Path) -> None:
    under = of_bids(tmp_path)
    before = {item.local_id: item.version for item in under.source.snapshot(".").items}
    scans = tmp_path / CANARY / "sub-002" / "sub-002_scans.tsv"
    scans.write_text(scans.read_text().replace("2020-06-02", "1910-06-02x"[:10]))
    changed = [
        item.local_id for item in under.source.snapshot(".").items if before[item.local_id] != item.version
    ]
    assert changed == ["sub-002/anat/sub-002_T1w"]
    years = {one.subject.reveal(): one.sheet.acquisition_year for one in good(under)}
    assert years[subject_value("002")] is None and years[subject_value("001")] == 2019


def test_a_folder_of_several_datasets_has_several_containers(tmp_path: Path) -> None:
    of_bids(tmp_path)
    source = BidsSource(tmp_path)
    assert [one.id for one in source.list_containers()] == [CANARY]
    assert source.check().version == "1.10.0"
    assert len(source.snapshot(CANARY).items) == 4


# -- FHIR ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def fake(serve: Serve) -> Iterator[tuple[FhirFake, str]]:
    made = FhirFake()
    filled(made, r5=False)
    with serve(made.app()) as url:
        yield made, url


def test_the_feed_names_what_changed_what_a_study_lost_and_what_was_deleted(
    fake: tuple[FhirFake, str],
) -> None:
    server, url = fake
    source = fhir_source(url)
    start = source.changes("all", "")
    assert (start.items, start.gone, start.complete) == ((), (), True)
    server.put(imaging_study(SERIES[1:2], r5=False), at=now())
    server.delete("ImagingStudy", "1.2.2")
    found = source.changes("all", start.cursor)
    assert [item.local_id for item in found.items] == ["1.2.1/1.2.1.2"]
    assert found.gone == ("1.2.1/1.2.1.1", "1.2.2/1.2.2.1")
    assert found.complete


def test_a_server_without_histories_has_no_complete_feed(fake: tuple[FhirFake, str]) -> None:
    server, url = fake
    server.histories = False
    found = fhir_source(url).changes("all", "2020-01-01T00:00:00Z")
    assert len(found.items) == 4 and not found.complete


def test_what_was_deleted_meanwhile_is_told_as_gone(fake: tuple[FhirFake, str]) -> None:
    server, url = fake
    items = fhir_source(url).snapshot("all").items
    server.delete("ImagingStudy", "1.2.2")
    found = list(fhir_source(url).describe("all", items))
    assert [type(one.error) for one in found if one.error] == [NotInSource]
    assert len([one for one in found if one.description]) == 3


def test_a_tag_makes_a_container(fake: tuple[FhirFake, str]) -> None:
    server, url = fake
    study = imaging_study(SERIES[2:3], r5=False) | {"meta": {"tag": [{"code": "trial"}]}}
    server.put(study)
    source = fhir_source(url, tags=("trial",))
    assert [one.id for one in source.list_containers()] == ["all", "trial"]
    assert [item.local_id for item in source.snapshot("trial").items] == ["1.2.2/1.2.2.1"]


def test_a_patient_without_the_hospital_number_is_no_subject(fake: tuple[FhirFake, str]) -> None:
    _, url = fake
    source = FhirSource(
        FhirServer(f"{url}/fhir", name="fhir", manners=MANNERS), identifier_system="urn:other"
    )
    found = list(source.describe("all", source.snapshot("all").items))
    assert {type(one.error) for one in found} == {BadRow}


def test_pages_that_go_round_in_a_circle_end(fake: tuple[FhirFake, str]) -> None:
    server, url = fake
    server.circle = True
    with pytest.raises(SourceFailed, match="circle"):
        fhir_source(url).snapshot("all")


def test_the_words_of_an_outcome_are_not_repeated(fake: tuple[FhirFake, str]) -> None:
    _, url = fake
    server = FhirServer(f"{url}/fhir", name="fhir", manners=MANNERS)
    with pytest.raises(SourceFailed) as refused:
        list(server.search("ImagingStudy", {"nosuch": "1"}))
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize("user", ["", "reader"])
def test_the_password_is_sent_to_the_server_s_own_address_only(fake: tuple[FhirFake, str], user: str) -> None:
    server, url = fake
    server.login = "Basic cmVhZGVyOnNlY3JldA==" if user else "Bearer secret"
    secret = Sensitive("secret", reference="password")
    source = FhirSource(FhirServer(f"{url}/fhir", name="fhir", user=user, secret=secret, manners=MANNERS))
    # Its links name another host; all pages came from this one.
    assert len(source.snapshot("all").items) == 4
    with pytest.raises(SourceLoginRefused):
        fhir_source(url).snapshot("all")
