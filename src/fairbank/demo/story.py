"""The story of the demo: three biobanks go from raw DICOM to a federated model that a committee allowed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import JsonValue

from fairbank.clock import Clock, iso
from fairbank.database import reading
from fairbank.demo.biobanks import Biobank, DemoError
from fairbank.demo.federation import DEMO_K, MEMBER, RESEARCHER, SECOND, SOURCE, Federation, Places, Site
from fairbank.demo.pooled import Comparison, compare
from fairbank.demo.processes import Processes
from fairbank.demo.report import AnalysisReport, DemoReport, TrainingReport
from fairbank.demo.telling import Teller
from fairbank.federated_jobs.node.approval import Consent, approve
from fairbank.federated_jobs.node.reporting import report_decisions
from fairbank.federated_jobs.node.reviewing import review
from fairbank.harvest.consent import LegalBasis
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.index import index_store
from fairbank.harvest.legal_basis import record_basis
from fairbank.harvest.publishing import publish
from fairbank.harvest.runs import PullOrder, pull
from fairbank.ontology.counts import total
from fairbank.ontology.record import CollectionKind, DatasetRecord
from fairbank.release import ledger
from fairbank.release.hub_client import HubClient
from fairbank.release.outbox import Outbox
from fairbank.release.outbox_review import Decision, decide
from fairbank.release.releases import Release
from fairbank.signing import Sealed
from fairbank.web.acts import Wish, grant, request_access, send_job
from fairbank.web.api_client import HubApi

STUDY = "What do these collections hold, and can one model learn from all of them?"
PARAMETERS: dict[str, JsonValue] = {
    "image_size": 32,
    "width": 16,
    "batch_size": 4,
    "local_epochs": 4,
    "learning_rate": "0.003",
}
ROUNDS = 10
SEED = "20261121"
RUNS = 10
WAIT_S = 180.0
CUBE_QUERY = """
PREFIX fb: <https://w3id.org/fairbank/terms#>
SELECT ?dataset ?modality ?manufacturer ?series ?below WHERE {
  ?cell fb:ofDataset ?dataset ; fb:modality ?modality ; fb:manufacturer ?manufacturer .
  OPTIONAL { ?cell fb:seriesCount ?series }
  OPTIONAL { ?cell fb:seriesCountBelow ?below }
} ORDER BY ?dataset ?modality ?manufacturer
"""
MODELS_QUERY = """
PREFIX fb: <https://w3id.org/fairbank/terms#>
PREFIX prov: <http://www.w3.org/ns/prov#>
SELECT ?model ?digest ?code WHERE {
  ?model a fb:Model ; fb:digest ?digest ; prov:wasGeneratedBy ?training .
  ?training prov:used <%s> ; fb:codeName ?code .
}
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What a person may choose."""

    places: Places
    rounds: int = ROUNDS


class Story:
    """Tells the whole story and fills the report on the way."""

    def __init__(self, options: Options, processes: Processes, teller: Teller, clock: Clock) -> None:
        self.federation = Federation(options.places, processes, clock)
        self.report = DemoReport(k=DEMO_K)
        self._rounds = options.rounds
        self._clock = clock
        self._teller = teller
        self._records: list[DatasetRecord] = []

    def tell(self) -> DemoReport:
        """Run every step; the report is complete at the end."""
        self._set_up()
        self._publish()
        researcher = self.federation.person(RESEARCHER)
        self._search(researcher)
        visa = self._get_access(researcher)
        self._analyse(researcher, visa)
        self._train(researcher, visa)
        self._provenance(researcher)
        self._what_left()
        self.report.seconds_total = self._teller.seconds
        return self.report

    def _set_up(self) -> None:
        federation = self.federation
        with self._teller.step("A hub and three biobanks start, each with its own archive and keys") as line:
            federation.start_hub()
            files = federation.start_archives()
            federation.start_nodes()
            federation.set_up_committee()
            for site in federation.sites:
                line(
                    f"{site.biobank.title}: {files[site.biobank.name]} DICOM files, with names, dates and all"
                )
        self.report.nodes = len(federation.sites)
        self.report.files = sum(files.values())

    def _publish(self) -> None:
        for site in self.federation.sites:
            with self._teller.step(f"{site.biobank.title} de-identifies, harvests and publishes") as line:
                record, release, held = _publish_at(site)
                line("legal basis recorded: anonymous-data (public test images)")
                waits = f"the dataset's first record waits: {release.state.value}, {release.size_bytes} bytes"
                _approve_record(site, release)
                self._records.append(record)
                self.report.held += held
                totals = record.totals
                line(f"{waits}; {site.biobank.curator}, the curator, approves it")
                line(
                    f"{totals.series} series of {totals.subjects} subjects published; {held} files held in quarantine"
                )
        self.report.datasets = len(self._records)
        series = total(record.totals.series for record in self._records)
        subjects = total(record.totals.subjects for record in self._records)
        self.report.series, self.report.subjects = series.at_least, subjects.at_least
        self.report.published = f"{series.in_full()} series of {subjects.in_full()} subjects"
        cells = [cell for record in self._records for cell in record.cube]
        self.report.cells = len(cells)
        self.report.cells_suppressed = sum(cell.subjects.value is None for cell in cells)

    def _search(self, researcher: HubApi) -> None:
        with self._teller.step("A researcher searches, and asks in SPARQL") as line:
            found = _until(lambda: _all_found(researcher, len(self._records)), "the datasets to appear")
            totals = {what: total["text"].partition(";")[0] for what, total in found["totals"].items()}
            line(
                f"search: {found['count']} datasets; "
                + ", ".join(f"{what} {text}" for what, text in totals.items())
            )
            rows = _until(lambda: _bindings(researcher, CUBE_QUERY), "the RDF view to hold the datasets")
            self.report.sparql_rows = len(rows)
            for text in list(dict.fromkeys(map(_cell_text, rows)))[:4]:
                line(f"SPARQL: {text}")

    def _get_access(self, researcher: HubApi) -> Sealed:
        with self._teller.step("She asks for access; two of the committee grant it until a date") as line:
            now = self._clock.now()
            wish = Wish(
                title="First federated study",
                datasets=[self._iri(site.biobank) for site in self.federation.sites],
                data_use=["DUO:0000006"],
                statement=STUDY,
                output_classes=["measurements", "model-update"],
                until=now + timedelta(days=90),
            )
            asked = str(request_access(researcher, wish)["id"])
            self._vote(asked, line, until=iso(now + timedelta(days=30)))
            granted = researcher.get(f"/v1/requests/{asked}", signed_in=True)
            self.report.request_state = str(granted["standing"])
            visa = grant(researcher, asked)
            ends = max(str(each["expires"]) for each in granted["legs"])[:10]
            count = len(granted["legs"])
            line(f"request {granted['standing']} until {ends}; the hub signs a visa over {count} datasets:")
            line(f"{visa.digest[:23]}…, for her key alone, {RUNS} runs, measurements and model updates")
            return visa

    def _vote(self, asked: str, line: Callable[[str], None], *, until: str) -> None:
        """Let the chair propose terms and approve them, and a second member, whose eyes they need, as well."""
        first, second = self.federation.person(MEMBER), self.federation.person(SECOND)
        for match in first.get(f"/v1/requests/{asked}", signed_in=True)["matches"]:
            line(f"her purpose and the terms of {match['dataset'].rpartition('/')[2]}: {match['verdict']}")
        said = "Fits the consent of all three collections."
        proposed = {"schema": "approval/1", "request": asked, "terms": {"until": until, "maximum_runs": RUNS}}
        first.post("/v1/reviews/approvals", proposed | {"comment": said}, signed_in=True)
        waiting = first.get(f"/v1/requests/{asked}", signed_in=True)["standing"]
        line(f"{MEMBER} proposes terms and approves them: {waiting}, for four eyes are needed")
        vote = {"schema": "votes/1", "ids": [asked], "word": "approve", "comment": ""}
        second.post("/v1/reviews/votes", vote, signed_in=True)
        line(f"{SECOND} approves as well")

    def _analyse(self, researcher: HubApi, visa: Sealed) -> None:
        with self._teller.step(
            "An analysis travels to the images; at each site a person approves it with a key of her own"
        ) as line:
            _, sent = send_job(researcher, visa, "intensity-geometry", {}, title="Intensity and geometry")
            self._approve_everywhere(sent["id"], line)
            self._finish(researcher, sent["id"])
            folder = self.federation.home / "results"
            files = _fetch(researcher, sent["id"], folder)
            table = json.loads((folder / "table.json").read_text())
            received = researcher.get(f"/v1/jobs/{sent['id']}/results", signed_in=True)["received"]
            self.report.analysis = AnalysisReport(
                sites=len({one["node"] for one in received}),
                rows=len(table["rows"]),
                plot=str(folder / "plot.svg") if "plot.svg" in files else "",
                table=str(folder / "table.csv"),
            )
            line(f"{len(table['rows'])} rows of measurements came back; no image did")
        self.report.seconds_to_first_result = self._teller.seconds

    def _train(self, researcher: HubApi, visa: Sealed) -> None:
        with self._teller.step("A network trains at all three sites; only weights travel") as line:
            begun = time.monotonic()
            manifest, sent = send_job(
                researcher,
                visa,
                "slice-autoencoder",
                dict(PARAMETERS),
                title="Denoising autoencoder",
                rounds=self._rounds,
                seed=SEED,
            )
            self._approve_everywhere(sent["id"], line)
            ends = self._finish(researcher, sent["id"])
            seconds = time.monotonic() - begun
            models = researcher.get("/v1/models", signed_in=True)["models"]
            final = next(model for model in models if model["job"] == sent["id"] and model["final"])
            path = researcher.download(
                final["digest"], self.federation.home / "results" / "model.safetensors"
            )
            steps = [after - before for before, after in pairwise(ends)]
            line(f"{final['rounds']} rounds in {seconds:.1f} s; the model has {final['size_bytes']} bytes")
        with self._teller.step("The same network trains on pooled data, for comparison") as line:
            outcome = compare(
                Comparison(self.federation.sites, sent["id"], dict(PARAMETERS), SEED, self._rounds, path),
                self.federation.home / "pooled",
            )
            line(f"held-out PSNR: federated {outcome.federated:.2f} dB, pooled {outcome.centralised:.2f} dB")
        self.report.training = TrainingReport(
            rounds=manifest.plan.rounds,
            federated_metric=round(outcome.federated, 3),
            centralised_metric=round(outcome.centralised, 3),
            untrained_metric=round(outcome.untrained, 3),
            seconds_per_round=round(median(steps or [seconds]), 3),
            seconds_training=round(seconds, 3),
            model=str(final["digest"]),
        )

    def _provenance(self, researcher: HubApi) -> None:
        first = self._iri(self.federation.sites[0].biobank)
        with self._teller.step("Which models were trained on the first dataset? SPARQL answers") as line:
            rows = _until(
                lambda: _bindings(researcher, MODELS_QUERY % first), "the model's provenance to appear"
            )
            self.report.provenance_models = len(rows)
            for row in rows:
                line(f"{row['digest']['value'][:23]}… by {row['code']['value']}")

    def _what_left(self) -> None:
        with self._teller.step("What left each site, by class, from its own ledger") as line:
            for site in self.federation.sites:
                with reading(site.node.engine) as session:
                    left = ledger.bytes_by_class(session)
                counted = {door.value: traffic.size_bytes for door, traffic in left.items()}
                self.report.released[site.biobank.name] = counted
                line(
                    f"{site.biobank.title}: "
                    + ", ".join(f"{name} {size} B" for name, size in counted.items())
                )

    def _approve_everywhere(self, job: str, line: Callable[[str], None]) -> None:
        for site in self.federation.sites:
            found = _until(lambda site=site: _waiting(site, job), f"the job to reach {site.biobank.name}")  # type: ignore[misc]
            approve(site.node, job, Consent(by=site.biobank.curator, signer=site.curator))
            report_decisions(site.node, Outbox(site.node, HubClient.of(site.node)))
            line(
                f"{site.biobank.title}: {site.biobank.curator} looks at it and approves it for {found.series} series"
            )

    def _finish(self, researcher: HubApi, job: str) -> list[float]:
        """Follow a job to its end; return when each round was seen to end."""
        moments: list[float] = []
        last, state = 1, ""
        for view in researcher.watch_job(job):
            state = view["state"]
            if view["round"] > last or state == "completed":
                last = view["round"]
                moments.append(time.monotonic())
        if state != "completed":
            raise DemoError(
                f"A job of the demo ended as {state}.",
                why="See the reasons by site: "
                + ", ".join(f"{one['node']} {one['reason']}" for one in view["sites"]),
                todo=f"Look into {self.federation.home / 'logs'}.",
            )
        return moments

    def _iri(self, biobank: Biobank) -> str:
        return f"{self.federation.hub_url}/datasets/{biobank.name}/{biobank.dataset}"


def _publish_at(site: Site) -> tuple[DatasetRecord, Release, int]:
    """Pull, index and publish a biobank's collection; return its record and how many files are held."""
    from fairbank.deid.policies import PixelTrust

    biobank, node = site.biobank, site.node
    project = biobank.project.lower()
    runs = [(biobank.project, PixelTrust.STRICT)]
    if biobank.reviewed_project is not None:
        runs.append((biobank.reviewed_project, PixelTrust.REVIEWED))
    # Test images of pydicom: nobody's data, so nobody's consent.
    record_basis(node, project, LegalBasis.ANONYMOUS_DATA, note="public test images", by=biobank.curator)
    done = 0
    for container, trust in runs:
        order = PullOrder(
            source=SOURCE, container=container, project=project, agent=biobank.curator, trust=trust
        )
        done += pull(node, order).files.get("ok", 0)
    description = Description(
        title=biobank.dataset_title,
        description=biobank.description,
        collection_kind=CollectionKind.TEST,
        data_use=("DUO:0000042",),
        keywords=("demonstration", *sorted(biobank.modalities or ())),
        publisher=biobank.title,
    )
    define_dataset(node, biobank.dataset, project=project, description=description)
    index_store(node, biobank.dataset)
    made = publish(node, biobank.dataset)
    assert made.release is not None
    return made.record, made.release, site.files - done


