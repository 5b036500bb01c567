"""Routes of the pages: each registered page is served, its parts, its JSON, and what its forms do."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any, Final

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Match
from starlette.types import Scope

from fairbank.catalogue import accounts, negotiation, permissions, rdf_answers, schema_org
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import NotAllowed, NotLoggedIn
from fairbank.catalogue.identity import sessions
from fairbank.catalogue.identity.errors import FormForged
from fairbank.catalogue.identity.model import TokenScope
from fairbank.catalogue.parameters import is_known
from fairbank.catalogue.permissions import Action
from fairbank.charts.figure import Figure
from fairbank.charts.words import spoken
from fairbank.clock import iso
from fairbank.errors import FairbankError, Kind
from fairbank.web import file_forms, frame, languages, onward
from fairbank.web.languages import Tongue
from fairbank.web.once import StaleForm
from fairbank.web.pages.page import Once, Page
from fairbank.web.pages.registry import pages
from fairbank.web.pages.visits import (
    RESUME_FIELD,
    THEME_COOKIE,
    THEME_PARAMETER,
    Fields,
    Theme,
    Visit,
    log_in_address,
    path_of,
    read_fields,
    theme_of,
    to,
)
from fairbank.web.problems import NoSuchPage
from fairbank.web.rendering import markup

HTML: Final = "text/html"
ACT_FIELD: Final = "act"
PROOF_FIELD: Final = "csrf"
# All that a page depends on beside its address.
VARIES: Final = "Accept, Accept-Language, Authorization, Cookie, X-Part"
_ONCE: Final = re.compile(r'(name="once" value=")[^"]*"')
_SECOND_FACTOR: Final = frozenset({TokenScope.SECOND_FACTOR})


def router(hub: Hub) -> APIRouter:
    """Return the routes of all pages; they go before the routes that stand at the same addresses."""
    routes = APIRouter(tags=["pages"])
    for page in pages():
        if not page.development or hub.settings.hub_development == "yes":
            _add(routes, hub, page)
    return routes


def nothing_here() -> FairbankError:
    """Return what is said of what is not there, and in the same words of what somebody may not see."""
    return NoSuchPage(
        "There is nothing at this address.",
        why="It was never there, or it is not visible to you.",
        todo="Check it.",
    )


def jsonable(value: Any) -> Any:
    """Return a context as JSON has it: moments as on the wire, closed words as their values, no one-use token."""
    if isinstance(value, Figure):
        return {"title": value.title, "columns": list(value.table.head), "rows": jsonable(value.table.rows)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: jsonable(each) for name, each in named if not isinstance(each, (Once, Fields))}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Mapping):
        return {str(key): jsonable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(each) for each in value]
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, date):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else value


def _add(routes: APIRouter, hub: Hub, page: Page) -> None:
    visited: Visit = Depends(visitor(hub, page))

    def look(request: Request, visit: Any = visited) -> Response:
        with spoken(tongue_of(request, visit)):
            return _shown(hub, request, page, visit)

    class Looked(APIRoute):
        """Leaves to the routes after it what they answer."""

        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            found, child = super().matches(scope)
            if found is Match.NONE or scope["method"] not in ("GET", "HEAD") or not page.elsewhere:
                return found, child
            return (Match.NONE, {}) if _is_elsewhere(Request(scope), page) else (found, child)

    route = Looked(page.path, look, methods=["GET", "HEAD"], include_in_schema=False, tags=["pages"])
    routes.routes.append(route)
    if page.acts:

        def send(request: Request, visit: Any = visited) -> Response:
            try:
                with spoken(tongue_of(request, visit)):
                    return _sent(hub, request, page, visit)
            finally:
                if visit.file is not None:
                    visit.file.path.unlink(missing_ok=True)

        routes.add_api_route(page.path, send, methods=["POST"], include_in_schema=False)


def visitor(hub: Hub, page: Page) -> Callable[[Request], Awaitable[Visit]]:
    """Return a FastAPI dependency: who visits a page, refused as `permissions` says, in the words of a missing page.

    The dependency raises NotLoggedIn where there is no account and one is needed, NoSuchPage where it lacks the role,
    and TokenTooNarrow where only the token is too narrow.
    """

    async def dependency(request: Request) -> Visit:
        if not (page.takes_files and file_forms.has_file(request)):
            fields = await read_fields(request)
            return await run_in_threadpool(_visit, hub, page, request, fields)
        known = await run_in_threadpool(_may_send, hub, page, request)
        fields, file = await file_forms.read(hub, request, with_file=known)
        try:
            visit = await run_in_threadpool(_visit, hub, page, request, fields)
        except BaseException:
            if file is not None:
                file.path.unlink(missing_ok=True)
            raise
        return dataclasses.replace(visit, file=file)

    return dependency


def _may_send(hub: Hub, page: Page, request: Request) -> bool:
    """Tell whether a request comes from somebody who may send the page's forms, before its body is read."""
    who = _who(hub, request, Fields(), proven=True)
    action = permissions.action_of(request.method, page.path)
    return action is not None and who is not None and permissions.allow(who, action)


