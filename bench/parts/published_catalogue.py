"""A hub's home with a catalogue that was published in it: sealed records of made-up datasets, and their RDF view."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fairbank.catalogue import nodes, records
from fairbank.catalogue.context import Hub, init_hub
from fairbank.catalogue.projector import Projector
from fairbank.clock import SystemClock, iso
from fairbank.database import writing
from fairbank.ontology.counts import Count
from fairbank.ontology.record import Activity, ActivityKind, CollectionKind, DatasetRecord, Stratum, Totals
from fairbank.settings import Settings
from fairbank.signing import SigningKey

MODALITIES = ("CT", "MR", "PT", "DX", "MG", "US")
PARTS = ("CHEST", "BRAIN", "ABDOMEN", "BREAST", "PROSTATE")
MAKERS = ("Siemens", "GE", "Philips", "Canon")


def make_hub(home: Path, *, datasets: int, cells: int = 120, **settings: object) -> Hub:
    """Return an opened hub with so many datasets of one biobank, each of at most 120 cells, and its view."""
    hub = init_hub(
        # The bench asks as fast as it can, from one address.
        replace(Settings(), home=home, limits_origin_requests=0, **settings),  # type: ignore[arg-type]  # names of settings
        SystemClock(),
        public_base_iri="http://hub.test",
    )
    key = SigningKey.generate()
    with writing(hub.engine) as session:
        token = nodes.invite(session, hub, actor="bench")
    nodes.enrol(hub, nodes.Enrolment(node="north", key=key.key_id, token=token, title="North"))
    with writing(hub.engine) as session:
        for number in range(datasets):
            envelope = record(number, created=iso(hub.clock.now()), most=cells).seal(key)
            opened, sealed = DatasetRecord.open(envelope, trusted=[key.key_id])
            records.publish(session, hub, opened, sealed)
    projector = Projector(hub)
    if not projector.open():
        raise RuntimeError("another process writes the view")
    projector.project()
    projector.close()
    return hub


def record(number: int, *, created: str, most: int = 120) -> DatasetRecord:
    """Return the record of a made-up dataset; where it has few cells, they differ from dataset to dataset."""
    every = [
        Stratum(
            modality=modality,
            body_part=part,
            manufacturer=maker,
            slice_thickness="1-1.5",
            **{what: Count.exact(20 + number + place) for what in ("series", "studies", "subjects")},
        )
        for place, (modality, part, maker) in enumerate(
            (modality, part, maker) for modality in MODALITIES for part in PARTS for maker in MAKERS
        )
    ]
    return DatasetRecord(
        node="north",
        dataset=f"set-{number}",
        version=1,
        title=f"Dataset {number}",
        description="Made up for measuring.",
        publisher="North",
        collection_kind=CollectionKind.TEST,
        minimum_count=10,
        totals=Totals(
            **{what: Count.exact(1_000) for what in ("subjects", "studies", "series", "instances")}
        ),
        cube=tuple(every[(number * most + place) % len(every)] for place in range(most)),
        provenance=(
            Activity(
                kind=ActivityKind.HARVEST,
                tool="bench",
                tool_version="1",
                agent="bench",
                started=created,
                ended=created,
            ),
        ),
        created=created,
    )
