"""The notebook of the Python client, run by a researcher against the hub and nodes of the demo, as processes."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.demo.test_restarts import until

from fairbank.demo.federation import RESEARCHER
from fairbank.federated_jobs.node.approval import Consent, approve
from fairbank.federated_jobs.node.reporting import report_decisions
from fairbank.release.hub_client import HubClient
from fairbank.release.outbox import Outbox

pytestmark = pytest.mark.sandbox

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "tutorial" / "analyse-from-python.ipynb"
TITLE = "First look"
SITES = {"harbour", "northfield", "southvale"}
# The demo's images are single slices and short stacks: no lungs, nothing thin, nothing contiguous. Its sites leave
# live counts to people, and nobody is asked here.
INSTEAD = {
    'client.search("lung", modality=["CT"])': "found = client.search()",
    'slice_thickness_max_mm="1.5"': 'unit="series", pick="all"',
    "client.counts(draft)": "counts = client.counts(draft, wait_s=1)",
    "client.try_job(draft, subjects=2)": "tried = client.try_job(draft, subjects=2)",
    "client.watch(job,": "watched = client.watch(job,",
}


def cells(grant: str) -> list[str]:
    """Return the code of the notebook, with the reader's own grant, for these images."""
    sources = [
        "".join(cell["source"])
        for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    for old, new in INSTEAD.items():
        assert sum(old in source for source in sources) == 1, old
        sources = [source.replace(old, new) for source in sources]
    return [f"GRANT = {grant!r}" if source.startswith("GRANT =") else source for source in sources]


class Curators(threading.Thread):
    """Three people who wait for a job and approve it, each at her own node."""

    def __init__(self, told: Any) -> None:
        super().__init__(daemon=True)
        self._federation = told.federation
        self._researcher = told.federation.person(RESEARCHER)

    def run(self) -> None:
        job = until(self._sent)
        for site in self._federation.sites:
            until(lambda site=site: self._approved(site, job))
            report_decisions(site.node, Outbox(site.node, HubClient.of(site.node)))

    def _sent(self) -> str | None:
        jobs = self._researcher.get("/v1/jobs", signed_in=True)["jobs"]
        return next((one["id"] for one in jobs if one["title"] == TITLE), None)

    def _approved(self, site: Any, job: str) -> bool:
        from fairbank.federated_jobs.errors import NotApproved

        try:
            approve(site.node, job, Consent(by=site.biobank.curator, signer=site.curator))
        except NotApproved:
            return False
        return True


def test_the_notebook_runs_against_a_hub_and_three_nodes(
    told: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAIRBANK_HOME", str(told.federation.home / RESEARCHER))
    monkeypatch.chdir(tmp_path)
    (grant,) = [
        one["id"]
        for one in told.federation.person(RESEARCHER).get("/v1/grants", signed_in=True)["grants"]
        if len(one["datasets"]) == len(SITES)
    ]
    curators = Curators(told)
    curators.start()
    names: dict[str, Any] = {}
    for number, source in enumerate(cells(grant)):
        exec(compile(source, f"cell {number}", "exec"), names)
    curators.join(10)

    found: pd.DataFrame = names["found"]
    assert len(found) == 3 and found["subjects"].sum() > 0
    counts: pd.DataFrame = names["counts"]
    assert set(counts["site"]) == SITES and counts["subjects"].isna().all()
    assert counts["status"].str.contains("people decide").all()
    assert len(names["tried"]) >= 2 and names["tried"]["mean"].notna().all()
    watched: pd.DataFrame = names["watched"].set_index("node")
    assert set(watched.index) == SITES and set(watched["state"]) == {"released"}
    table: pd.DataFrame = names["table"]
    assert set(table["site"]) == SITES and table["mean"].notna().sum() > 10
    measured = names["client"].measurements(job=names["job"])
    assert set(measured["node"]) == SITES
    # What is left out is in no row, and is told by reason instead.
    left_out = names["client"].exclusions(names["job"])
    assert set(left_out.columns) == {"site", "reason", "series", "subjects"}
    told_reasons = set(left_out["reason"])
    assert set(table.loc[table["status"] != "ok", "reason"]) <= told_reasons
    printed = capsys.readouterr().out
    assert "completed" in printed and "ran at 3 sites (harbour, northfield, southvale)" in printed
    names["client"].close()
