"""Sources that describe series without images: one conformance suite, and what becomes of what they state."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.harvest.described_series import (
    MAPPING,
    SERIES,
    Serve,
    Under,
    descriptions,
    fhir_source,
    filled,
    good,
    of_bids,
    of_fhir,
    of_table,
)
from tests.harvest.fhir_fake import CANARY, FhirFake

from fairbank.database import reading
from fairbank.deid.pseudonyms import subject_value
from fairbank.harvest.clinical.importing import import_variables
from fairbank.harvest.clinical.mapping import read_mapping
from fairbank.harvest.clinical.table_rows import TableRows
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.errors import BadDefinition, BadRow, HarvestError, NotInSource
from fairbank.harvest.header_harvest import HarvestOrder, harvest_from
from fairbank.harvest.publishing import preview
from fairbank.harvest.rehearsal import rehearse
from fairbank.harvest.sources.opening import add_source, open_source
from fairbank.harvest.sources.protocol import Capability, ChangeFeed, DescribesSeries, Item, SourceKind
from fairbank.harvest.sources.stated import DATES, KEYWORDS, NUMBERS, described
from fairbank.harvest.sources.stated import Stated as StatedSeries
from fairbank.harvest.status import approve_deletions
from fairbank.harvest.store import SeriesRow
from fairbank.harvest.verdicts import admit_all
from fairbank.ontology.record import CollectionKind
from fairbank.release.node import Node


@pytest.fixture
def fake(serve: Serve) -> Iterator[tuple[FhirFake, str]]:
    made = FhirFake()
    filled(made, r5=False)
    with serve(made.app()) as url:
        yield made, url


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
