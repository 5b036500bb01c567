"""Clinical variables from REDCap and FHIR: as a whole, by what changed, refused fields, and nothing that identifies."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.harvest.fhir_fake import CANARY, FhirFake, now
from tests.harvest.redcap_fake import TOKEN, RedcapFake

from fairbank.clock import FixedClock
from fairbank.database import reading
from fairbank.deid.identity import IDENTITY_FILE, IdentityStore
from fairbank.deid.pseudonyms import subject_value
from fairbank.errors import Sensitive
from fairbank.harvest.clinical import store
from fairbank.harvest.clinical.archive_rows import ArchiveRows
from fairbank.harvest.clinical.importing import ImportReport, import_variables
from fairbank.harvest.clinical.mapping import Mapping, read_mapping
from fairbank.harvest.clinical.opening import open_rows
from fairbank.harvest.clinical.redcap_rows import RedcapRows
from fairbank.harvest.errors import (
    BadDefinition,
    BadMapping,
    HarvestError,
    IdentifyingColumn,
    SourceFailed,
    SourceLoginRefused,
    SourceUnreachable,
    UnsafeSecret,
)
from fairbank.harvest.sources.folder import FolderSource
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.release.node import Node

Serve = Callable[[object], AbstractContextManager[str]]
PROJECT = "thorax"
NUMBERS = ("001", "002", "003")


@pytest.fixture
def pseudonyms(node: Node) -> dict[str, str]:
    identity = IdentityStore.open_or_create(node.settings.home / IDENTITY_FILE, clock=node.clock)
    known = {number: identity.subject(PROJECT, subject_value(number)).subject for number in NUMBERS}
    identity.close()
    return known


def values(node: Node, pseudonyms: dict[str, str]) -> dict[tuple[str, str], str]:
    names = {pseudonym: number for number, pseudonym in pseudonyms.items()}
    with reading(node.engine) as session:
        rows = session.scalars(select(store.VariableRow)).all()
    return {(names[row.subject], row.variable): row.value for row in rows}


def imported(node: Node, mapping: Mapping, folder: Path, *, again: bool = False) -> ImportReport:
    rows = open_rows(node, PROJECT, mapping, file=None, beside=folder, again=again)
    return import_variables(node, PROJECT, mapping, rows)


# -- REDCap ----------------------------------------------------------------------------------------------------------

# Before and after the moment that the clock of the node shows.
LONG_AGO, LATER = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)


def redcap_field(name: str, kind: str = "text", *, identifier: str = "", form: str = "") -> dict[str, Any]:
    return {
        "field_name": name,
        "form_name": "baseline",
        "field_type": kind,
        "field_label": CANARY,
        "text_validation_type_or_show_slider_number": form,
        "identifier": identifier,
    }


METADATA = [
    redcap_field("record_id"),
    redcap_field("mrn", identifier="y"),
    redcap_field("smoking", "radio"),
    redcap_field("psa", form="number"),
    redcap_field("comorbid", "checkbox"),
    redcap_field("nickname", identifier="y"),
    redcap_field("remarks", "notes"),
    redcap_field("contact", form="email"),
    redcap_field("last_name"),
]
REDCAP = """
source = "redcap-trial"
[redcap]
url = "URL"
token_file = "token"
[subject]
column = "SUBJECT"
[variables.smoking]
column = "smoking"
label = "Tobacco smoking status"
code = "LOINC:72166-2"
kind = "coded"
values = { "1" = "current", "2" = "never" }
[variables.psa]
column = "psa"
label = "PSA in serum"
code = "LOINC:2857-1"
kind = "quantity"
unit = "ng/mL"
bands = [4, 10]
several = "first"
[variables.diabetes]
column = "comorbid___3"
label = "Diabetes mellitus"
code = "ICD-10:E14"
kind = "boolean"
values = { "1" = "yes", "0" = "no" }
"""


@pytest.fixture
def redcap(serve: Serve, tmp_path: Path) -> Iterator[tuple[RedcapFake, str]]:
    fake = RedcapFake(METADATA)
    secret = tmp_path / "token"
    secret.write_text(TOKEN + "\n")
    secret.chmod(0o600)
    for number in NUMBERS[:2]:
        first = {"record_id": number, "redcap_event_name": "base_arm_1", "mrn": number, "nickname": CANARY}
        later = {"record_id": number, "redcap_event_name": "follow_arm_1", "mrn": "", "remarks": CANARY}
        fake.put(
            first | {"smoking": "1", "psa": "3.5", "comorbid___3": "0"},
            later | {"smoking": "2", "psa": "12", "comorbid___3": "1"},
            later
            | {"redcap_repeat_instrument": "lab", "redcap_repeat_instance": 1, "smoking": "", "psa": ""},
            at=LONG_AGO,
        )
    with serve(fake.app()) as url:
        yield fake, f"{url}/api/"


def redcap_mapping(url: str, subject: str = "mrn") -> Mapping:
    return read_mapping(REDCAP.replace("URL", url).replace("SUBJECT", subject))


def test_events_and_repeats_of_a_redcap_record_are_one_row(
    node: Node, redcap: tuple[RedcapFake, str], pseudonyms: dict[str, str], tmp_path: Path
) -> None:
    fake, url = redcap
    report = imported(node, redcap_mapping(url), tmp_path)
    assert (report.rows, report.subjects, report.left_out) == (2, 2, {})
    assert {key: value for key, value in values(node, pseudonyms).items() if key[0] == "001"} == {
        ("001", "smoking"): "never",
        ("001", "psa"): "<4",
        ("001", "diabetes"): "yes",
    }
    (asked,) = [one for one in fake.asked if one["content"] == "record"]
    # Of a project only what the mapping names is ever asked for.
    assert {value for key, value in asked.items() if key.startswith("fields[")} == {
        "record_id", "mrn", "smoking", "psa", "comorbid",
    }  # fmt: skip


def test_after_the_first_time_only_what_changed_is_asked_for(
    node: Node, redcap: tuple[RedcapFake, str], pseudonyms: dict[str, str], tmp_path: Path
) -> None:
    fake, url = redcap
    imported(node, redcap_mapping(url), tmp_path)
    fake.put({"record_id": "002", "mrn": "", "smoking": "1"}, at=LATER)
    report = imported(node, redcap_mapping(url), tmp_path)
    assert (report.rows, report.written.changed, report.written.removed) == (1, 1, 0)
    assert values(node, pseudonyms)["002", "smoking"] == "current"
    assert values(node, pseudonyms)["001", "smoking"] == "never"
    assert imported(node, redcap_mapping(url), tmp_path, again=True).rows == 2


@pytest.mark.parametrize("subject", ["record_id", "mrn"])
def test_what_was_deleted_in_redcap_goes(
    node: Node, redcap: tuple[RedcapFake, str], pseudonyms: dict[str, str], tmp_path: Path, subject: str
) -> None:
    fake, url = redcap
    imported(node, redcap_mapping(url, subject), tmp_path)
    fake.delete("002", LATER)
    report = imported(node, redcap_mapping(url, subject), tmp_path)
    assert report.written.removed == 3
    assert {number for number, _ in values(node, pseudonyms)} == {"001"}


def test_who_may_not_see_the_log_or_has_another_mapping_reads_everything(
    node: Node, redcap: tuple[RedcapFake, str], pseudonyms: dict[str, str], tmp_path: Path
) -> None:
    fake, url = redcap
    imported(node, redcap_mapping(url), tmp_path)
    changed = read_mapping(REDCAP.replace("URL", url).replace("SUBJECT", "mrn").replace("[4, 10]", "[3, 10]"))
    assert imported(node, changed, tmp_path).rows == 2
    assert values(node, pseudonyms)["001", "psa"] == "3-10"
    fake.may_read_log = False
    assert imported(node, changed, tmp_path).rows == 2


@pytest.mark.parametrize("field", ["nickname", "remarks", "contact", "last_name", "mrn"])
def test_identifying_fields_of_redcap_are_refused_before_a_record_is_asked_for(
    redcap: tuple[RedcapFake, str], field: str
) -> None:
    fake, url = redcap
    text = (
        REDCAP.replace("URL", url)
        .replace("SUBJECT", "mrn")
        .replace('column = "smoking"', f'column = "{field}"')
    )
    with pytest.raises(IdentifyingColumn):
        RedcapRows(url, Sensitive(TOKEN, reference="token"), read_mapping(text), clock=FixedClock())
    assert [one["content"] for one in fake.asked] == ["metadata"]


def test_a_field_that_redcap_does_not_have_is_named_by_its_variable(redcap: tuple[RedcapFake, str]) -> None:
    _, url = redcap
    text = REDCAP.replace("URL", url).replace("SUBJECT", "mrn").replace('"psa"', '"prostate"')
    with pytest.raises(BadMapping, match="psa"):
        RedcapRows(url, Sensitive(TOKEN, reference="token"), read_mapping(text), clock=FixedClock())


def test_neither_token_address_nor_answer_is_in_an_error(
    redcap: tuple[RedcapFake, str], caplog: pytest.LogCaptureFixture
) -> None:
    fake, url = redcap
    caplog.set_level(logging.DEBUG)
    wrong = TOKEN.replace("0", "F")
    errors: list[HarvestError] = []

    def fails(of: type[HarvestError], address: str, token: str) -> None:
        with pytest.raises(of) as refused:
            RedcapRows(
                address,
                Sensitive(token, reference="token"),
                redcap_mapping(address),
                clock=FixedClock(),
                timeout_s=5,
            )
        errors.append(refused.value)

    fails(SourceLoginRefused, url, wrong)
    fails(UnsafeSecret, url, f"{CANARY}")
    fails(BadDefinition, f"http://{CANARY}.test/api/", TOKEN)
    fails(BadDefinition, f"https://{CANARY}.test/redcap", TOKEN)
    fails(SourceUnreachable, "http://127.0.0.1:9/api/", TOKEN)
    fake.broken = f"<html>{CANARY}</html>"
    fails(SourceFailed, url, TOKEN)
    told = "".join(str(error) + repr(error) + repr(error.__cause__) for error in errors) + caplog.text
    for secret in (CANARY, TOKEN, wrong, "127.0.0.1"):
        assert secret not in told


# -- FHIR ------------------------------------------------------------------------------------------------------------

ICD, LOINC, UCUM = "http://hl7.org/fhir/sid/icd-10", "http://loinc.org", "http://unitsofmeasure.org"
FHIR = """
source = "hospital"
[fhir]
url = "URL"
identifier_system = "urn:hospital"
[subject]
column = "-"
[variables.sex]
column = "Patient.gender"
label = "Sex"
code = "LOINC:46098-0"
kind = "coded"
values = { "male" = "M", "female" = "F" }
[variables.psa]
column = "Observation:http://loinc.org|2857-1"
label = "PSA in serum"
code = "LOINC:2857-1"
kind = "quantity"
unit = "ng/mL"
bands = [4, 10]
[variables.cancer]
column = "Condition:http://hl7.org/fhir/sid/icd-10"
label = "Cancer diagnosis"
code = "LOINC:29308-4"
kind = "coded"
value_system = "ICD-10"
values = { "C61" = "C61", "C34.1" = "C34.1" }
[variables.age]
column = "Patient.birthDate"
reference = "Condition:http://hl7.org/fhir/sid/icd-10.date"
label = "Age at diagnosis"
code = "SNOMED-CT:423493009"
kind = "age-band"
"""


def patient(number: str, **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "identifier": [{"system": "urn:hospital", "value": number}],
        "name": [{"family": CANARY}],
        "gender": "male",
        "birthDate": "1950-03-04",
        **changes,
    }


def psa(number: str, value: float, at: str, *, unit: str = "ng/mL", **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o{number}-{at}",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "2857-1", "display": CANARY}]},
        "subject": {"reference": f"Patient/p{number}", "display": CANARY},
        "effectiveDateTime": at,
        "valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit},
        "note": [{"text": CANARY}],
        **changes,
    }


def condition(number: str, code: str, at: str, **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": f"c{number}-{code}",
        "code": {"coding": [{"system": ICD, "code": code}], "text": CANARY},
        "subject": {"reference": f"Patient/p{number}"},
        "onsetDateTime": at,
        **changes,
    }


@pytest.fixture
def fhir(serve: Serve) -> Iterator[tuple[FhirFake, Mapping]]:
    fake = FhirFake()
    for resource in (
        patient("001"),
        patient("002", gender="female"),
        psa("001", 12.5, "2020-05-01"),
        psa("001", 3.5, "2019-05-01"),
        psa("001", 99, "2021-05-01", status="entered-in-error"),
        psa("002", 5, "2020-05-01", unit="ug/L"),
        condition("001", "C61", "2018-01-01"),
        condition("001", "J45", "2020-01-01"),
        condition("002", "C34.1", "2015-01-01"),
        condition("002", "C61", "2016-01-01", verificationStatus={"coding": [{"code": "refuted"}]}),
    ):
        fake.put(resource)
    with serve(fake.app()) as url:
        yield fake, read_mapping(FHIR.replace("URL", f"{url}/fhir"))


def test_patients_observations_and_conditions_become_variables(
    node: Node, fhir: tuple[FhirFake, Mapping], pseudonyms: dict[str, str], tmp_path: Path
) -> None:
    fake, mapping = fhir
    report = imported(node, mapping, tmp_path)
    assert values(node, pseudonyms) == {
        ("001", "sex"): "M",
        ("001", "psa"): ">=10",
        ("001", "cancer"): "C61",
        ("001", "age"): "65-69",
        ("002", "sex"): "F",
        ("002", "cancer"): "C34.1",
        ("002", "age"): "60-64",
    }
    assert report.left_out == {"other-unit": 1}
    assert {
        params["code"] for path, params in fake.asked if path.endswith("Observation") and "code" in params
    } == {f"{LOINC}|2857-1"}


def test_after_the_first_time_only_patients_with_changes_are_read(
    node: Node, fhir: tuple[FhirFake, Mapping], pseudonyms: dict[str, str], tmp_path: Path
) -> None:
    fake, mapping = fhir
    imported(node, mapping, tmp_path)
    assert imported(node, mapping, tmp_path).rows == 0
    fake.put(psa("001", 5, "2022-05-01"), at=now())
    fake.delete("Condition", "c002-C34.1")
    report = imported(node, mapping, tmp_path)
    assert (report.rows, report.written.changed, report.written.removed) == (2, 1, 2)
    assert values(node, pseudonyms) == {
        ("001", "sex"): "M",
        ("001", "psa"): "4-10",
        ("001", "cancer"): "C61",
        ("001", "age"): "65-69",
        ("002", "sex"): "F",
    }


@pytest.mark.parametrize("histories", [True, False])
def test_a_patient_who_was_deleted_goes(
    node: Node, fhir: tuple[FhirFake, Mapping], pseudonyms: dict[str, str], tmp_path: Path, histories: bool
) -> None:
    fake, mapping = fhir
    fake.histories = histories
    imported(node, mapping, tmp_path)
    fake.delete("Patient", "p002")
    assert imported(node, mapping, tmp_path).written.removed == 3
    assert {number for number, _ in values(node, pseudonyms)} == {"001"}


@pytest.mark.parametrize(
    "column", ["Patient.name", "Patient.telecom", "Observation:2857-1", "DocumentReference:x|y"]
)
def test_what_is_not_read_from_a_fhir_server_is_refused(
    node: Node, fhir: tuple[FhirFake, Mapping], tmp_path: Path, column: str
) -> None:
    _, mapping = fhir
    assert mapping.fhir is not None
    text = FHIR.replace("URL", mapping.fhir.url).replace("Patient.gender", column)
    with pytest.raises(BadMapping):
        open_rows(node, PROJECT, read_mapping(text), file=None, beside=tmp_path)


def test_nothing_that_identifies_is_kept_told_or_logged(
    node: Node,
    fhir: tuple[FhirFake, Mapping],
    redcap: tuple[RedcapFake, str],
    pseudonyms: dict[str, str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    reports = [
        imported(node, fhir[1], tmp_path),
        imported(node, read_mapping(REDCAP.replace("URL", redcap[1]).replace("SUBJECT", "mrn").replace(
            "variables.psa", "variables.psa-of-trial")), tmp_path),
    ]  # fmt: skip
    assert CANARY not in repr(reports) + caplog.text
    for path in node.settings.home.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path.name


def test_rows_come_from_one_place(node: Node, fhir: tuple[FhirFake, Mapping], tmp_path: Path) -> None:
    _, mapping = fhir
    with pytest.raises(BadMapping, match="twice"):
        open_rows(node, PROJECT, mapping, file=tmp_path / "table.csv", beside=tmp_path)
    with pytest.raises(BadMapping, match="not said"):
        nowhere = mapping.model_copy(update={"fhir": None})
        open_rows(node, PROJECT, nowhere, file=None, beside=tmp_path)


def test_a_password_is_not_sent_without_encryption(node: Node, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("word\n")
    secret.chmod(0o600)
    text = FHIR.replace('url = "URL"', 'url = "http://fhir.test/r4"\npassword_file = "secret"')
    with pytest.raises(BadDefinition):
        open_rows(node, PROJECT, read_mapping(text), file=None, beside=tmp_path)


# -- an archive ------------------------------------------------------------------------------------------------------


@dataclass
class Said:
    subject: Sensitive[str]
    values: Sensitive[dict[str, str]]


class Keeper(FolderSource):
    """A source that keeps variables, as an XNAT does."""

    closed = False

    def custom_variables(self, container: str) -> Iterator[Said]:
        for number, smoking in (("001", "ja"), ("002", ""), ("", "nein"), ("003", CANARY)):
            values = {"Raucher ": smoking, "Nachname": CANARY}
            yield Said(Sensitive(number, reference="a subject"), Sensitive(values, reference="its variables"))

    def close(self) -> None:
        self.closed = True


ARCHIVE = """
source = "xnat"
[archive]
name = "archive"
container = "THORAX"
[subject]
column = "-"
[variables.smoking]
column = "raucher"
label = "Tobacco smoking status"
code = "LOINC:72166-2"
kind = "coded"
values = { "ja" = "smoker", "nein" = "never" }
"""


def test_an_archive_s_own_variables_are_read_by_name(
    node: Node, pseudonyms: dict[str, str], tmp_path: Path
) -> None:
    source, mapping = Keeper(tmp_path), read_mapping(ARCHIVE)
    report = import_variables(node, PROJECT, mapping, ArchiveRows(source, source, "THORAX", mapping))
    assert values(node, pseudonyms) == {("001", "smoking"): "smoker"}
    assert report.left_out == {"no-subject": 1, "value-not-in-the-mapping": 1}
    assert source.closed
    with pytest.raises(IdentifyingColumn):
        ArchiveRows(source, source, "THORAX", read_mapping(ARCHIVE.replace('"raucher"', '"Nachname"')))


def test_an_archive_that_keeps_no_variables_says_so(node: Node, tmp_path: Path) -> None:
    add_source(node, "archive", kind=SourceKind.FOLDER, location=str(tmp_path))
    with pytest.raises(BadMapping, match="keeps no variables"):
        open_rows(node, PROJECT, read_mapping(ARCHIVE), file=None, beside=tmp_path)