def _visit(hub: Hub, page: Page, request: Request, form: Fields) -> Visit:
    action = permissions.action_of(request.method, page.path)
    typed = Fields()
    try:
        who = _who(hub, request, form)
    except FormForged:
        # The session ended and another began meanwhile: the browser says that the form is of this hub
        # (`own_origin`), so nothing is done, and what was typed is shown again.
        typed, who = form, _who(hub, request, form, proven=True)
    if form.get(RESUME_FIELD):
        typed = form
    if action is Action.PUBLIC and not permissions.allow(who, Action.SELF_READ):
        who = None
    secret = accounts.cookie_of(hub, request) or ""
    visit = Visit(
        who=who,
        tongue=languages.chosen(request),
        now=hub.clock.now(),
        path=path_of(request),
        proof=sessions.csrf_of(hub, secret) if secret and who is not None else "",
        secret=secret if who is not None else "",
        theme=theme_of(request),
        given={name: str(value) for name, value in request.path_params.items()},
        asked=Fields(request.query_params.multi_items()),
        form=form,
        typed=typed,
        host=request.client.host if request.client is not None else "",
    )
    request.scope[frame.SCOPE_VISIT] = visit
    try:
        permissions.check(who, action)
    except NotAllowed as error:
        # Its frame is that of an address where nothing is.
        del request.scope[frame.SCOPE_VISIT]
        raise nothing_here() from error
    except NotLoggedIn:
        if not prefers_page(request):
            raise
    return visit


def _who(hub: Hub, request: Request, form: Fields, *, proven: bool = False) -> Account | None:
    if request.headers.get("authorization"):
        return accounts.from_request(hub, request)
    secret = accounts.cookie_of(hub, request) or ""
    proof = sessions.csrf_of(hub, secret) if proven and secret else form.get(PROOF_FIELD, "")
    return accounts.by_session(hub, request, proof=proof)


def _shown(hub: Hub, request: Request, page: Page, visit: Visit) -> Response:
    refused = _sent_to_log_in(hub, request, page, visit)
    if refused is not None:
        return refused
    return _answer(request, page, visit, _context(hub, page, visit))


def _sent(hub: Hub, request: Request, page: Page, visit: Visit) -> Response:
    refused = _sent_to_log_in(hub, request, page, visit)
    if refused is not None:
        return refused
    if visit.typed:
        return _answer(request, page, visit, _context(hub, page, visit))
    act = page.acts.get(visit.form.get(ACT_FIELD, ""))
    if act is None:
        raise nothing_here()
    try:
        answered = act(hub, visit)
    except StaleForm as stale:
        # The page as it is now, with what was sent put back into its fields.
        again = dataclasses.replace(visit, typed=visit.form)
        shown = _answer(request, page, again, _context(hub, page, again), problem=stale, status=409)
        return shown
    except FairbankError as error:
        if error.kind is Kind.NOT_FOUND:
            raise nothing_here() from error
        again = dataclasses.replace(visit, typed=visit.form)
        context = _context(hub, page, again)
        return _answer(request, page, again, context, problem=error, status=error.kind.http_status)
    return answered if isinstance(answered, Response) else _answer(request, page, visit, answered)