def _approve_record(site: Site, release: Release) -> None:
    """Let a dataset's first record leave: until its curator says so, it waits."""
    decide(
        site.node,
        release,
        Decision.APPROVE,
        by=site.biobank.curator,
        why="the first record was looked at",
        signer=site.curator,
    )
    Outbox(site.node, HubClient.of(site.node)).send(release.id)


def _waiting(site: Site, job: str) -> Any:
    from fairbank.federated_jobs.errors import NotApproved

    try:
        return review(site.node, job)
    except NotApproved:
        return None


def _all_found(researcher: HubApi, wanted: int) -> Any:
    found = researcher.get("/search")
    return found if found["count"] >= wanted else None


def _bindings(researcher: HubApi, query: str) -> Any:
    return json.loads(researcher.sparql(query))["results"]["bindings"]


def _cell_text(row: Any) -> str:
    cell = {name: value["value"] for name, value in row.items()}
    count = cell.get("series") or f"fewer than {cell['below']}"
    return (
        f"{cell['dataset'].rpartition('/')[2]}: {count} series {cell['modality']} by {cell['manufacturer']}"
    )


def _fetch(researcher: HubApi, job: str, folder: Path) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    files = researcher.get(f"/v1/jobs/{job}/results", signed_in=True)["files"]
    for file in files:
        researcher.download(file["digest"], folder / file["name"])
    return [file["name"] for file in files]


def _until(look: Callable[[], Any], what: str) -> Any:
    """Look again and again until there is something."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise DemoError(
        f"The demo waited {WAIT_S:.0f} s for {what}.", why="A process is stuck.", todo="See the logs."
    )
