"""Sources that state the same four series: a table, a BIDS dataset, FHIR servers of R4B and R5.

Canaries stand wherever a real one has names, notes, file names or addresses.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.harvest.fhir_fake import CANARY, FhirFake, now

from fairbank.harvest.described import SeriesDescription
from fairbank.harvest.errors import HarvestError
from fairbank.harvest.sources.bids import BidsSource
from fairbank.harvest.sources.fhir import FhirSource
from fairbank.harvest.sources.fhir_server import FhirServer
from fairbank.harvest.sources.pace import Politeness
from fairbank.harvest.sources.protocol import DescribesSeries, Source
from fairbank.harvest.sources.tables import TableSource, read_table_mapping

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


def descriptions(under: Under) -> list[SeriesDescription | HarvestError]:
    source = under.source
    assert isinstance(source, DescribesSeries)
    found = source.describe(under.container, source.snapshot(under.container).items)
    return [one.description or one.error or pytest.fail("neither") for one in found]


def good(under: Under) -> list[SeriesDescription]:
    return [one for one in descriptions(under) if isinstance(one, SeriesDescription)]


def table(tmp_path: Path, *lines: str, mapping: str = MAPPING) -> TableSource:
    path = tmp_path / "series.csv"
    path.write_text("\n".join((HEADER, *lines)) + "\n", encoding="utf-8")
    return TableSource(path, read_table_mapping('decimal = ","\n' + mapping))
