"""A hub that was taken over: it holds the hub's key, and what it brings to a site is judged there."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from tests.federated_jobs.conftest import BASE, DATASET

from fairbank.clock import FixedClock, iso
from fairbank.database import reading, writing
from fairbank.errors import FairbankError
from fairbank.federated_jobs.checks import Check
from fairbank.federated_jobs.errors import JobsError
from fairbank.federated_jobs.manifest import dataset_iri, draft
from fairbank.federated_jobs.node.approval import Consent, approve, authorise, receive
from fairbank.federated_jobs.node.store import ApprovalRow, ReviewRow
from fairbank.federated_jobs.protocol import Lease, LeaseKind
from fairbank.ontology.signed_objects import GrantedDataset, Request, Selector, Visa, VisaDataset
from fairbank.signing import SigningKey

OTHER = "other-collection"
ZERO = "sha256:" + "0" * 64


class Hub:
    """A hub that was taken over: it holds the hub's key and seals whatever it likes with it."""

    def __init__(self, fed: Any) -> None:
        self.fed, self.site, self.clock = fed, fed.sites["east"], fed.clock
        self.site.index.series[OTHER] = self.site.index.series[DATASET]
        self.request = self.asked()

    def asked(self, *, key: SigningKey | None = None, **changes: Any) -> bytes:
        """Return a request; by the real requester unless another key is given."""
        iris = tuple(dataset_iri(BASE, "east", name) for name in (DATASET, OTHER))
        signer = key or self.fed.requester
        found = {"datasets": iris, "requester_key": signer.key_id, **changes}
        return self.fed.request(**found)[0].seal(signer)

    def visa(
        self,
        *,
        request: bytes | None = None,
        key: SigningKey | None = None,
        terms: dict[str, dict[str, Any]] | None = None,
        **changes: Any,
    ) -> bytes:
        """Return a visa over both datasets; `terms` changes those of one dataset, by name."""
        asked, sealed = Request.open(request or self.request, trusted=None)
        now = self.clock.now()
        granted = tuple(
            GrantedDataset(
                iri=iri,
                selector=Selector(),
                output_classes=asked.output_classes,
                tool_families=("benchmark", "training", "measurements"),
                maximum_runs=5,
                expires=iso(now + timedelta(days=20)),
            ).model_copy(update=(terms or {}).get(iri.rpartition("/")[2], {}))
            for iri in asked.datasets
        )
        visa = Visa(
            id=self.clock.new_id(),
            hub=BASE,
            request=sealed.digest,
            requester_key=asked.requester_key,
            datasets=granted,
            purpose=asked.purpose,
            not_before=iso(now - timedelta(minutes=1)),
            created=iso(now),
        ).model_copy(update=changes)
        return visa.seal(key or self.fed.hub.key)

    def manifest(
        self,
        visa: bytes,
        *,
        key: SigningKey | None = None,
        names: tuple[str, ...] = (DATASET,),
        **changes: Any,
    ) -> bytes:
        """Return a manifest of the benchmark tool over some datasets."""
        from fairbank.federated_jobs.code import tool_named

        sealed = Visa.open(visa, trusted=None)[1]
        datasets = [VisaDataset(iri=dataset_iri(BASE, "east", name), selector=Selector()) for name in names]
        made = draft(
            sealed, tool_named("noop"), {}, clock=self.clock, title="A job", datasets=datasets, quorum=1
        )
        return made.model_copy(update=changes).seal(key or self.fed.requester)

    def brings(
        self,
        *,
        visa: bytes,
        manifest: bytes,
        request: bytes | None = None,
        job: str | None = None,
        **lease: Any,
    ) -> ReviewRow:
        """Bring a job to the site and return what the site wrote down."""
        found = Lease(
            id=self.clock.new_id(),
            kind=LeaseKind.REVIEW,
            job=job or job_of(manifest) or self.clock.new_id(),
            expires=iso(self.clock.now()),
            request=(request or self.request).decode(),
            visa=visa.decode(),
            manifest=manifest.decode(),
            hub_audit_seq=0,
            hub_audit_hash=ZERO,
            **lease,
        )
        return receive(self.site.node, found, source=self.site.index)

    def approved(self, **terms: Any) -> str:
        """Have a lawful job approved by the site's people; return its id."""
        visa = self.visa(terms={DATASET: terms, OTHER: terms})
        row = self.brings(visa=visa, manifest=self.manifest(visa))
        approve(self.site.node, row.job, Consent(by="curator"), source=self.site.index)
        return row.job


def job_of(envelope: bytes) -> str | None:
    payload = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
    return payload.get("id") if isinstance(payload, dict) else None


def stopped(row: ReviewRow) -> tuple[str, str | None]:
    """Return why the hub hears that the job was refused, and which check the site's people read; nothing ran."""
    assert (row.state, row.ended) == ("rejected", True)
    return row.reason, row.stopped_by


def altered(envelope: bytes, old: bytes, new: bytes) -> bytes:
    parsed = json.loads(envelope)
    payload = base64.b64decode(parsed["payload"])
    assert old in payload
    parsed["payload"] = base64.b64encode(payload.replace(old, new)).decode()
    return json.dumps(parsed).encode()


def at_site(hub, days: float) -> None:
    """Let the site's own clock go by itself, however the hub's stands."""
    clock = FixedClock(hub.clock.now() + timedelta(days=days))
    hub.site.node = replace(hub.site.node, clock=clock)


def approvals(hub: Hub) -> list[str]:
    with reading(hub.site.node.engine) as session:
        return list(session.scalars(select(ApprovalRow.job)))


def refusal(hub: Hub, job: str) -> tuple[str, Check | None]:
    with pytest.raises(FairbankError) as caught, writing(hub.site.node.engine) as session:
        authorise(hub.site.node, session, job, source=hub.site.index)
    assert isinstance(caught.value, JobsError)
    return caught.value.reason.value, caught.value.check
