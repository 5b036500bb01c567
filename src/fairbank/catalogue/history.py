"""The versions of a dataset: which there are, what each said, and how they are linked.

A version is named `DATASET?version=N`, which is also where it is read. What is said about it never changes, so its
digest is its ETag; that a newer one has come is in the headers only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fairbank.catalogue.errors import VersionNotFound
from fairbank.catalogue.record_rows import Edition, activities_of, distributions_of, fill, strata_of
from fairbank.catalogue.store import ActivityRow, DatasetRow, DistributionRow, StratumRow, VersionRow
from fairbank.clock import iso
from fairbank.ontology.record import DatasetRecord


def newest_edition(session: Session, row: DatasetRow) -> Edition:
    """Return a dataset as its newest version says it, from the stored rows."""
    strata = session.scalars(select(StratumRow).where(StratumRow.iri == row.iri))
    distributions = session.scalars(
        select(DistributionRow).where(DistributionRow.iri == row.iri).order_by(DistributionRow.id)
    )
    activities = session.scalars(
        select(ActivityRow).where(ActivityRow.iri == row.iri).order_by(ActivityRow.place)
    )
    signer = select(VersionRow.signer).where(VersionRow.iri == row.iri, VersionRow.version == row.version)
    return Edition(
        dataset=row,
        strata=_by_axes(strata),
        distributions=list(distributions),
        activities=list(activities),
        signer=session.scalars(signer).one(),
        current=version_iri(row.iri, row.version),
    )


def edition_of(session: Session, row: DatasetRow, version: VersionRow, *, iri: str | None = None) -> Edition:
    """Return one version, newest or not, read from the envelope that its node sealed.

    Args:
        iri: what to call it; by default the IRI of the version.

    Raises:
        BadEnvelope: if the stored envelope is not what its signer sealed.
    """
    record, sealed = DatasetRecord.open(version.envelope, trusted=[version.signer])
    named = iri or version_iri(row.iri, version.version)
    dataset = DatasetRow(
        iri=named,
        graph=row.graph,
        node=row.node,
        dataset=row.dataset,
        visibility=row.visibility,
        first_published=version.received,
        published=version.received,
    )
    fill(dataset, record, digest=sealed.digest)
    before = _neighbour(session, version, newer=False)
    return Edition(
        dataset=dataset,
        strata=_by_axes(strata_of(named, record)),
        distributions=distributions_of(named, record),
        activities=activities_of(named, record),
        signer=version.signer,
        version_of=row.iri,
        previous=version_iri(row.iri, before) if before is not None else None,
    )


def find_version(session: Session, row: DatasetRow, version: int) -> VersionRow:
    """Return a version of a dataset.

    Raises:
        VersionNotFound: if there is none of this number.
    """
    found = session.get(VersionRow, (row.iri, version))
    if found is None:
        raise VersionNotFound(
            f"{row.node}/{row.dataset} has no version {version}.",
            why=f"Its newest version is {row.version}; numbers may be left out in between.",
            todo="See the list of its versions, at the dataset's address followed by /versions.",
        )
    return found


def versions(session: Session, row: DatasetRow) -> list[dict[str, Any]]:
    """Return the versions of a dataset, newest first: number, digest, when it came, who signed it, and its address."""
    columns = (VersionRow.version, VersionRow.digest, VersionRow.received, VersionRow.signer)
    found = session.execute(
        select(*columns).where(VersionRow.iri == row.iri).order_by(VersionRow.version.desc())
    )
    return [
        {
            "version": version,
            "digest": digest,
            "received": iso(received),
            "signed_by": signer,
            "iri": version_iri(row.iri, version),
        }
        for version, digest, received, signer in found
    ]


def version_links(session: Session, row: DatasetRow, version: VersionRow) -> str:
    """Return the `Link` header of a version: the newest, the one before, the one after, the list of all.

    Source: RFC 5829, section 3.
    """
    links = [f'<{row.iri}>; rel="latest-version"', f'<{row.iri}/versions>; rel="version-history"']
    for newer, relation in ((False, "predecessor-version"), (True, "successor-version")):
        neighbour = _neighbour(session, version, newer=newer)
        if neighbour is not None:
            links.append(f'<{version_iri(row.iri, neighbour)}>; rel="{relation}"')
    return ", ".join(links)


def version_iri(iri: str, version: int) -> str:
    """Return the IRI of a version of a dataset."""
    return f"{iri}?version={version}"


def _neighbour(session: Session, version: VersionRow, *, newer: bool) -> int | None:
    of_dataset = VersionRow.iri == version.iri
    if newer:
        wanted = select(func.min(VersionRow.version)).where(of_dataset, VersionRow.version > version.version)
    else:
        wanted = select(func.max(VersionRow.version)).where(of_dataset, VersionRow.version < version.version)
    return session.scalar(wanted)


def _by_axes(strata: Iterable[StratumRow]) -> list[StratumRow]:
    # Sorted here: databases do not agree on the order of texts.
    return sorted(
        strata, key=lambda cell: (cell.modality, cell.body_part, cell.manufacturer, cell.slice_thickness)
    )
