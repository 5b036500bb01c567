"""Routes of the export to GA4GH visas: the key set, and the tokens of one's own grant."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from fairbank import audit
from fairbank.catalogue import accounts, ga4gh_visas, hub_keys
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import GrantNotFound
from fairbank.catalogue.governance.standing import held_visa
from fairbank.clock import iso
from fairbank.database import writing
from fairbank.ontology.signed_objects import Visa

_AUDIENCE = Query(max_length=500, pattern=r"^https?://[^\s<>\"]+$")


def router(hub: Hub) -> APIRouter:
    """Return the routes under `/v1/ga4gh`, and the export of a grant."""
    routes = APIRouter(tags=["access"])
    anybody: Account = Depends(accounts.account(hub))

    @routes.get("/v1/ga4gh/jwks")
    def key_set() -> dict[str, Any]:
        return ga4gh_visas.public_keys(hub)

    @routes.get("/v1/grants/{visa_id}/ga4gh")
    def export(
        visa_id: str, audience: Annotated[str | None, _AUDIENCE] = None, who: Account = anybody
    ) -> dict[str, Any]:
        with writing(hub.engine) as session:
            found = held_visa(session, visa_id, account=who.name, now=hub.clock.now())
            if found is None:
                raise GrantNotFound(
                    "You hold no grant of this id.",
                    why="Only whom a grant was given to can take it elsewhere, and only while it holds.",
                    todo="See 'fairbank grant list'.",
                )
            visa, sealed = Visa.open(found.envelope, trusted=[*hub_keys.keys(session)])
            exported = ga4gh_visas.export(
                hub, visa, account=who.name, datasets=found.datasets, audience=audience
            )
            audit.record(
                session,
                audit.HubAudit,
                clock=hub.clock,
                actor=who.name,
                act="grant.export",
                target=visa_id,
                detail={"visa": sealed.digest, "datasets": [one.dataset for one in exported]},
            )
        return {
            "schema": "ga4gh-visas/1",
            "grant": visa_id,
            "visas": [
                {"dataset": one.dataset, "expires": iso(one.expires), "token": one.token} for one in exported
            ],
        }

    return routes
