"""Three sites of different sizes that send each other their models, for the tests of peer-to-peer jobs."""

from __future__ import annotations

from typing import Any

import numpy as np
from safetensors.numpy import load_file
from sqlalchemy import select

from fairbank.catalogue import blobs
from fairbank.database import reading
from fairbank.federated_jobs.hub.store import ModelRow
from fairbank.ontology.signed_objects import PlanName

SITES = ("east", "north", "west")
# Subjects differ, so that a mean by samples is another than a plain one.
SUBJECTS = {"east": 2, "north": 3, "west": 5}
STEPS = {"east": 0.7310585, "north": -1.3862944, "west": 2.2360680}


def peers_of(start) -> Any:
    """Return a federation of the three sites."""
    fed = start()
    for name in SITES:
        fed.add(name, subjects=SUBJECTS[name], step=STEPS[name])
    return fed


def approved(fed, topology: str, rounds: int, **options: Any) -> str:
    """Submit a job that all sites approve; nobody has claimed its first round yet."""
    plan = {"topology": topology, **options.pop("options", {})}
    manifest = fed.manifest(
        fed.visa(), rounds=rounds, plan_name=PlanName.PEER_TO_PEER, plan_options=plan, **options
    )
    job = fed.submit(manifest)
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    fed.close_rounds()
    return job


def final(fed, job: str) -> np.ndarray:
    """Return the weights of the only model that a completed job has in the registry."""
    assert fed.state(job) == "completed", fed.job(job)
    with reading(fed.hub.engine) as session:
        (row,) = session.scalars(select(ModelRow).where(ModelRow.job == job)).all()
    return load_file(blobs.path_of(fed.hub, row.digest))["w"]


def told(fed, job: str, name: str) -> list[Any]:
    """Return one thing that the record of each round says."""
    return [each[name] for each in fed.job(job)["history"]]


def left_out(fed, job: str) -> set[tuple[str, str, str]]:
    """Return who left out whose model, and why, over all rounds."""
    return {(one["by"], one["sender"], one["fault"]) for each in told(fed, job, "left_out") for one in each}
