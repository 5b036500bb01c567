"""`dataset describe` at a node and `catalogue validate` against a hub that runs."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from fairbank.catalogue import nodes, records
from fairbank.catalogue.context import Hub, init_hub
from fairbank.clock import SystemClock
from fairbank.database import writing
from fairbank.ontology.counts import Count
from fairbank.ontology.record import (
    Activity,
    ActivityKind,
    CollectionKind,
    DatasetRecord,
    Distribution,
    HowKnown,
    Stratum,
    Totals,
)  # fmt: skip
from fairbank.ontology.stewardship import Guideline, Organisation, Stewardship
from fairbank.settings import Settings
from fairbank.signing import SigningKey
from fairbank.web.hub_app import create_app

Run = Callable[..., Any]
R8 = "healthdcat-ap-r8-non-public"
TERM = "https://vocabulary.test/term"
ENOUGH = Stewardship(
    contact_email="data@alpha.test",
    publisher_page="https://alpha.test",
    hdab=Organisation(name="Access body", email="access@body.test"),
    dataset_types=(TERM,),
    condition=TERM,
    collection_methods=(TERM,),
    interoperability_level=TERM,
    conditions=("lung-cancer",),
    annotation_guideline=Guideline(title="How lesions are drawn"),
    biomarkers=("suv",),
    omics_held=True,
)


def record(dataset: str, said: Stewardship | None) -> DatasetRecord:
    return DatasetRecord(
        node="alpha",
        dataset=dataset,
        version=1,
        title="Lungs",
        description="Chest CT.",
        keywords=("lung",),
        publisher="Alpha Biobank",
        collection_kind=CollectionKind.CLINICAL,
        minimum_count=10,
        totals=Totals(
            subjects=Count.exact(60),
            studies=Count.exact(70),
            series=Count.exact(80),
            instances=Count.exact(900),
        ),
        cube=(
            Stratum(
                modality="CT",
                body_part="CHEST",
                manufacturer="GE",
                slice_thickness="<1",
                series=Count.exact(80),
                studies=Count.exact(70),
                subjects=Count.exact(60),
            ),
        ),
        distributions=(
            Distribution(attribute="sex", value="F", how_known=HowKnown.HEADER, subjects=Count.exact(60)),
        ),
        provenance=(
            Activity(
                kind=ActivityKind.HARVEST,
                tool="fairbank harvest",
                tool_version="0.1.0",
                agent="curator",
                started="2026-01-01T11:00:00.000Z",
                ended="2026-01-01T12:00:00.000Z",
            ),
        ),
        stewardship=said,
        created="2026-01-01T12:00:00.000Z",
    )


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = init_hub(Settings(home=tmp_path / "hub"), SystemClock(), public_base_iri="http://hub.test")
    key = SigningKey.generate()
    with writing(made.engine) as session:
        token = nodes.invite(session, made, actor="admin")
    nodes.enrol(made, nodes.Enrolment(node="alpha", key=key.key_id, token=token, title="Alpha"))
    with writing(made.engine) as session:
        for dataset, said in (("bare", None), ("told", ENOUGH)):
            opened, sealed = DatasetRecord.open(record(dataset, said).seal(key), trusted=[key.key_id])
            records.publish(session, made, opened, sealed)
    yield made
    made.queries.close()
    made.engine.dispose()


@pytest.fixture
def url(hub: Hub, free_port: int) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(create_app(hub), port=free_port, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{free_port}"
    hub.notifier.close()
    server.should_exit = server.force_exit = True
    thread.join(timeout=20)


def test_what_is_missing_is_listed_and_ends_with_one(fairbank: Run, url: str) -> None:
    ran = fairbank("--hub", url, "catalogue", "validate", "alpha/bare", "--profile", R8, "--format", "json")
    assert ran.code == 1
    rows = json.loads(ran.out)
    violations = [row for row in rows if row["severity"] == "violation"]
    assert ("healthdcatap:hdab", "curator", "hdab") in [
        (r["property"], r["filler"], r["field"]) for r in violations
    ]
    assert f"{R8}: {len(violations)} violations" in ran.err
    assert {row["state"] for row in rows} == {"missing"}


def test_a_dataset_that_is_told_enough_of_passes_every_profile_of_its_level(fairbank: Run, url: str) -> None:
    ran = fairbank("--hub", url, "catalogue", "validate", "alpha/told", "--format", "csv").ok()
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert {row["severity"] for row in rows} == {"warning", "info"}
    assert "healthdcat-ap-r8-public" not in ran.err and "eucaim-dcat-ap-2.0: 0 violations" in ran.err


def test_a_profile_of_another_level_is_judged_when_it_is_named(fairbank: Run, url: str) -> None:
    words = (
        "catalogue",
        "validate",
        "alpha/told",
        "--profile",
        "healthdcat-ap-r8-public",
        "--format",
        "json",
    )
    ran = fairbank("--hub", url, *words)
    assert ran.code == 1
    assert [row["property"] for row in json.loads(ran.out) if row["state"] == "unfit"] == ["dct:accessRights"]


def test_a_file_is_judged_without_a_hub(fairbank: Run, tmp_path: Path) -> None:
    file = tmp_path / "d.ttl"
    file.write_text(
        "@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> ."
        '<https://x.test/d> a dcat:Dataset ; dct:title "T" .'
    )
    words = ("catalogue", "validate", "--from", file, "--profile", "dcat-ap-3.0.1", "--format", "json")
    ran = fairbank(*words)
    assert ran.code == 1 and "dcat-ap-3.0.1: 1 violations" in ran.err
    violations = [row for row in json.loads(ran.out) if row["severity"] == "violation"]
    assert [(row["property"], row["filler"], row["subject"]) for row in violations] == [
        ("dct:description", "curator", "https://x.test/d")
    ]
    file.write_text(file.read_text().replace('"T"', '"T" ; dct:description "D"'))
    fairbank(*words).ok()
    file.write_text("")
    fairbank(*words).refused("FB-CAT-078", code=2)
    assert fairbank("catalogue", "validate").code == 2
    assert fairbank("catalogue", "validate", "alpha/told", "--from", file).code == 2


def test_what_is_met_is_shown_on_demand(fairbank: Run, url: str) -> None:
    words = ("catalogue", "validate", "alpha/told", "--profile", "fdp-1.2", "--all")
    assert "dct:title" in fairbank("--hub", url, *words).ok().out
    assert "dct:title" not in fairbank("--hub", url, *words[:-1]).ok().out


def test_an_unknown_profile_or_dataset_is_told(fairbank: Run, url: str) -> None:
    fairbank("--hub", url, "catalogue", "validate", "alpha/told", "--profile", "r5").refused("FB-ONT-003", R8)
    fairbank("--hub", url, "catalogue", "validate", "alpha/none").refused("FB-CAT-041")


def test_a_curator_fills_in_a_template_and_the_node_keeps_it(fairbank: Run, tmp_path: Path) -> None:
    fairbank("node", "init", "--name", "alpha").ok()
    words = ("--project", "p", "--title", "T", "--description", "D", "--access-rights", "RESTRICTED")
    fairbank("dataset", "define", "lungs", *words).ok()
    template = fairbank("dataset", "describe", "--template").ok().out
    file = tmp_path / "lungs.toml"
    file.write_text(template.replace('# contact_email = ""', 'contact_email = "data@alpha.test"'))
    assert "harvest preview lungs" in fairbank("dataset", "describe", "lungs", "--from", file).ok().err
    fairbank("dataset", "describe", "other", "--from", file).refused("FB-HARV-009")
    file.write_text('colour = "red"')
    fairbank("dataset", "describe", "lungs", "--from", file).refused("FB-ONT-002", "colour", code=2)
    fairbank("dataset", "describe", "lungs", "--from", tmp_path / "none").refused("FB-CLI-004", code=2)
    assert fairbank("dataset", "describe", "lungs").code == 2


def test_a_search_and_a_dataset_show_conditions_by_name(fairbank: Run, url: str) -> None:
    found = fairbank("--hub", url, "search", "--condition", "lung-disease").ok()
    assert "alpha/told" in found.out and "Lung cancer" in found.out and "alpha/bare" not in found.out
    assert "told" not in fairbank("--hub", url, "search", "--condition", "lung-disease", "--exact").ok().out
    facets = fairbank("--hub", url, "search", "--facets", "--format", "json").ok()
    assert {
        "facet": "condition",
        "value": "lung-cancer",
        "label": "Lung cancer",
        "datasets": 1,
    } in json.loads(facets.out)
    shown = " ".join(fairbank("--hub", url, "dataset", "show", "alpha/told").ok().out.split())
    for words in (
        "conditions Lung cancer", "annotation_guideline title How lesions are drawn",
        "biomarkers Standardized Uptake Value", "omics_held yes", "health_records_held ",
    ):  # fmt: skip
        assert words in shown, words


def test_a_condition_that_is_in_no_list_is_told_with_its_neighbours(fairbank: Run, tmp_path: Path) -> None:
    fairbank("node", "init", "--name", "alpha").ok()
    fairbank("dataset", "define", "lungs", "--project", "p", "--title", "T", "--description", "D").ok()
    file = tmp_path / "lungs.toml"
    file.write_text('conditions = ["lung cancr"]')
    fairbank("dataset", "describe", "lungs", "--from", file).refused("FB-ONT-020", "lung-cancer", code=2)
    file.write_text('conditions = ["NSCLC"]\nplanned_follow_up = "P5Y"\n[annotation_guideline]\ntitle = "G"')
    fairbank("dataset", "describe", "lungs", "--from", file).ok()


def test_an_access_right_that_there_is_not_is_a_misuse(fairbank: Run) -> None:
    words = ("--project", "p", "--title", "T", "--description", "D", "--access-rights", "SECRET")
    ran = fairbank("dataset", "define", "lungs", *words)
    assert ran.code == 2 and "NON_PUBLIC" in ran.err
