"""Three biobanks with two Orthancs and one XNAT: harvested, published to a hub, and counted there in SPARQL."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.dataset import Dataset
from tests.harvest.conftest import bundled, served
from tests.harvest.servers import ORTHANC_AE, PASSWORD, USER, Orthanc, running_orthanc

from fairbank.catalogue import nodes
from fairbank.catalogue.context import Hub, init_hub
from fairbank.catalogue.projector import Projector
from fairbank.clock import SystemClock
from fairbank.database import writing
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.described import IDENTIFYING
from fairbank.harvest.publishing import publish
from fairbank.harvest.xnat_standin.app import create_app as create_standin
from fairbank.ontology.record import CollectionKind
from fairbank.release.hub_client import HubClient
from fairbank.release.node import enrol, init_node, open_node
from fairbank.release.outbox import Outbox
from fairbank.settings import Settings
from fairbank.web.hub_app import create_app

pytestmark = pytest.mark.orthanc
SMALLEST = 5
# Subjects, studies of each, series of each study; in fives, so that no rounding changes them.
HOLDINGS = {
    "alpha": ("CT_small.dcm", 5, 1, 2),
    "beta": ("MR_small.dcm", 10, 1, 1),
    "gamma": ("CT_small.dcm", 5, 2, 1),
}
COUNTS = """
SELECT ?name ?subjects ?studies ?series WHERE {
  ?dataset a dcat:Dataset ; dct:identifier ?name ;
           fb:subjectCount ?subjects ; fb:studyCount ?studies ; fb:seriesCount ?series .
} ORDER BY ?name
"""


def images(site: str, folder: Path) -> list[Path]:
    """Write what a site holds: images that were de-identified before they came into its archive."""
    name, subjects, studies, series = HOLDINGS[site]
    original = pydicom.dcmread(bundled(name))
    for keyword in IDENTIFYING:
        if keyword in original:
            delattr(original, keyword)
    original.remove_private_tags()
    original.PatientIdentityRemoved, original.BurnedInAnnotation = "YES", "NO"
    original.DeidentificationMethod = "made for tests"
    return [
        _image(original, site, (subject, study, number), folder)
        for subject in range(subjects)
        for study in range(studies)
        for number in range(series)
    ]


def _image(original: Dataset, site: str, place: tuple[int, int, int], folder: Path) -> Path:
    dataset = copy.deepcopy(original)
    subject, study, number = place
    root = f"1.2.826.0.1.{sum(map(ord, site))}.{subject + 1}"
    dataset.PatientID = dataset.PatientName = f"{site}-{subject}"
    dataset.StudyInstanceUID = f"{root}.{study + 1}"
    dataset.SeriesInstanceUID = f"{root}.{study + 1}.{number + 1}"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = (
        f"{root}.{study + 1}.{number + 1}.1"
    )
    path = folder / f"{subject}-{study}" / f"{number}.dcm"
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path)
    return path


@pytest.fixture
def second_orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    (tmp_path / "second").mkdir()
    with running_orthanc(tmp_path / "second") as server:
        yield server


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    settings = Settings(home=tmp_path / "hub", release_minimum_count=SMALLEST)
    made = init_hub(settings, SystemClock(), public_base_iri="http://hub.test")
    yield made
    made.queries.close()
    made.engine.dispose()


def as_orthanc_counts(server: Orthanc) -> tuple[int, int, int]:
    said = server.get("/statistics")
    return said["CountPatients"], said["CountStudies"], said["CountSeries"]


def as_xnat_counts(url: str, project: str) -> tuple[int, int, int]:
    with httpx.Client(base_url=url, auth=(USER, PASSWORD), trust_env=False) as client:

        def rows(path: str, **question: str) -> list[dict[str, str]]:
            answer = client.get(path, params={"format": "json", **question}).raise_for_status()
            found: list[dict[str, str]] = answer.json()["ResultSet"]["Result"]
            return found

        subjects = rows(f"/data/projects/{project}/subjects")
        sessions = rows(f"/data/projects/{project}/experiments")
        scans = [scan for session in sessions for scan in rows(f"/data/experiments/{session['ID']}/scans")]
        return len(subjects), len(sessions), len(scans)


def test_the_counts_of_three_archives_are_those_that_sparql_gives(
    orthanc: Orthanc,
    second_orthanc: Orthanc,
    hub: Hub,
    secret_file: Path,
    fairbank: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAIRBANK_RELEASE_MINIMUM_COUNT", str(SMALLEST))
    monkeypatch.setenv("FAIRBANK_HARVEST_REQUESTS_PER_S", "1000")
    secret_file.write_text(PASSWORD)
    orthanc.clear()
    assert len(orthanc.load(images("alpha", tmp_path / "alpha-files"))) == 10
    assert len(second_orthanc.load(images("beta", tmp_path / "beta-files"))) == 10
    images("gamma", tmp_path / "xnat" / "GAMMA")
    login = ("--user", USER, "--password-file", secret_file)
    with served(create_standin(tmp_path / "xnat")) as xnat, served(create_app(hub)) as address:
        dimse = f"127.0.0.1:{second_orthanc.dicom_port}"
        sources = {
            "alpha": (orthanc.dicomweb, "--kind", "dicomweb", "--option", "orthanc=/", *login),
            "beta": (dimse, "--kind", "dimse", "--option", f"called_ae={ORTHANC_AE}"),
            "gamma": (xnat, "--option", "marks=header", *login),
        }
        containers = {"alpha": ".", "beta": ".", "gamma": "GAMMA"}
        for site, words in sources.items():
            home = tmp_path / site
            settings = Settings(home=home, release_minimum_count=SMALLEST)
            node = init_node(settings, SystemClock(), name=site)
            with writing(hub.engine) as session:
                token = nodes.invite(session, hub, actor="admin")
            enrol(node, hub_url=address, token=token, hub_key=hub.key.public.fingerprint)
            fairbank("node", "source", "add", "archive", *words, home=home).ok()
            basis = ("node", "consent", "basis", "all", "anonymous-data", "--note", "made for tests")
            fairbank(*basis, home=home).ok()
            fairbank("harvest", "run", "archive", containers[site], "--project", "all", home=home).ok()
            node = open_node(settings, SystemClock())
            said = Description(f"Images of {site}", "Made for tests.", CollectionKind.TEST)
            define_dataset(node, "all", project="all", description=said)
            release = publish(node, "all").release
            # A dataset's first record waits for the curator.
            fairbank("node", "outbox", "approve", release.id, "--why", "looked at", home=home).ok()
            Outbox(node, HubClient.of(node)).send(release.id)
        projector = Projector(hub)
        assert projector.open()
        projector.project()
        projector.close()
        answer = httpx.get(f"{address}/sparql", params={"query": COUNTS}, trust_env=False).raise_for_status()
        rows = answer.json()["results"]["bindings"]
        seen = {
            row["name"]["value"]: tuple(int(row[key]["value"]) for key in ("subjects", "studies", "series"))
            for row in rows
        }
        assert seen == {
            "alpha/all": as_orthanc_counts(orthanc),
            "beta/all": as_orthanc_counts(second_orthanc),
            "gamma/all": as_xnat_counts(xnat, "GAMMA"),
        }
    expected = {f"{site}/all": (n, n * m, n * m * k) for site, (_, n, m, k) in HOLDINGS.items()}
    assert seen == expected
