"""Requests and grants as pages for people who are signed in: read only, without scripts, nothing of another host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from starlette.responses import HTMLResponse

from fairbank.catalogue import accounts
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import listing, permitted, views
from fairbank.catalogue.governance.workflow import LEG, LegState, RequestState
from fairbank.catalogue.plain_page import MENU, answer, following, link, table, time
from fairbank.database import reading

_WORDS: Final = {
    "met": "enough is granted",
    "open": "not decided yet",
    "unreachable": "can no longer be enough",
}

# Each parameter has its own: one that were shared would take the first one's name.
Words = Annotated[str | None, Query(max_length=500)]


def router(hub: Hub) -> APIRouter:
    """Return the routes of the pages."""
    routes = APIRouter(tags=["pages"])
    anybody: Account = Depends(accounts.account(hub))

    @routes.get("/requests", response_class=HTMLResponse)
    def requests(
        state: Words = None, q: Words = None, after: Words = None, who: Account = anybody
    ) -> HTMLResponse:
        wanted = listing.Filter(state=state or None, text=q)
        with reading(hub.engine) as session:
            page = listing.requests(session, who, wanted, mark=after)
        return answer("Access requests", _requests_page(page, wanted))

    @routes.get("/requests/{request_id}", response_class=HTMLResponse)
    def one(request_id: str, who: Account = anybody) -> HTMLResponse:
        with reading(hub.engine) as session:
            row, _ = permitted.request_seen(session, who, request_id)
            view = views.full(session, who, row, hub.clock.now())
            versions = views.versions(session, row)
        return answer(str(view["title"]), _request_page(view, versions))

    @routes.get("/grants", response_class=HTMLResponse)
    def grants(after: Words = None, who: Account = anybody) -> HTMLResponse:
        with reading(hub.engine) as session:
            page = listing.grants(session, who, now=hub.clock.now(), runs=hub.runs, mark=after)
        return answer("Grants", _grants_page(page))

    return routes


def _requests_page(page: listing.Page, wanted: listing.Filter) -> Iterator[str]:
    yield MENU
    yield "<h1>Access requests</h1>\n"
    yield "<p>Those that you have a part in, what changed last first.</p>\n"
    yield _filter_form(wanted)
    rows = [
        [
            link(f"/requests/{each['id']}", each["title"]),
            escape(each["state"]),
            escape(_legs_words(each["legs"]) or _number(each["datasets"], "dataset")),
            escape(_WORDS.get(each["minimum"] or "", "")),
            escape(each["account"]),
            time(each["changed"]),
        ]
        for each in page.rows
    ]
    yield table(("Title", "State", "Datasets", "Needed at least", "Requester", "Changed"), rows, "Requests")
    yield following(
        page.following, "/requests", {"state": wanted.state, "q": wanted.text}, "Requests changed earlier"
    )


def _request_page(view: Mapping[str, Any], versions: list[dict[str, Any]]) -> Iterator[str]:
    yield MENU
    yield f"<h1>{escape(view['title'])}</h1>\n"
    yield f"<p>Request of {escape(view['account'])}, {escape(view['state'])}, version {view['version']}.</p>\n"
    yield "<h2>What happens next</h2>\n"
    yield f"<p>{_next(view['next'])}</p>\n"
    if view["minimum"]:
        yield f"<p>{escape(view['minimum']['sentence'])}</p>\n"
    yield "<h2>Datasets</h2>\n"
    yield table(
        ("Dataset", "Biobank", "State", "What happens next", "Data-use terms"),
        [_leg_cells(leg) for leg in view["legs"]],
        "Datasets",
    )
    if view["asked"]:
        yield "<h2>What is asked</h2>\n"
        yield _fields(view["asked"])
    yield from _documents(view)
    yield from _comments(view)
    yield from _past(view, versions)


def _grants_page(page: listing.Page) -> Iterator[str]:
    yield MENU
    yield "<h1>Grants</h1>\n"
    rows = [
        [
            link(f"/requests/{each['request']}", each["title"]),
            escape(each["state"]),
            _opened(each),
            f"{escape(each['account'])}<br>{escape(each['organisation'])}",
            escape(each["purpose"]["words"]),
            f"{time(each['not_before'])} to {time(each['expires'])}",
        ]
        for each in page.rows
    ]
    yield table(("Request", "State", "Datasets", "Requester", "Purpose", "Valid"), rows, "Grants")
    yield following(page.following, "/grants", {}, "Earlier grants")


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


def _leg_cells(leg: Mapping[str, Any]) -> list[str]:
    reasons = "".join(
        f"<li>{escape(' '.join(str(one.get(key, '')) for key in ('code', 'label')).strip())}: "
        f"{escape(str(one.get('verdict', '')))}. {escape(str(one.get('reason', '')))}</li>"
        for one in leg["match"]
    )
    terms = leg["terms"] or {}
    conditions = "".join(f"<li>{escape(each)}</li>" for each in terms.get("conditions", ()))
    until = f"<br>until {time(leg['expires'])}" if leg["expires"] else ""
    agreement = f"<br>{_agreement(leg['agreement'])}" if leg["agreement"] else ""
    return [
        link(leg["dataset"], leg["dataset_title"]),
        escape(leg["node"]),
        f"{escape(_state_words(leg['state']))}{until}{agreement}"
        + (f"<ul>{conditions}</ul>" if conditions else ""),
        _next(leg["next"]),
        escape(leg["verdict"]) + (f"<ul>{reasons}</ul>" if reasons else ""),
    ]


def _agreement(agreement: Mapping[str, Any]) -> str:
    done = time(agreement["countersigned"]) if agreement["countersigned"] else None
    who = escape(agreement["countersigner"])
    said = f"countersigned by {who}, {done}" if done else f"waits for {who}"
    return f"{escape(agreement['title'])}: {said}"


def _documents(view: Mapping[str, Any]) -> Iterator[str]:
    if not view["documents"]:
        return
    yield "<h2>Documents</h2>\n"
    rows = [
        [
            link(f"/v1/requests/{view['id']}/documents/{each['digest']}", each["name"]),
            escape(each["media_type"]),
            _number(each["size_bytes"], "byte"),
            f"<code>{escape(each['digest'])}</code>",
        ]
        for each in view["documents"]
    ]
    yield table(("Name", "Type", "Size", "Digest"), rows, "Documents")


def _comments(view: Mapping[str, Any]) -> Iterator[str]:
    if not view["comments"]:
        return
    yield "<h2>Comments</h2>\n"
    for each in view["comments"]:
        to = " to the committee only" if each["audience"] != "everybody" else ""
        about = f" about {escape(each['dataset'])}" if each["dataset"] else ""
        text = escape(each["text"]).replace("\n", "<br>")
        yield f"<p><strong>{escape(each['account'])}</strong>{to}{about}, {time(each['at'])}:<br>{text}</p>\n"


def _past(view: Mapping[str, Any], versions: list[dict[str, Any]]) -> Iterator[str]:
    if len(versions) > 1:
        yield "<h2>Versions</h2>\n"
        for each in versions:
            changes = "".join(f"<li>{escape(line)}</li>" for line in each["changes"]) or "<li>the first</li>"
            yield f"<h3>Version {each['version']}, {time(each['received'])}</h3>\n<ul>{changes}</ul>\n"
    if view["closing_report"]:
        yield "<h2>Closing report</h2>\n"
        yield _fields({key: view["closing_report"][key] for key in ("summary", "publications", "outputs")})
    yield "<h2>History</h2>\n"
    rows = [
        [
            time(each["at"]),
            escape(each["command"]),
            escape(each["dataset"] or "the whole request"),
            escape(each["actor"]),
            escape(_state_words(each["state"])),
            escape(each["note"]),
        ]
        for each in view["history"]
    ]
    yield table(("When", "What", "About", "Who", "Then", "Note"), rows, "History")


def _filter_form(wanted: listing.Filter) -> str:
    states = dict.fromkeys([*(state.value for state in RequestState), *(state.value for state in LegState)])
    options = "".join(
        f'<option value="{state}"{" selected" if state == wanted.state else ""}>{escape(_state_words(state))}</option>'
        for state in states
    )
    return (
        '<form method="get" action="/requests"><label>State <select name="state"><option value="">any</option>'
        f'{options}</select></label> <label>Title <input name="q" maxlength="200" value="{escape(wanted.text or "")}">'
        "</label> <button>Show</button></form>\n"
    )


def _fields(fields: Mapping[str, Any]) -> str:
    told = "".join(
        f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{_value(value)}</dd>\n"
        for name, value in fields.items()
    )
    return f"<dl>\n{told}</dl>\n"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{escape(str(name))}: {_value(inner)}" for name, inner in value.items())
    if isinstance(value, (list, tuple)):
        return "<br>".join(map(_value, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return escape(str(value))


def _next(step: Mapping[str, Any]) -> str:
    awaited = f" Awaited: {escape(step['awaited'])}, since {time(step['since'])}." if step["awaited"] else ""
    due = f" Due {time(step['due'])}." if step["due"] else ""
    return f"{escape(step['sentence'])}{awaited}{due}"


def _legs_words(states: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {_state_words(state)}" for state, count in sorted(states.items()))


def _state_words(state: str) -> str:
    return LEG.words.get(state, state).replace("_", " ")


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
