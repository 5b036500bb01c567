"""The mirror of the Imaging Data Commons: an index comes in, datasets are found by every way that the catalogue has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyoxigraph as ox
import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient
from tests.catalogue.granting import a_request
from tests.catalogue.idc_files import BRAINS, CC_BY, LUNGS, series, write_index

from fairbank import audit
from fairbank.catalogue import records
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import IndexRefused, MirrorRefused, UnknownCollection
from fairbank.catalogue.idc import mirror, record, rows
from fairbank.catalogue.idc.mirror import Outcome, Wish, import_index
from fairbank.catalogue.idc.source import Index, index_at, installed_index
from fairbank.catalogue.projector import Projector
from fairbank.catalogue.store import DatasetRow, NodeRow, StratumRow, VersionRow
from fairbank.database import reading, writing
from fairbank.ontology.record import DatasetRecord
from fairbank.signing import file_digest

Make = Callable[..., Any]
LUNG = "http://hub.test/datasets/idc/lung-ct"
FB = "https://w3id.org/fairbank/terms#"


@pytest.fixture
def index_of(tmp_path: Path) -> Callable[..., Index]:
    def make(rows: list[dict[str, Any]], *, name: str = "index", **given: Any) -> Index:
        return index_at(write_index(tmp_path / name, rows, **given))

    return make


def record_of(hub: Hub, dataset: str) -> DatasetRecord:
    with reading(hub.engine) as session:
        row = session.get_one(DatasetRow, f"http://hub.test/datasets/idc/{dataset}")
        version = session.get_one(VersionRow, (row.iri, row.version))
        signer = session.get_one(NodeRow, "idc").key_id
        return DatasetRecord.open(version.envelope, trusted=[signer])[0]


# -- what a record says ----------------------------------------------------------------------------------------------


def test_series_studies_and_subjects_are_counted_once_each(hub: Hub, index_of: Make) -> None:
    import_index(hub, index_of(LUNGS))
    found = record_of(hub, "lung-ct")
    totals = {name: count.value for name, count in found.totals}
    assert totals == {"subjects": 3, "studies": 4, "series": 12, "instances": 1200}
    (cell,) = found.cube
    assert (cell.modality, cell.body_part, cell.manufacturer) == ("CT", "CHEST", "Siemens")
    assert [cell.series.value, cell.studies.value, cell.subjects.value] == [12, 4, 3]


def test_counts_of_many_random_series_are_those_of_plain_sets(hub: Hub, index_of: Make) -> None:
    import random

    draw = random.Random(7)
    made = [
        series(
            number,
            collection_id=draw.choice(["lung_ct", "brain_mr"]),
            PatientID=f"P{draw.randrange(40)}",
            StudyInstanceUID=f"1.2.{draw.randrange(90)}",
            Modality=draw.choice(["CT", "MR", "PT"]),
            BodyPartExamined=draw.choice(["CHEST", "Thorax", None]),
            Manufacturer=draw.choice(["GE", "Philips"]),
            PatientAge=draw.choice(["061Y", "064Y", "070Y", None]),
        )
        for number in range(600)
    ]
    import_index(hub, index_of(made))
    for dataset in ("lung_ct", "brain_mr"):
        mine = [row for row in made if row["collection_id"] == dataset]
        cells: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        bands: dict[str, set[str]] = {}
        for row in mine:
            part = "CHEST" if row["BodyPartExamined"] else "unknown"
            cells.setdefault((row["Modality"], part, row["Manufacturer"]), []).append(row)
            band = {"061Y": "60-64", "064Y": "60-64", "070Y": "70-74", None: "unknown"}[row["PatientAge"]]
            bands.setdefault(band, set()).add(row["PatientID"])
        found = record_of(hub, dataset.replace("_", "-"))
        assert {
            (cell.modality, cell.body_part, cell.manufacturer): (
                cell.series.value,
                cell.studies.value,
                cell.subjects.value,
            )
            for cell in found.cube
        } == {
            axes: (
                len(of_cell),
                len({row["StudyInstanceUID"] for row in of_cell}),
                len({row["PatientID"] for row in of_cell}),
            )
            for axes, of_cell in cells.items()
        }
        ages = {row.value: row.subjects.value for row in found.distributions if row.attribute == "age-band"}
        assert ages == {band: len(subjects) for band, subjects in bands.items()}


def test_a_record_names_licence_dois_and_where_it_comes_from(hub: Hub, index_of: Make) -> None:
    index = index_of([*LUNGS, series(50, source_DOI="10.5281/zenodo.1")])
    import_index(hub, index)
    found = record_of(hub, "lung-ct")
    assert (found.licence, found.access_rights.value, found.minimum_count) == (CC_BY, "PUBLIC", 1)
    assert found.collection_kind.value == "trial"
    assert found.title == "Lung-CT: Lungs of a trial"
    assert found.description.startswith("CT of lungs, in a trial.")
    assert {"Lung Cancer", "Non-small Cell Lung Cancer", "nci_trials"} <= set(found.keywords)
    assert found.stewardship is not None
    assert found.stewardship.conditions == ("lung-cancer", "non-small-cell-lung-cancer")
    assert found.stewardship is not None
    assert found.stewardship.landing_page == "https://doi.org/10.7937/k9/tcia.lung"
    assert found.stewardship.sources == ("https://doi.org/10.7937/k9/tcia.lung",)
    assert found.stewardship.relations == ("https://doi.org/10.5281/zenodo.1",)
    acquisition, harvest = found.provenance
    assert (acquisition.started[:10], acquisition.ended[:10]) == ("2022-06-01", "2023-06-01")
    assert acquisition.source_system == "from TCIA; de-identified by TCIA"
    assert harvest.profile_digest == file_digest(index.series)
    assert harvest.source_system == "NCI Imaging Data Commons v3, idc-index-data 25.0.5"


def test_licences_that_differ_within_a_collection_are_all_named(hub: Hub, index_of: Make) -> None:
    import_index(hub, index_of(BRAINS))
    found = record_of(hub, "brain-mr")
    assert found.licence == "CC BY 4.0 and CC BY-NC 3.0"
    of_licence = {row.value: row.subjects.value for row in found.distributions if row.attribute == "licence"}
    assert of_licence == {"CC BY 4.0": 1, "CC BY-NC 3.0": 1}


@pytest.mark.parametrize(
    ("name", "licence"),
    [
        ("CC BY-NC 4.0", "https://creativecommons.org/licenses/by-nc/4.0/"),
        ("CC0 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        (
            "National Library of Medicine\x00 Terms; May 21, 2019",
            "National Library of Medicine Terms; May 21, 2019",
        ),
        (None, None),
        (" \x00", None),
    ],
)
def test_an_odd_licence_stays_in_words(
    hub: Hub, index_of: Make, name: str | None, licence: str | None
) -> None:
    import_index(hub, index_of([series(1, license_short_name=name)]))
    assert record_of(hub, "lung-ct").licence == licence


def test_what_is_missing_or_not_understood_is_unknown_and_never_a_guess(hub: Hub, index_of: Make) -> None:
    dirty = series(
        1, BodyPartExamined=None, Modality="M?", Manufacturer="\x00", PatientSex="6657", PatientAge="000Y",
        StudyDate="1880-99-99", SeriesDescription="a\x00b", ManufacturerModelName="Model\x00 X\t1", source_DOI="none",
        series_init_idc_version=None, series_revised_idc_version=-1,
    )  # fmt: skip
    report = import_index(hub, index_of([dirty]))
    found = record_of(hub, "lung-ct")
    (cell,) = found.cube
    assert {cell.modality, cell.body_part, cell.manufacturer, cell.slice_thickness} == {"unknown"}
    assert {row.attribute: row.value for row in found.distributions} == {
        "sex": "unknown", "age-band": "unknown", "manufacturer-model": "Model X 1", "licence": "CC BY 4.0",
        "source-doi": "unknown",
    }  # fmt: skip
    assert report.unknown == {"Modality": 1, "PatientSex": 1, "PatientAge": 1, "source_DOI": 1}
    assert (found.acquired_from, found.acquired_to) == (None, None)
    assert [step.kind.value for step in found.provenance] == ["harvest"]


def test_no_slice_thickness_is_invented(hub: Hub, index_of: Make) -> None:
    import_index(hub, index_of([*LUNGS, *BRAINS]))
    with reading(hub.engine) as session:
        assert set(session.scalars(select(StratumRow.slice_thickness))) == {"unknown"}


# -- bad rows --------------------------------------------------------------------------------------------------------


def test_a_row_that_cannot_be_counted_is_left_out_with_its_reason_and_stops_no_other(
    hub: Hub, index_of: Make
) -> None:
    bad = [
        series(20, collection_id=None), series(21, PatientID=" \x00"), series(22, StudyInstanceUID="study one"),
        series(23, SeriesInstanceUID=None), series(24, instanceCount=None), series(25, instanceCount=0),
        series(3, instanceCount=999),
    ]  # fmt: skip
    report = import_index(hub, index_of([bad[0], *LUNGS, *bad[1:]]))
    assert (report.rows, report.series) == (19, 12)
    assert report.left_out == {
        "collection_id: missing or not usable": 1,
        "PatientID: missing or not usable": 1,
        "StudyInstanceUID: missing or not usable": 1,
        "SeriesInstanceUID: missing or not usable": 1,
        "instanceCount: missing or not usable": 2,
        rows.TWICE: 1,
    }
    assert record_of(hub, "lung-ct").totals.instances.value == 1200


def test_padding_makes_no_second_study(hub: Hub, index_of: Make) -> None:
    padded = [{**row, "StudyInstanceUID": row["StudyInstanceUID"] + "\x00"} for row in LUNGS[:3]]
    again = [{**row, "SeriesInstanceUID": row["SeriesInstanceUID"] + "9"} for row in LUNGS[:3]]
    import_index(hub, index_of([*padded, *again]))
    assert record_of(hub, "lung-ct").totals.studies.value == 1


def test_bytes_that_are_no_text_stop_nothing(hub: Hub, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = write_index(tmp_path, LUNGS)
    table = pq.read_table(path)
    raw = pa.array([b"F\xff\xfe", *[b"F"] * 11], pa.binary()).view(pa.string())
    place = table.schema.get_field_index("PatientSex")
    pq.write_table(table.set_column(place, "PatientSex", raw), path)
    report = import_index(hub, index_at(path))
    assert (report.series, report.unknown) == (12, {"PatientSex": 1})


def test_numbers_written_as_texts_and_names_written_as_numbers_are_read(hub: Hub, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = write_index(tmp_path, LUNGS)
    table = pq.read_table(path)
    table = table.set_column(0, "collection_id", pa.array([7] * 12))
    place = table.schema.get_field_index("instanceCount")
    table = table.set_column(place, "instanceCount", pa.array(["5", "x", *["10"] * 10]))
    pq.write_table(table, path)
    report = import_index(hub, index_at(path))
    assert report.left_out == {"instanceCount: missing or not usable": 1}
    assert record_of(hub, "7").totals.instances.value == 105


def test_an_index_without_the_optional_columns_and_tables_is_read(hub: Hub, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path = write_index(tmp_path, LUNGS, about=False)
    needed = [
        "collection_id",
        "PatientID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "Modality",
        "instanceCount",
    ]
    pq.write_table(pq.read_table(path).select(needed).replace_schema_metadata(None), path)
    import_index(hub, index_at(path))
    found = record_of(hub, "lung-ct")
    assert (found.title, found.licence, found.stewardship) == ("lung_ct", None, None)
    assert found.provenance[0].source_system == "NCI Imaging Data Commons unknown, idc-index-data unknown"


def test_what_is_no_index_is_refused_and_nothing_is_published(hub: Hub, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole = write_index(tmp_path / "whole", LUNGS)
    short = tmp_path / "short.parquet"
    short.write_bytes(whole.read_bytes()[:-100])
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"collection_id": ["a"]}), other)
    for path, words in (
        (tmp_path / "none.parquet", "no file"),
        (short, "Parquet"),
        (other, "lacks the columns"),
    ):
        with pytest.raises(IndexRefused, match=words):
            import_index(hub, index_at(path))
    with reading(hub.engine) as session:
        assert session.scalar(select(func.count()).select_from(DatasetRow)) == 0


def test_two_collections_that_would_have_one_name_do_not_overwrite_each_other(
    hub: Hub, index_of: Make
) -> None:
    both = [series(1, collection_id="a_b"), series(2, collection_id="a-b"), series(3, collection_id="µ")]
    report = import_index(hub, index_of(both))
    assert {step.collection: step.outcome for step in report.steps} == {
        "a-b": Outcome.NEW,
        "a_b": Outcome.NO_NAME,
        "µ": Outcome.NO_NAME,
    }


# -- again, newer, interrupted, gone ---------------------------------------------------------------------------------


def test_the_same_index_again_changes_nothing(hub: Hub, index_of: Make, clock: Any) -> None:
    index = index_of([*LUNGS, *BRAINS])
    import_index(hub, index)
    with reading(hub.engine) as session:
        before = audit.head(session, audit.HubAudit)
    clock.advance(timedelta(days=1).total_seconds())
    report = import_index(hub, index)
    assert report.outcomes == {Outcome.UNCHANGED: 2}
    with reading(hub.engine) as session:
        assert audit.head(session, audit.HubAudit) == before
        assert session.scalar(select(func.count()).select_from(VersionRow)) == 2


def test_another_version_of_the_importer_makes_no_new_version_of_the_data(
    hub: Hub, index_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = index_of(LUNGS)
    import_index(hub, index)
    monkeypatch.setattr(record, "__version__", "99.0")
    assert import_index(hub, index).outcomes == {Outcome.UNCHANGED: 1}


def test_a_newer_index_makes_new_versions(hub: Hub, index_of: Make) -> None:
    import_index(hub, index_of([*LUNGS, *BRAINS]))
    newer = index_of([*LUNGS, series(90), *BRAINS], name="newer", version="26.0.0")
    report = import_index(hub, newer)
    assert report.outcomes == {Outcome.UPDATED: 2}
    found = record_of(hub, "lung-ct")
    assert (found.version, found.totals.series.value) == (2, 13)
    assert found.provenance[-1].source_system == "NCI Imaging Data Commons v3, idc-index-data 26.0.0"


def test_an_interrupted_import_goes_on_where_it_stopped(
    hub: Hub, index_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = index_of([*LUNGS, *BRAINS])
    publish = records.publish

    def interrupted(*given: Any, **named: Any) -> None:
        publish(*given, **named)
        if given[2].dataset == "lung-ct":
            raise KeyboardInterrupt

    monkeypatch.setattr(mirror, "publish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        import_index(hub, index)
    with reading(hub.engine) as session:
        assert set(session.scalars(select(DatasetRow.dataset))) == {"brain-mr"}
        assert set(session.scalars(select(StratumRow.iri))) == {"http://hub.test/datasets/idc/brain-mr"}
    monkeypatch.undo()
    assert import_index(hub, index).outcomes == {Outcome.UNCHANGED: 1, Outcome.NEW: 1}


def test_a_collection_that_is_gone_stays_until_its_withdrawal_is_asked_for(
    hub: Hub, client: TestClient, index_of: Make
) -> None:
    import_index(hub, index_of([*LUNGS, *BRAINS]))
    newer = index_of(BRAINS, name="newer", version="26.0.0")
    report = import_index(hub, newer)
    assert report.outcomes == {Outcome.UPDATED: 1, Outcome.GONE: 1}
    assert client.get("/datasets/idc/lung-ct").status_code == 200
    report = import_index(hub, newer, Wish(withdraw_missing=True))
    assert report.outcomes == {Outcome.UNCHANGED: 1, Outcome.WITHDRAWN: 1}
    gone = client.get("/datasets/idc/lung-ct")
    assert (gone.status_code, gone.json()["reason"]) == (410, "access_lost")
    # Withdrawn is withdrawn: an index that has it again does not bring it back, and stops at nothing.
    report = import_index(hub, index_of([*LUNGS, *BRAINS], name="third", version="27.0.0"))
    assert report.outcomes == {Outcome.UPDATED: 1, Outcome.STAYS_WITHDRAWN: 1}


def test_a_part_of_the_index_withdraws_nothing(hub: Hub, index_of: Make) -> None:
    index = index_of([*LUNGS, *BRAINS])
    import_index(hub, index)
    assert import_index(hub, index, Wish(collections=("LUNG_CT",))).outcomes == {Outcome.UNCHANGED: 1}
    assert import_index(hub, index, Wish(limit=1)).outcomes == {Outcome.UNCHANGED: 1}


def test_only_what_was_named_is_imported(hub: Hub, index_of: Make) -> None:
    index = index_of([*LUNGS, *BRAINS])
    report = import_index(hub, index, Wish(collections=("brain_mr",)))
    assert [(step.collection, step.outcome, step.series) for step in report.steps] == [
        ("brain_mr", Outcome.NEW, 2)
    ]
    with pytest.raises(UnknownCollection, match="'livers'"):
        import_index(hub, index, Wish(collections=("lung_ct", "livers")))
    with reading(hub.engine) as session:
        assert session.scalar(select(func.count()).select_from(DatasetRow)) == 1


# -- the node of the mirror ------------------------------------------------------------------------------------------


def test_a_biobank_with_the_name_of_the_mirror_is_not_written_over(
    hub: Hub, index_of: Make, node_named: Make
) -> None:
    node_named("idc")
    with pytest.raises(MirrorRefused, match="does not have the mirror's key"):
        import_index(hub, index_of(LUNGS))


def test_a_mirror_that_was_shut_out_publishes_nothing(hub: Hub, index_of: Make) -> None:
    from fairbank.catalogue import nodes

    import_index(hub, index_of(LUNGS))
    with writing(hub.engine) as session:
        nodes.shut_out(session, hub, node="idc", actor="operator")
    with pytest.raises(MirrorRefused, match="was shut out"):
        import_index(hub, index_of([*LUNGS, series(40)], name="newer"))


def test_nobody_enrols_with_the_name_of_the_mirror(hub: Hub, index_of: Make, node_named: Make) -> None:
    from fairbank.catalogue.errors import NodeNameTaken

    import_index(hub, index_of(LUNGS))
    with pytest.raises(NodeNameTaken):
        node_named("idc")
    key = hub.settings.keys_path / mirror.KEY_FILE
    assert key.stat().st_mode & 0o077 == 0


def asked(client: TestClient, hub: Hub, who: Any) -> Any:
    envelope = a_request(hub, who, (LUNG,)).seal(who.key)
    return client.post("/v1/requests", content=envelope, headers=who.headers)


def test_access_to_a_mirrored_dataset_cannot_be_asked_for(
    hub: Hub, client: TestClient, index_of: Make, person_named: Make
) -> None:
    rita = person_named("rita", Role.RESEARCHER)
    import_index(hub, index_of(LUNGS))
    answer = asked(client, hub, rita)
    assert (answer.status_code, answer.json()["code"]) == (422, "FB-CAT-093")


def test_a_biobank_that_is_called_like_the_mirror_can_be_asked(
    hub: Hub, client: TestClient, published: Make, person_named: Make
) -> None:
    published("lung-ct", node="idc")
    answer = asked(client, hub, person_named("rita", Role.RESEARCHER))
    assert answer.status_code == 201, answer.text


# -- by every way that the catalogue has -----------------------------------------------------------------------------


def test_what_was_imported_is_found_by_search_sparql_and_ldp(
    hub: Hub, client: TestClient, projector: Projector, index_of: Make
) -> None:
    import_index(hub, index_of([*LUNGS, *BRAINS]))
    projector.project()
    for asked in (
        {"q": "non-small"},
        {"modality": "CT"},
        {"licence": CC_BY},
        {"holds": "manufacturer-model=Sensation 16"},
    ):
        found = client.get("/search", params={"node": "idc", **asked}).json()
        assert LUNG in [each["iri"] for each in found["datasets"]], asked
    query = (
        f"SELECT ?dataset ?series WHERE {{ ?cell <{FB}ofDataset> ?dataset ; <{FB}modality> 'CT' ; "
        f"<{FB}seriesCount> ?series . ?dataset <http://purl.org/dc/terms/license> <{CC_BY}> }}"
    )
    answer = client.get("/sparql", params={"query": query}).json()["results"]["bindings"]
    assert [(row["dataset"]["value"], row["series"]["value"]) for row in answer] == [(LUNG, "12")]
    catalog = client.get("/catalog/idc", headers={"Accept": "application/n-triples"}).text
    assert f"<http://www.w3.org/ns/ldp#contains> <{LUNG}>" in catalog


def test_images_that_are_open_are_not_said_to_stay_at_a_biobank(
    hub: Hub, client: TestClient, projector: Projector, index_of: Make
) -> None:
    import_index(hub, index_of(LUNGS))
    projector.project()
    page = "https://doi.org/10.7937/k9/tcia.lung"
    for params in (
        {},
        {"profile": "dcat-ap-3.0.1"},
        {"profile": "eucaim-dcat-ap-2.0"},
        {"profile": "fdp-1.2"},
    ):
        said = client.get(
            "/datasets/idc/lung-ct", params=params, headers={"Accept": "application/n-triples"}
        ).text
        assert f"<{LUNG}#open> <http://www.w3.org/ns/dcat#accessURL> <{page}>" in said, params
        assert "IN_SITU" not in said and "in-situ" not in said and "biobank" not in said, params
    assert client.get("/datasets/idc/lung-ct/distributions/open").status_code == 200
    assert client.get("/datasets/idc/lung-ct/distributions/in-situ").status_code == 404
    query = f"SELECT ?at {{ <{LUNG}#open> <http://www.w3.org/ns/dcat#accessURL> ?at }}"
    answer = client.get("/sparql", params={"query": query}).json()["results"]["bindings"]
    assert [row["at"]["value"] for row in answer] == [page]


@pytest.mark.parametrize("about", [True, False])
def test_what_was_imported_has_no_violation_in_the_open_profiles(
    hub: Hub, client: TestClient, index_of: Make, about: bool
) -> None:
    import pyshacl
    import rdflib

    import_index(hub, index_of([*LUNGS, *BRAINS], about=about))
    for profile in ("dcat-ap-3.0.1", "fdp-1.2"):
        shapes = client.get(f"/profiles/{profile}", headers={"Accept": "text/turtle"}).text
        for dataset in ("lung-ct", "brain-mr"):
            path = f"/datasets/idc/{dataset}"
            card = client.get(f"{path}/quality", params={"profile": profile}).json()["profiles"][0]
            assert card["violations"] == 0
            document = client.get(path, params={"profile": profile}, headers={"Accept": "text/turtle"}).text
            _, found, _ = pyshacl.validate(
                rdflib.Graph().parse(data=document), shacl_graph=rdflib.Graph().parse(data=shapes)
            )
            severities = {str(each) for each in found.objects(None, rdflib.SH.resultSeverity)}
            assert str(rdflib.SH.Violation) not in severities


def test_the_sealed_record_in_the_database_verifies_with_the_mirror_s_key_only(
    hub: Hub, index_of: Make
) -> None:
    from fairbank.signing import BadEnvelope

    import_index(hub, index_of(LUNGS))
    with reading(hub.engine) as session:
        envelope = session.scalars(select(VersionRow.envelope)).one()
    assert DatasetRecord.open(envelope, trusted=[mirror.mirror_key(hub).key_id])
    with pytest.raises(BadEnvelope):
        DatasetRecord.open(envelope, trusted=[hub.key.key_id])


def test_the_real_index_is_read_whole(hub: Hub) -> None:
    index = installed_index()
    report = import_index(hub, replace(index), Wish(collections=("lidc_idri", "4d_lung")))
    assert report.outcomes == {Outcome.NEW: 2}
    assert report.rows > 1_000_000 and not report.left_out
    found = record_of(hub, "lidc-idri")
    assert (found.totals.subjects.value or 0) >= 1010
    assert {cell.modality for cell in found.cube} >= {"CT", "SEG", "SR"}
    graph = [ox.NamedNode(page) for page in (found.stewardship.sources if found.stewardship else ())]
    assert graph
