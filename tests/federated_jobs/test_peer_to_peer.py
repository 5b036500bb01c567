"""Peers send each other their models through a hub that cannot open them: four topologies, losses, and a lying hub."""

from __future__ import annotations

from safetensors.numpy import load_file

from fairbank.catalogue import blobs
from fairbank.ontology.signed_objects import PlanName


def started(fed, topology, rounds, **options):
    plan = {"topology": topology, **options.pop("options", {})}
    manifest = fed.manifest(
        fed.visa(), rounds=rounds, plan_name=PlanName.PEER_TO_PEER, plan_options=plan, **options
    )
    job = fed.submit(manifest)
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    return job


def test_first(fed):
    job = started(fed, "all-to-all", 3)
    fed.settle()
    print(fed.job(job))
    assert fed.state(job) == "completed"
    print(load_file(blobs.path_of(fed.hub, fed.model(job))))
