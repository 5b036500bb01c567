"""Real history: two releases of the Imaging Data Commons, harvested one after the other.

What was added, revised and removed is worked out from the index by SQL (`bench/parts/idc_versions.py`), not by harvest.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import func, select

from fairbank.clock import FixedClock
from fairbank.database import reading
from fairbank.harvest.consent import LegalBasis
from fairbank.harvest.header_harvest import HarvestOrder, harvest_from
from fairbank.harvest.legal_basis import record_basis
from fairbank.harvest.states import GoneReason, State
from fairbank.harvest.store import SeriesRow
from fairbank.release.node import Node, init_node
from fairbank.settings import Settings

VERSIONS = Path(__file__).parents[2] / "bench" / "parts" / "idc_versions.py"
# All that changed from release 24 to 25 and have fewer than 1,000 series; together they have each kind of change.
SMALL = (
    "cddp_eagle_1", "cgci_htmcp_cc", "cgci_htmcp_dlbcl", "cgci_htmcp_lc", "catch", "cmb_aml", "cmb_gec", "cmb_mel",
    "cmb_ov", "cmb_pca", "cptac_brca", "cptac_cm", "cptac_coad", "cptac_ov", "cptac_sar", "hcmi_cmdc", "htan_hms",
    "htan_ohsu", "htan_tnp_sardana", "htan_wustl", "icdc_glioma", "rms_mutation_prediction", "tcga_acc", "tcga_chol",
    "tcga_dlbc", "tcga_esca", "tcga_kich", "tcga_meso", "tcga_pcpg", "tcga_tgct", "tcga_thym", "tcga_uvm",
    "vestibular_schwannoma_mc_rc",
)  # fmt: skip


@pytest.fixture(scope="module")
def versions() -> ModuleType:
    spec = importlib.util.spec_from_file_location("idc_versions", VERSIONS)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def replay(versions: Any, folder: Path, collections: tuple[str, ...] | None) -> Counter[str]:
    """Harvest both releases, the second three times, and return what changed in all."""
    rows = folder / "rows.sqlite"
    versions.prepare(rows, collections)
    # A collection that shrinks by a tenth is no accident here.
    settings = dataclasses.replace(
        Settings(), home=folder / "home", harvest_hold_items=10**6, harvest_hold_percent=100
    )
    node = init_node(settings, FixedClock(), name="idc")
    archive = versions.IdcReplay(rows, 25)
    names = collections or [container.id for container in archive.list_containers()]
    found: Counter[str] = Counter()
    for name in names:
        truth = versions.difference(rows, 24, 25, name)
        record_basis(node, name, LegalBasis.ANONYMOUS_DATA, note="public images", by="tests")
        order = HarvestOrder("idc", name, name, "tests")
        before = versions.IdcReplay(rows, 24)
        if name in {container.id for container in before.list_containers()}:
            harvest_from(node, order, before)
        before.close()
        tally = harvest_from(node, order, archive).tally
        assert tally is not None and tally.errors == 0
        seen = versions.Difference(tally.added, tally.updated, tally.missing)
        assert seen == truth, name
        again = harvest_from(node, order, archive).tally
        assert again is not None and (again.added, again.updated) == (0, 0)
        assert again.tombstoned == ({GoneReason.DELETED.value: truth.removed} if truth.removed else {})
        assert live(node, name) == len(archive.snapshot(name).items)
        found.update(dataclasses.asdict(truth))
    archive.close()
    return found


def live(node: Node, project: str) -> int:
    with reading(node.engine) as session:
        rows = select(func.count()).where(SeriesRow.project == project, SeriesRow.state == State.LIVE.value)
        return session.scalars(rows).one()


def test_a_release_is_harvested_exactly(versions: ModuleType, tmp_path: Path) -> None:
    found = replay(versions, tmp_path, SMALL)
    assert min(found["added"], found["revised"], found["removed"]) > 0


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_whole_index_is_harvested_exactly(versions: ModuleType, tmp_path: Path) -> None:
    found = replay(versions, tmp_path, None)
    assert dict(found) == {"added": 11_346, "revised": 12_043, "removed": 127}
