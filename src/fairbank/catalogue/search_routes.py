"""The route of searching: parse, call, answer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from fairbank.catalogue import accounts, search
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.criteria import AXES, OF_DATASETS, Criteria, held
from fairbank.catalogue.parameters import LARGEST_NUMBER
from fairbank.database import reading
from fairbank.ontology import conditions
from fairbank.ontology.record import UNKNOWN

_Several = Annotated[list[str], Query(default_factory=list)]


def router(hub: Hub) -> APIRouter:
    """Return the route of searching."""
    routes = APIRouter(tags=["catalogue"])
    anyone: Account | None = Depends(accounts.anyone(hub))

    @routes.get("/search")
    def find(
        modality: _Several,
        body_part: _Several,
        manufacturer: _Several,
        slice_thickness: _Several,
        node: _Several,
        licence: _Several,
        data_use: _Several,
        collection_kind: _Several,
        access_rights: _Several,
        quality: _Several,
        condition: _Several,
        holds: _Several,
        exact: bool = False,
        q: str = Query("", max_length=500),
        min_subjects: int = Query(0, ge=0, le=LARGEST_NUMBER),
        min_sites: int = Query(0, ge=0, le=LARGEST_NUMBER),
        limit: int = Query(50, ge=0, le=search.LARGEST_PAGE),
        offset: int = Query(0, ge=0),
        who: Any = anyone,
    ) -> dict[str, Any]:
        axes = (modality, body_part, manufacturer, slice_thickness)
        facets = (node, licence, data_use, collection_kind, access_rights, quality, _words(condition))
        criteria = Criteria(
            words=q,
            axes={name: _storable(values) for name, values in zip(AXES, axes, strict=True)},
            facets={name: _storable(values) for name, values in zip(OF_DATASETS, facets, strict=True)},
            holds=held(_storable(holds)),
            exact=exact,
            min_subjects=min_subjects,
            min_sites=min_sites,
            limit=limit,
            offset=offset,
        )
        with reading(hub.engine) as session:
            return search.search(session, criteria, who)

    return routes


def _words(values: list[str]) -> list[str]:
    # A condition may be asked for by its word, by a name, or by a MONDO id; what is none of these finds nothing.
    known = ((value, conditions.condition(value)) for value in values)
    return [value if word == UNKNOWN else word for value, word in known]


def _storable(values: list[str]) -> tuple[str, ...]:
    # PostgreSQL takes no NUL in a text, not even to compare with; no record holds the character put in its place.
    return tuple(value.replace("\0", "\ufffd") for value in values)
