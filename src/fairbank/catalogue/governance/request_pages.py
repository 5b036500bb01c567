"""Grants as a page for people who are signed in: read only, without scripts, nothing of another host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import HTMLResponse

from fairbank.catalogue import accounts
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import listing
from fairbank.catalogue.governance.workflow import LEG
from fairbank.catalogue.plain_page import MENU, answer, following, link, table, time
from fairbank.database import reading

# Each parameter has its own: one that were shared would take the first one's name.
Words = Annotated[str | None, Query(max_length=500)]


def router(hub: Hub) -> APIRouter:
    """Return the routes of the pages."""
    routes = APIRouter(tags=["pages"])
    anybody: Account = Depends(accounts.account(hub))

    @routes.get("/grants", response_class=HTMLResponse)
    def grants(after: Words = None, who: Account = anybody) -> HTMLResponse:
        with reading(hub.engine) as session:
            page = listing.grants(session, who, now=hub.clock.now(), runs=hub.runs, mark=after)
        return answer("Grants", _grants_page(page, who))

    return routes


def _grants_page(page: listing.Page, who: Account) -> Iterator[str]:
    yield MENU
    yield "<h1>Grants</h1>\n"
    rows = [
        [
            link(f"/requests/{each['request']}", each["title"]),
            _state(each, who),
            _opened(each),
            f"{escape(each['account'])}<br>{escape(each['organisation'])}",
            escape(each["purpose"]["words"]),
            f"{time(each['not_before'])} to {time(each['expires'])}",
        ]
        for each in page.rows
    ]
    yield table(("Request", "State", "Datasets", "Requester", "Purpose", "Valid"), rows, "Grants")
    yield following(page.following, "/grants", {}, "Earlier grants")


def _state(grant: Mapping[str, Any], who: Account) -> str:
    state = escape(grant["state"])
    if grant["state"] != "holds" or grant["account"] != who.name:
        return state
    address = f"/jobs/new?grant={grant['id']}"
    return f"{state}<br>{link(address, 'Start a job')}"


def _opened(grant: Mapping[str, Any]) -> str:
    if not grant["datasets"]:
        # It opens nothing any more; what it was over is told all the same.
        return "<br>".join(link(one["dataset"], one["title"]) for one in grant["sealed_over"])
    return "<br>".join(
        f"{link(one['dataset'], one['title'])}: {escape(_state_words(one['state']))}{escape(_runs(one))}"
        for one in grant["datasets"]
    )


def _runs(opened: Mapping[str, Any]) -> str:
    left, most = opened["runs_left"], opened["maximum_runs"]
    return f", {left} of {_number(most, 'run')} left" if left is not None else ""


def _state_words(state: str) -> str:
    return LEG.words.get(state, state).replace("_", " ")


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