def _context(hub: Hub, page: Page, visit: Visit) -> Any:
    try:
        return page.show(hub, visit)
    except FairbankError as error:
        if error.kind in (Kind.NOT_FOUND, Kind.FORBIDDEN):
            raise nothing_here() from error
        raise


def _answer(
    request: Request,
    page: Page,
    visit: Visit,
    context: Any,
    *,
    problem: FairbankError | None = None,
    status: int = 200,
) -> Response:
    headers = {"Vary": VARIES, "Cache-Control": "private, no-cache"}
    if problem is None and page.has_own_twin and not prefers_page(request):
        told = {"schema": f"page-{page.name}/1", **jsonable(context)}
        return JSONResponse(told, headers=headers)
    if problem is not None and not prefers_page(request):
        raise problem
    around = frame.of_visit(visit, twin=request.url.path)
    wanted = request.headers.get("x-part")
    part = wanted if wanted in page.parts and problem is None else None
    text = markup(page.name, context, around, part=part, more={"problem": problem, "typed": visit.typed})
    if part is not None:
        headers["X-Part"] = part
    if problem is not None and (pause_s := getattr(problem, "retry_after_s", None)):
        headers["Retry-After"] = str(pause_s)
    headers["Link"] = f'<{request.url.path}>; rel="alternate"; type="application/json"'
    if request.method in ("GET", "HEAD") and problem is None:
        # One-use tokens differ each time and say nothing: a page with older ones is as good.
        tag = hashlib.sha256(_ONCE.sub(r'\1"', text).encode()).hexdigest()[:32]
        headers["ETag"] = f'W/"{tag}"'
        if is_known(request.headers.get("if-none-match"), tag):
            return Response(status_code=304, headers=headers)
    answer = HTMLResponse(text, status_code=status, headers=headers)
    keep_choices(request, answer)
    return answer


def keep_choices(request: Request, answer: Response) -> None:
    """Keep the language and the looks that an address asked for: they are the browser's, and nothing at the hub."""
    secure = request.url.scheme == "https"
    for name, cookie, known in (
        (languages.PARAMETER, languages.COOKIE, {*languages.LANGUAGES, languages.PSEUDO}),
        (THEME_PARAMETER, THEME_COOKIE, {each.value for each in Theme}),
    ):
        said = request.query_params.get(name)
        if said in known:
            answer.set_cookie(cookie, str(said), max_age=31_536_000, path="/", secure=secure, samesite="lax")


def _sent_to_log_in(hub: Hub, request: Request, page: Page, visit: Visit) -> Response | None:
    """Return the way to the log-in where one is needed; a form's text is kept on the way."""
    if visit.who is not None and visit.who.limited_to == _SECOND_FACTOR and page.action is not Action.PUBLIC:
        return to("/account/second-factor")
    action = permissions.action_of(request.method, page.path)
    if visit.who is not None or action is Action.PUBLIC:
        return None
    if request.method == "POST":
        return onward.log_in_page(hub, request, onward.of_visit(visit), status=401)
    return to(log_in_address(visit.path))


def prefers_page(request: Request) -> bool:
    """Tell whether a request is for a page, and not for its JSON."""
    accept = rdf_answers.accepted(request) or ""
    return HTML in accept and negotiation.choose(accept, (negotiation.JSON, HTML)) == HTML


def tongue_of(request: Request, visit: Visit) -> Tongue:
    """Return the language of charts: the reader's on a page, English in its JSON, so that programs know the words."""
    return visit.tongue if prefers_page(request) else Tongue()


def _is_elsewhere(request: Request, page: Page) -> bool:
    accept = rdf_answers.accepted(request)
    pages_ = (HTML,) if accept and HTML in accept else ()
    own = (*pages_, negotiation.JSON) if page.has_own_twin else pages_
    chosen = negotiation.choose(accept, (*own, *page.elsewhere))
    return chosen not in own or schema_org.is_wanted(request)
