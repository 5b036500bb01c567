"""What the catalogue would hold of a request that was granted, written down without its committees."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.federated_jobs.conftest import BASE, DATASET

from fairbank.catalogue.governance.store import GrantRow, LegRow, RequestRow
from fairbank.catalogue.store import DatasetRow
from fairbank.database import writing
from fairbank.federated_jobs.manifest import dataset_iri


def iri(name: str) -> str:
    return dataset_iri(BASE, name, DATASET)


def legs(fed: Any, visa: Any) -> None:
    """Write down what the catalogue would hold of a request that was granted: its legs, all under one visa."""
    grant, now = fed.grants[visa.digest], fed.clock.now()
    later = now + timedelta(days=20)
    with writing(fed.hub.engine) as session:
        session.add(
            RequestRow(
                id=grant.request_id,
                account="ada",
                title="A question",
                state="open",
                version=1,
                draft={},
                minimum_datasets=1,
                created=now,
                changed=now,
            )
        )
        for name in fed.sites:
            session.add(dataset_row(name, now))
        session.flush()
        session.add(
            GrantRow(
                id=grant.visa_id,
                digest=visa.digest,
                envelope=grant.visa,
                request=grant.request_id,
                version=1,
                account="ada",
                granted=now,
                expires=later,
            )
        )
        for name in fed.sites:
            session.add(
                LegRow(
                    id=fed.clock.new_id(),
                    request=grant.request_id,
                    dataset=iri(name),
                    node=name,
                    state="active",
                    version=1,
                    since=now,
                    verdict="fits",
                    match=[],
                    visa=grant.visa_id,
                    expires=later,
                )
            )


def dataset_row(name: str, now: Any) -> DatasetRow:
    """Return a described dataset; only that it exists matters here."""
    texts = ("digest", "title", "description", "publisher", "access_rights", "collection_kind", "search_text")
    lists = ("keywords", "data_use", "quality", "conditions", "variables")
    return DatasetRow(
        iri=iri(name),
        graph=iri(name),
        node=name,
        dataset=DATASET,
        version=1,
        visibility="public",
        minimum_count=2,
        totals={},
        holdings={},
        created=now,
        first_published=now,
        published=now,
        **dict.fromkeys(texts, ""),
        **{column: [] for column in lists},
    )
