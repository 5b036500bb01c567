"""What visas say about themselves, for the provenance of what was done under them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.catalogue.governance.store import GrantRow, VersionRow
from fairbank.ontology.audit_provenance import Triple, visa_triples
from fairbank.ontology.signed_objects import Visa


def visas(session: Session, digests: Collection[str], *, base_iri: str) -> Iterator[Triple]:
    """Return, for each visa of this hub among some digests, its request and its datasets as provenance."""
    rows = session.execute(
        select(GrantRow.digest, GrantRow.envelope, GrantRow.request, VersionRow.digest)
        .join(VersionRow, (VersionRow.request == GrantRow.request) & (VersionRow.version == GrantRow.version))
        .where(GrantRow.digest.in_(sorted(digests)))
    )
    for digest, envelope, request, request_digest in rows:
        visa, _ = Visa.open(envelope, trusted=None)
        yield from visa_triples(
            digest,
            request=request,
            request_digest=request_digest,
            datasets=sorted(each.iri for each in visa.datasets),
            base_iri=base_iri,
        )
