"""Sources that describe series without images: one conformance suite, and what is peculiar to each.

A table, a BIDS dataset and FHIR servers of R4B and R5 state the same four series. Canaries stand wherever a real one
has names, notes, file names or addresses.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from sqlalchemy import select
from tests.harvest.fhir_fake import CANARY, FhirFake, now

from fairbank.database import reading
from fairbank.deid.pseudonyms import subject_value
from fairbank.errors import Sensitive
from fairbank.harvest.clinical.importing import import_variables
from fairbank.harvest.clinical.mapping import read_mapping
from fairbank.harvest.clinical.table_rows import TableRows
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.described import SeriesDescription
from fairbank.harvest.errors import (
    BadDefinition,
    BadMapping,
    BadRow,
    HarvestError,
    NotInSource,
    SourceFailed,
    SourceLoginRefused,
)
from fairbank.harvest.header_harvest import HarvestOrder, harvest_from
from fairbank.harvest.publishing import preview
from fairbank.harvest.rehearsal import rehearse
from fairbank.harvest.sources.bids import BidsSource
from fairbank.harvest.sources.fhir import FhirSource
from fairbank.harvest.sources.fhir_server import FhirServer
from fairbank.harvest.sources.opening import add_source, open_source
from fairbank.harvest.sources.pace import Politeness
from fairbank.harvest.sources.protocol import (
    Capability,
    ChangeFeed,
    DescribesSeries,
    Item,
    Source,
    SourceKind,
)
from fairbank.harvest.sources.stated import DATES, KEYWORDS, NUMBERS, described
from fairbank.harvest.sources.stated import Stated as StatedSeries
from fairbank.harvest.sources.tables import TableSource, read_table_mapping
from fairbank.harvest.status import approve_deletions
from fairbank.harvest.store import SeriesRow
from fairbank.harvest.verdicts import admit_all
from fairbank.ontology.record import CollectionKind
from fairbank.release.node import Node

Serve = Callable[[object], AbstractContextManager[str]]
# Of each series: subject, study, series, modality, body part, side, sex, day of the study, images.
Stated = tuple[str, str, str, str, str, str, str, str, int]
SERIES: list[Stated] = [
    ("001", "1.2.1", "1.2.1.1", "MR", "BRAIN", "", "F", "2019-05-01", 1),
    ("001", "1.2.1", "1.2.1.2", "MR", "BRAIN", "", "F", "2019-05-01", 1),
    ("002", "1.2.2", "1.2.2.1", "MR", "BRAIN", "", "M", "2020-06-02", 1),
    ("003", "1.2.3", "1.2.3.1", "PT", "BRAIN", "", "O", "2021-07-03", 1),
]
MANNERS = Politeness(requests_per_s=1000, tries=1)


@dataclass
class Under:
    """A source under test, and how a series of it is changed, broken and taken away."""

    source: Source
    container: str
    change: Callable[[], None]
    spoil: Callable[[], None]
    delete: Callable[[], None]


# -- a table ---------------------------------------------------------------------------------------------------------

MAPPING = """
[series]
container = "Sammlung"
subject = "Patient"
study = "Studie"
series = "Serie"
instances = "Bilder"
[columns]
Modality = "Modalität"
BodyPartExamined = "Region"
Laterality = "Seite"
PatientSex = "Geschlecht"
StudyDate = "Datum"
SliceThickness = "Schicht"
[words.PatientSex]
"weiblich" = "F"
"männlich" = "M"
"divers" = "O"
"""
HEADER = "Sammlung;Patient;Studie;Serie;Bilder;Modalität;Region;Seite;Geschlecht;Datum;Schicht;Name;Notiz"
SEXES = {"F": "weiblich", "M": "männlich", "O": "divers"}


def line(row: Stated, thickness: str = "1,5") -> str:
    subject, study, uid, modality, region, side, sex, day, images = row
    date = ".".join(reversed(day.split("-")))
    cells = (
        "brains", subject, study, uid, str(images), modality, region, side, SEXES[sex], date, thickness, CANARY, CANARY,
    )  # fmt: skip
    return ";".join(cells)


def of_table(tmp_path: Path) -> Under:
    path = tmp_path / f"{CANARY}.csv"
    lines = [HEADER, *map(line, SERIES)]

    def write(*rows: str) -> None:
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")

    def spoil() -> None:
        bad = lines[1].replace(";1,5;", f";{CANARY};")
        write(HEADER, bad, *lines[2:])

    write(*lines)
    mapping = read_table_mapping('decimal = ","\n' + MAPPING)
    return Under(
        TableSource(path, mapping),
        "brains",
        change=lambda: write(HEADER, line(SERIES[0], "2,5"), *lines[2:]),
        spoil=spoil,
        delete=lambda: write(HEADER, *lines[2:]),
    )


# -- BIDS ------------------------------------------------------------------------------------------------------------

NAMES = ("anat/sub-001_T1w", "anat/sub-001_T2w", "anat/sub-002_T1w", "pet/sub-003_pet")


def of_bids(tmp_path: Path) -> Under:
    root = tmp_path / CANARY
    root.mkdir()
    about = {"Name": CANARY, "BIDSVersion": "1.10.0", "Authors": [CANARY]}
    (root / "dataset_description.json").write_text(json.dumps(about))
    levels = {"1": "female", "2": "male", "3": {"Description": "other"}}
    (root / "participants.json").write_text(
        json.dumps({"sex": {"Levels": levels}, "age": {"Units": "years"}})
    )
    people = "participant_id\tage\tsex\tname\nsub-001\t34\t1\tC\nsub-002\t89+\t2\tC\nsub-003\tn/a\t3\tC\n"
    (root / "participants.tsv").write_text(people.replace("\tC\n", f"\t{CANARY}\n"))
    (root / "T1w.json").write_text(json.dumps({"Manufacturer": "GE", "MagneticFieldStrength": 3}))
    for row, name in zip(SERIES, NAMES, strict=True):
        image = root / f"sub-{row[0]}" / f"{name}.nii.gz"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(b"image")
        said = {
            "Manufacturer": "Siemens",
            "BodyPartExamined": row[4],
            "SliceThickness": 1.5,
            "PatientName": CANARY,
        }
        said |= {"MagneticFieldStrength": 1.5} if name.endswith("sub-002_T1w") else {}
        if name.endswith("sub-001_T1w"):
            del said["Manufacturer"]
        image.with_name(image.name.replace(".nii.gz", ".json")).write_text(json.dumps(said))
        scans = image.parents[1] / f"sub-{row[0]}_scans.tsv"
        if not scans.exists():
            scans.write_text("filename\tacq_time\tnote\n")
        with scans.open("a") as file:
            file.write(f"{name}.nii.gz\t{row[7]}T10:00:00\t{CANARY}\n")
    (root / "derivatives" / "sub-001" / "anat").mkdir(parents=True)
    (root / "derivatives" / "sub-001" / "anat" / "sub-001_T1w.nii.gz").write_bytes(b"")
    sidecar = root / "sub-001" / "anat" / "sub-001_T1w.json"

    def delete() -> None:
        sidecar.unlink()
        sidecar.with_name("sub-001_T1w.nii.gz").unlink()

    return Under(
        BidsSource(root),
        ".",
        change=lambda: void(
            sidecar.write_text(json.dumps({"SliceThickness": 2.5, "BodyPartExamined": "BRAIN"}))
        ),
        spoil=lambda: void(sidecar.write_text(f'{{"{CANARY}')),
        delete=delete,
    )


def void(_: object) -> None:
    """Take the result of what is done for its effect."""


# -- FHIR ------------------------------------------------------------------------------------------------------------

SCT = "http://snomed.info/sct"
GENDERS = {"F": "female", "M": "male", "O": "other"}


def imaging_study(rows: list[Stated], *, r5: bool) -> dict[str, Any]:
    def coded(code: str, system: str = "http://dicom.nema.org/resources/ontology/DCM") -> dict[str, Any]:
        coding = {"system": system, "code": code, "display": CANARY}
        return {"coding": [coding]} if r5 else coding

    def part(code: str) -> dict[str, Any]:
        return {"concept": coded(code, SCT)} if r5 else coded(code, SCT)

    return {
        "resourceType": "ImagingStudy",
        "id": rows[0][1],
        "status": "available",
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{rows[0][1]}"}],
        "subject": {"reference": f"Patient/p{rows[0][0]}", "display": CANARY},
        "started": f"{rows[0][7]}T10:00:00+02:00",
        "description": CANARY,
        "note": [{"text": CANARY}],
        "modality": [coded(rows[0][3])],
        "series": [
            {
                "uid": row[2],
                "modality": coded(row[3]),
                "bodySite": part("12738006"),
                "description": CANARY,
                "numberOfInstances": row[8],
                "performer": [{"actor": {"display": CANARY}}],
            }
            for row in rows
        ],
    }


def filled(fake: FhirFake, *, r5: bool) -> None:
    for subject, sex in {row[0]: row[6] for row in SERIES}.items():
        fake.put(
            {
                "resourceType": "Patient",
                "id": f"p{subject}",
                "identifier": [
                    {"system": "urn:insurance", "value": CANARY},
                    {"system": "urn:hospital", "value": subject},
                ],
                "name": [{"family": CANARY}],
                "address": [{"text": CANARY}],
                "gender": GENDERS[sex],
                "birthDate": "1950-03-04",
            }
        )
    for study in dict.fromkeys(row[1] for row in SERIES):
        fake.put(imaging_study([row for row in SERIES if row[1] == study], r5=r5))


def fhir_source(url: str, **changes: Any) -> FhirSource:
    server = FhirServer(f"{url}/fhir", name="fhir", manners=MANNERS)
    return FhirSource(server, identifier_system="urn:hospital", **changes)


def of_fhir(fake: FhirFake, url: str, *, r5: bool) -> Under:
    filled(fake, r5=r5)
    first = [row for row in SERIES if row[1] == "1.2.1"]

    def change() -> None:
        fake.put(imaging_study([(*first[0][:8], 2), first[1]], r5=r5), at=now())

    def spoil() -> None:
        study = imaging_study(first, r5=r5)
        study["series"][0]["uid"] = ""
        fake.put(study, at=now())

    return Under(
        fhir_source(url),
        "all",
        change=change,
        spoil=spoil,
        delete=lambda: fake.put(imaging_study(first[1:], r5=r5), at=now()),
    )


# -- the suite -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["table", "bids", "fhir-r4b", "fhir-r5"])
def under(request: pytest.FixtureRequest, tmp_path: Path, serve: Serve) -> Iterator[Under]:
    if not request.param.startswith("fhir"):
        yield (of_table if request.param == "table" else of_bids)(tmp_path)
        return
    r5 = request.param == "fhir-r5"
    fake = FhirFake(fhir_version="5.0.0" if r5 else "4.3.0")
    with serve(fake.app()) as url:
        tested = of_fhir(fake, url, r5=r5)
        yield tested
        tested.source.close()


def descriptions(under: Under) -> list[SeriesDescription | HarvestError]:
    source = under.source
    assert isinstance(source, DescribesSeries)
    found = source.describe(under.container, source.snapshot(under.container).items)
    return [one.description or one.error or pytest.fail("neither") for one in found]


def good(under: Under) -> list[SeriesDescription]:
    return [one for one in descriptions(under) if isinstance(one, SeriesDescription)]


def test_what_is_stated_is_described_in_the_words_of_headers(under: Under) -> None:
    found = sorted(good(under), key=lambda one: (one.subject.reveal(), one.series_uid.reveal()))
    wanted = [(subject_value(row[0]), row[3], row[4], row[6], int(row[7][:4]), row[8]) for row in SERIES]
    said = [
        (
            one.subject.reveal(),
            one.facts.modality,
            one.facts.body_part,
            one.sheet.sex.value,
            one.sheet.acquisition_year,
            one.facts.instances,
        )
        for one in found
    ]
    assert said == wanted
    assert len({one.study_uid.reveal() for one in found}) == 3
    assert len({one.series_uid.reveal() for one in found}) == 4
    assert {(one.facts.series_uid, one.facts.subject, one.sheet.subject) for one in found} == {("", "", "")}


def test_it_can_do_what_it_says_and_gives_no_images(under: Under, tmp_path: Path) -> None:
    source = under.source
    assert under.container in [one.id for one in source.list_containers()]
    assert source.check().containers == len(source.list_containers())
    assert Capability.DESCRIBES in source.capabilities and Capability.FILES not in source.capabilities
    assert isinstance(source, ChangeFeed) == (Capability.CHANGE_FEED in source.capabilities)
    with pytest.raises(NotInSource):
        list(source.fetch(under.container, source.snapshot(under.container).items[0], tmp_path))
    with pytest.raises(NotInSource):
        source.snapshot("NOSUCH")


def test_two_snapshots_of_what_did_not_change_are_the_same_and_sorted(under: Under) -> None:
    first = under.source.snapshot(under.container)
    assert first == under.source.snapshot(under.container)
    assert first.complete
    assert list(first.items) == sorted(first.items, key=lambda item: item.local_id)


def test_a_change_gives_a_new_version_to_its_own_series(under: Under) -> None:
    before = {item.local_id: item.version for item in under.source.snapshot(under.container).items}
    under.change()
    after = {item.local_id: item.version for item in under.source.snapshot(under.container).items}
    assert before.keys() == after.keys()
    assert len([one for one in before if before[one] != after[one]]) == 1


def test_what_went_is_listed_no_more_and_described_no_more(under: Under) -> None:
    before = under.source.snapshot(under.container).items
    under.delete()
    after = under.source.snapshot(under.container).items
    (gone,) = {item.local_id for item in before} - {item.local_id for item in after}
    assert isinstance(under.source, DescribesSeries)
    under.source.close()
    if under.source.kind is not SourceKind.FHIR:
        (said,) = under.source.describe(under.container, [Item(gone, "")])
        assert isinstance(said.error, NotInSource)


def test_one_bad_series_is_told_and_stops_nothing(under: Under) -> None:
    under.spoil()
    errors = [one for one in descriptions(under) if isinstance(one, HarvestError)]
    assert [type(one) for one in errors] == [BadRow]
    assert len(good(under)) == 3


def test_nothing_that_identifies_is_described_printed_or_logged(
    under: Under, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = repr(descriptions(under)) + "".join(repr(one) for one in good(under))
    under.spoil()
    errors = [one for one in descriptions(under) if isinstance(one, HarvestError)]
    with pytest.raises(NotInSource) as refused:
        under.source.snapshot(CANARY.lower())
    told = [str(error) + repr(error) for error in (*errors, refused.value)]
    assert CANARY not in said + "".join(told) + caplog.text
    assert "1.2.1.1" not in said + "".join(told) + caplog.text


# -- tables ----------------------------------------------------------------------------------------------------------


def table(tmp_path: Path, *lines: str, mapping: str = MAPPING) -> TableSource:
    path = tmp_path / "series.csv"
    path.write_text("\n".join((HEADER, *lines)) + "\n", encoding="utf-8")
    return TableSource(path, read_table_mapping('decimal = ","\n' + mapping))


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


# -- by their names at the node --------------------------------------------------------------------------------------


def test_sources_are_added_with_options_and_opened_by_their_kind(
    node: Node, tmp_path: Path, fake: tuple[FhirFake, str]
) -> None:
    under = of_table(tmp_path)
    (tmp_path / "map.toml").write_text('decimal = ","\n' + MAPPING, encoding="utf-8")
    add_source(
        node,
        "t",
        kind=SourceKind.TABLE,
        location=str(tmp_path / f"{CANARY}.csv"),
        options={"mapping": "map.toml"},
    )
    add_source(node, "f", kind=SourceKind.FHIR, location=f"{fake[1]}/fhir", options={"tags": "trial, x"})
    of_bids(tmp_path)
    add_source(node, "b", kind=SourceKind.BIDS, location=str(tmp_path))
    assert open_source(node, "t").snapshot("brains") == under.source.snapshot("brains")
    assert [one.id for one in open_source(node, "f").list_containers()] == ["all", "trial", "x"]
    assert open_source(node, "b").check().containers == 1
    with pytest.raises(BadDefinition):
        add_source(node, "b", kind=SourceKind.BIDS, location=str(tmp_path), options={"colour": "red"})


def test_a_value_that_dicom_does_not_allow_is_in_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    texts = sorted(KEYWORDS - NUMBERS - DATES)
    for word in (f"{CANARY}^{CANARY}\\{CANARY}", CANARY.lower() * 9, "\x00" + CANARY, "ß²"):
        found = described(StatedSeries("Row 2", "001", "1", "1.1", dict.fromkeys(texts, word)))
        assert (found.facts.modality, found.sheet.sex.value) == ("unknown", "unknown")
    for keyword in NUMBERS | DATES:
        with pytest.raises(BadRow):
            described(StatedSeries("Row 2", "001", "1", "1.1", {keyword: CANARY}))
    assert [str(one.message) for one in recwarn] == []


def test_a_rehearsal_tells_what_is_known_and_what_is_wrong_by_row(node: Node, tmp_path: Path) -> None:
    under = of_table(tmp_path)
    under.spoil()
    path = tmp_path / f"{CANARY}.csv"
    (tmp_path / "map.toml").write_text('decimal = ","\n' + MAPPING, encoding="utf-8")
    add_source(node, "t", kind=SourceKind.TABLE, location=str(path), options={"mapping": "map.toml"})
    found = rehearse(node, "t", "brains")
    assert (found.series, found.described, found.subjects) == (4, 3, 3)
    assert found.known["slice thickness"] == 3 and "manufacturer" not in found.known
    assert [one.partition(" of the table")[0] for one in found.problems] == ["Row 2"]
    add_source(node, "d", kind=SourceKind.DIMSE, location="127.0.0.1:104")
    with pytest.raises(BadDefinition):
        rehearse(node, "d", ".")


# -- into the index and the record -----------------------------------------------------------------------------------

REGISTRY = """
source = "registry"
[subject]
column = "Patient"
[variables.smoking]
column = "Raucher"
label = "Tobacco smoking status"
code = "LOINC:72166-2"
kind = "coded"
values = { "ja" = "smoker", "nein" = "never" }
"""


def test_what_is_described_is_indexed_joined_with_clinical_variables_and_counted(
    node: Node, under: Under, tmp_path: Path
) -> None:
    order = HarvestOrder("any", under.container, "brains", "curator")
    # Such sources seldom say how they were de-identified: a curator would have to trust them.
    report = harvest_from(node, order, under.source, judge=admit_all)
    assert report.items == {"ok": 4}
    again = harvest_from(node, order, under.source, judge=admit_all)
    assert again.items.get("ok", 0) == 0
    registry = tmp_path / "registry.csv"
    registry.write_text(f"Patient;Raucher;Name\n001;ja;{CANARY}\n002;nein;{CANARY}\n003;;{CANARY}\n")
    mapping = read_mapping(REGISTRY)
    imported = import_variables(node, "brains", mapping, TableRows(registry, mapping))
    # The hospital number of the registry and the subject of the images are one pseudonym.
    assert (imported.subjects, imported.unknown) == (2, 0)
    text = Description(title="Brains", description="MR.", collection_kind=CollectionKind.CLINICAL)
    define_dataset(node, "brains-mr", project="brains", description=text)
    made = preview(node, "brains-mr")
    assert made.exact.totals.subjects.value == 3
    assert [(one.name, one.subjects.value) for one in made.exact.variables] == [("smoking", 2)]
    # Two have a value and one has none: which it is must not be told.
    assert made.record.variables[0].subjects.value is None
    assert CANARY not in made.envelope.decode() + json.dumps(made.record.payload())


def test_a_study_that_a_fhir_server_deletes_leaves_the_index_by_its_feed(
    node: Node, fake: tuple[FhirFake, str]
) -> None:
    server, url = fake
    add_source(node, "fhir", kind=SourceKind.FHIR, location=f"{url}/fhir")
    order = HarvestOrder("fhir", "all", "brains", "curator")
    harvest_from(node, order, fhir_source(url))
    server.delete("ImagingStudy", "1.2.2")
    before = len(server.asked)
    assert harvest_from(node, order, fhir_source(url)).tally.missing == 1
    searches = [params for path, params in server.asked[before:] if path == "/fhir/ImagingStudy"]
    assert searches and all("_lastUpdated" in params for params in searches)
    # A listing says the same, and because it is a quarter of all series, a curator has to agree.
    assert harvest_from(node, order, fhir_source(url)).tally.held == 1
    approve_deletions(node, order.route)
    assert harvest_from(node, order, fhir_source(url)).tally.tombstoned == {"deleted": 1}
    with reading(node.engine) as session:
        rows = session.scalars(select(SeriesRow)).all()
        assert sorted(row.state for row in rows) == ["live", "live", "live", "tombstoned"]


def test_what_a_source_states_of_its_de_identification_is_the_mark_that_is_judged() -> None:
    values = {
        "PatientIdentityRemoved": "yes",
        "DeidentificationMethod": "site script",
        "BurnedInAnnotation": "NO",
    }
    mark = described(StatedSeries("Row 2", "001", "1", "1.1", values)).mark
    assert (mark.identity_removed, mark.methods, mark.burned_in) == ("YES", ("site script",), "NO")
    assert described(StatedSeries("Row 3", "001", "1", "1.1", {})).mark.identity_removed == ""
