"""Metadata about the metadata of a resource, in the form of the FAIR Data Point's reference implementation.

It says the state (`PUBLISHED`, or `DRAFT` for what is hidden), the path up to the root, and what the caller may do:
read, for nothing is written by these addresses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fairbank.catalogue.accounts import Account
from fairbank.catalogue.fdp import TITLE, Catalog, Point
from fairbank.catalogue.records import Visibility
from fairbank.catalogue.store import DatasetRow
from fairbank.ontology.profiles.facts import Facts, distributions

PUBLISHED: Final = "PUBLISHED"
DRAFT: Final = "DRAFT"
_READ: Final = {"mask": 1, "code": "R"}


def state_of(row: DatasetRow) -> str:
    """Return the state of a dataset: hidden ones, which only few see, are drafts."""
    return PUBLISHED if row.visibility == Visibility.PUBLIC.value else DRAFT


def of_point(point: Point, catalogs: Sequence[Catalog], who: Account | None) -> dict[str, Any]:
    """Return the metadata about the root's metadata."""
    children = {each.iri: PUBLISHED for each in catalogs}
    return _meta(who, PUBLISHED, "catalog", children, _root(point.base_iri))


def of_catalog(catalog: Catalog, datasets: Sequence[DatasetRow], who: Account | None) -> dict[str, Any]:
    """Return the metadata about a catalog's metadata, with a page of its datasets."""
    children = {row.iri: state_of(row) for row in datasets}
    return _meta(who, PUBLISHED, "dataset", children, _to_catalog(catalog))


def of_dataset(catalog: Catalog, row: DatasetRow, facts: Facts, who: Account | None) -> dict[str, Any]:
    """Return the metadata about a dataset's metadata."""
    state = state_of(row)
    path = _to_catalog(catalog)
    path[row.iri] = {"title": row.title, "parent": catalog.iri}
    return _meta(who, state, "distribution", dict.fromkeys(distributions(facts), state), path)


def _meta(
    who: Account | None,
    state: str,
    kind: str,
    children: Mapping[str, str],
    path: Mapping[str, Mapping[str, str | None]],
) -> dict[str, Any]:
    user = {"name": who.name, "roles": sorted(who.roles)} if who is not None else None
    return {
        "member": {"user": user, "membership": {"name": "reader", "permissions": [_READ]}},
        "state": {"current": state, "children": {kind: dict(children)}},
        "path": {iri: dict(entry) for iri, entry in path.items()},
    }


def _root(base_iri: str) -> dict[str, dict[str, str | None]]:
    return {f"{base_iri}/": {"title": TITLE, "parent": None}}


def _to_catalog(catalog: Catalog) -> dict[str, dict[str, str | None]]:
    root = f"{catalog.base_iri}/"
    return {**_root(catalog.base_iri), catalog.iri: {"title": catalog.title, "parent": root}}
