"""Metadata about the metadata of a resource, in the form of the FAIR Data Point's reference implementation.

It says the state (`PUBLISHED`, or `DRAFT` for what is hidden), the path up to the root, and what the caller may do:
read what nodes publish; write what people describe, if the account may.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fairbank.catalogue.accounts import Account
from fairbank.catalogue.described import may_write
from fairbank.catalogue.fdp import TITLE, Catalog, Named, Point
from fairbank.catalogue.records import Visibility
from fairbank.catalogue.store import DatasetRow, DescribedRow
from fairbank.ontology.profiles.facts import Facts, distributions

PUBLISHED: Final = "PUBLISHED"
DRAFT: Final = "DRAFT"
_READ: Final = {"mask": 1, "code": "R"}
_WRITE: Final = ({"mask": 2, "code": "W"}, {"mask": 4, "code": "C"}, {"mask": 8, "code": "D"})


def state_of(row: DatasetRow) -> str:
    """Return the state of a dataset: hidden ones, which only few see, are drafts."""
    return PUBLISHED if row.visibility == Visibility.PUBLIC.value else DRAFT


def of_point(point: Point, catalogs: Sequence[Named], who: Account | None) -> dict[str, Any]:
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


def of_described(
    row: DescribedRow, above: Sequence[DescribedRow], children: Sequence[DescribedRow], who: Account | None
) -> dict[str, Any]:
    """Return the metadata about the metadata of what somebody described.

    Args:
        above: its parents, the highest first.
        children: those that the caller may see.
    """
    base = row.iri.rsplit(f"/{row.kind}/", 1)[0]
    path, parent = _root(base), f"{base}/"
    for each in (*above, row):
        path[each.iri] = {"title": each.title, "parent": parent}
        parent = each.iri
    below = {"catalog": "dataset", "dataset": "distribution"}.get(row.kind)
    found = _meta(who, row.state, below or "", {each.iri: each.state for each in children}, path)
    if below is None:
        found["state"]["children"] = {}
    if may_write(who):
        found["member"]["membership"] = {"name": "owner", "permissions": [_READ, *_WRITE]}
    return found


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
