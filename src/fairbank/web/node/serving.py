"""Routes of a node's pages: the desk is opened with a link, each page needs its session, a blank one shows nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from fairbank.charts.words import spoken
from fairbank.errors import FairbankError, Kind
from fairbank.web import frame, languages
from fairbank.web.frame import Frame, MenuItem
from fairbank.web.node.desk import NAME_FIELD, SECRET_FIELDS, Desk
from fairbank.web.node.errors import Blank
from fairbank.web.node.page import NodePage, Visit, menu, pages
from fairbank.web.once import StaleForm
from fairbank.web.own_origin import ForeignForm
from fairbank.web.pages.serving import (
    ACT_FIELD,
    PROOF_FIELD,
    jsonable,
    keep_choices,
    nothing_here,
    prefers_page,
)
from fairbank.web.pages.visits import RESUME_FIELD, Fields, own_path, path_of, read_fields, theme_of, to
from fairbank.web.rendering import markup, render

UNLOCK: Final = "/unlock"
HERE: Final = "/here"
START: Final = "/start/{link}"
# What the form that opens a session adds to the fields that it carries along.
_OF_UNLOCKING: Final = ("open-person", "open-passphrase", "next")


@dataclasses.dataclass(frozen=True, slots=True)
class Opening:
    """`node_opening.html`: asks who sits at the desk.

    Attributes:
        action: where its form goes.
        needs_person: whether persons are named at the node.
        is_blank: whether a session goes on, and does not begin.
        cannot: whether there is nothing to ask for: no session, or nobody named.
        hidden: what was typed, to be put back.
    """

    action: str
    needs_person: bool
    is_blank: bool
    cannot: bool
    next: str
    name: str
    hidden: tuple[tuple[str, str], ...] = ()


def router(desk: Desk) -> APIRouter:
    """Return the routes of all pages of a node."""
    routes = APIRouter()
    for page in pages():
        _add(routes, desk, page)

    @routes.get(START, include_in_schema=False)
    def start(request: Request, link: str) -> Response:
        # Looking at it changes nothing: what scans links for people does not use it up.
        view = Opening(request.url.path, desk.has_people(), False, False, "/", "")
        return render("node_opening", view, around(desk, request, None))

    @routes.post(START, include_in_schema=False)
    async def begin(request: Request, link: str) -> Response:
        form = await read_fields(request)
        return await run_in_threadpool(_begin, desk, request, link, form)

    @routes.get(UNLOCK, include_in_schema=False)
    def locked(request: Request) -> Response:
        return blank_page(desk, request, own_path(request.query_params.get("next")))

    @routes.post(UNLOCK, include_in_schema=False)
    async def unlock(request: Request) -> Response:
        form = await read_fields(request)
        return await run_in_threadpool(_go_on, desk, request, form)

    @routes.get(HERE, include_in_schema=False)
    def here(request: Request) -> Response:
        # Asked by a page in which somebody moves or types, so that it does not go blank under her hands.
        found = desk.sitting(request.cookies.get(desk.cookie, ""))
        return Response(
            status_code=204, headers={"X-Blank": "yes" if found is None or found.is_blank else "no"}
        )

    @routes.post("/logout", include_in_schema=False)
    async def leave(request: Request) -> Response:
        desk.end(request.cookies.get(desk.cookie, ""))
        answer = to(UNLOCK)
        answer.delete_cookie(desk.cookie, path="/", secure=True, httponly=True, samesite="strict")
        return answer

    return routes


def around(desk: Desk, request: Request, name: str | None, *, proof: str = "", twin: str = "") -> Frame:
    """Return the frame of a page; without a name it has no menu."""
    tongue, here = languages.chosen(request), request.url.path
    known = menu() if name is not None else []
    items = tuple(MenuItem(address, tongue.say(text), address == here) for address, text in known)
    shown = path_of(request) if name is not None or here == UNLOCK else "/"
    return Frame(
        tongue,
        theme_of(request),
        shown,
        items,
        name or "",
        is_known=name is not None,
        proof=proof,
        twin=twin,
        node=desk.node.name,
        idle=f"{UNLOCK}?{urlencode({'next': shown})}" if name is not None else "",
    )


def blank_page(
    desk: Desk,
    request: Request,
    onward: str,
    *,
    kept: Fields | None = None,
    problem: FairbankError | None = None,
) -> Response:
    """Return the page that shows nothing but the question who is there."""
    found = desk.sitting(request.cookies.get(desk.cookie, ""))
    fields = kept.pairs(without=(*SECRET_FIELDS, *_OF_UNLOCKING)) if kept else ()
    view = Opening(
        action=UNLOCK,
        needs_person=desk.has_people(),
        is_blank=True,
        cannot=found is None or not desk.has_people(),
        next=onward,
        name=found.name if found else "",
        hidden=fields,
    )
    status = problem.kind.http_status if problem else 401
    return render("node_opening", view, around(desk, request, None), status=status, problem=problem)


def _add(routes: APIRouter, desk: Desk, page: NodePage) -> None:
    visited: Any = Depends(_visitor(desk))

    def look(request: Request, visit: Any = visited) -> Response:
        if isinstance(visit, Response):
            return visit
        with spoken(visit.tongue):
            return _answer(desk, request, page, visit, _context(desk, page, visit))

    def send(request: Request, visit: Any = visited) -> Response:
        if isinstance(visit, Response):
            return visit
        with spoken(visit.tongue):
            return _sent(desk, request, page, visit)

    routes.add_api_route(page.path, look, methods=["GET", "HEAD"], include_in_schema=False)
    if page.acts:
        routes.add_api_route(page.path, send, methods=["POST"], include_in_schema=False)


def _visitor(desk: Desk) -> Callable[[Request], Awaitable[Visit | Response]]:
    async def dependency(request: Request) -> Visit | Response:
        form = await read_fields(request)
        return await run_in_threadpool(_visit, desk, request, form)

    return dependency


def _visit(desk: Desk, request: Request, form: Fields) -> Visit | Response:
    """Return a visit, or the page that asks who is there.

    Raises:
        Blank: if a program asks without a session.
        ForeignForm: if a form carries no proof of its session.
    """
    found = desk.sitting(request.cookies.get(desk.cookie, ""))
    if found is None or found.is_blank:
        if not prefers_page(request):
            raise Blank(
                "Nobody sits at this desk.",
                why="These pages need a session, and one shows nothing after five minutes without a request.",
                todo="Open the link that 'fairbank node pages' prints.",
            )
        kept = form if request.method == "POST" else None
        return blank_page(desk, request, path_of(request), kept=kept)
    resumed = bool(form.get(RESUME_FIELD))
    if request.method == "POST" and not resumed and form.get(PROOF_FIELD) != found.proof:
        raise ForeignForm(
            "The form is not of this session.",
            why="Another one has begun since its page was shown.",
            todo="Load the page again and send it from there.",
        )
    request.scope[frame.SCOPE_FRAME] = around(desk, request, found.name, proof=found.proof)
    return Visit(
        account=found,
        tongue=languages.chosen(request),
        now=desk.clock.now(),
        path=path_of(request),
        theme=theme_of(request),
        given={name: str(value) for name, value in request.path_params.items()},
        asked=Fields(request.query_params.multi_items()),
        form=form,
        typed=form if resumed else Fields(),
    )


def _sent(desk: Desk, request: Request, page: NodePage, visit: Visit) -> Response:
    if visit.typed:
        return _answer(desk, request, page, visit, _context(desk, page, visit))
    act = page.acts.get(visit.form.get(ACT_FIELD, ""))
    if act is None:
        raise nothing_here()
    try:
        answered = act(desk, visit)
    except FairbankError as error:
        if error.kind is Kind.NOT_FOUND and not isinstance(error, StaleForm):
            raise nothing_here() from error
        again = dataclasses.replace(visit, typed=Fields(visit.form.pairs(without=SECRET_FIELDS)))
        context = _context(desk, page, again)
        return _answer(desk, request, page, again, context, problem=error)
    return answered if isinstance(answered, Response) else _answer(desk, request, page, visit, answered)


def _context(desk: Desk, page: NodePage, visit: Visit) -> Any:
    try:
        return page.show(desk, visit)
    except FairbankError as error:
        if error.kind in (Kind.NOT_FOUND, Kind.FORBIDDEN):
            raise nothing_here() from error
        raise


def _answer(
    desk: Desk,
    request: Request,
    page: NodePage,
    visit: Visit,
    context: Any,
    *,
    problem: FairbankError | None = None,
) -> Response:
    if isinstance(context, Response):
        return context
    if not prefers_page(request):
        if problem is not None:
            raise problem
        return JSONResponse(
            {"schema": f"page-{page.name}/1", **jsonable(context)}, headers={"Vary": "Accept"}
        )
    whole = around(desk, request, visit.account.name, proof=visit.account.proof, twin=request.url.path)
    text = markup(page.name, context, whole, more={"problem": problem, "typed": visit.typed})
    status = problem.kind.http_status if problem is not None else 200
    answer = HTMLResponse(text, status_code=status, headers={"Vary": "Accept, Cookie"})
    keep_choices(request, answer)
    return answer


def _begin(desk: Desk, request: Request, link: str, form: Fields) -> Response:
    try:
        secret = desk.begin(link, _credentials(form))
    except FairbankError as error:
        view = Opening(request.url.path, desk.has_people(), False, False, "/", form.get("open-person", ""))
        whole = around(desk, request, None)
        return render("node_opening", view, whole, status=error.kind.http_status, problem=error)
    answer = to("/")
    answer.set_cookie(desk.cookie, secret, path="/", secure=True, httponly=True, samesite="strict")
    return answer


def _go_on(desk: Desk, request: Request, form: Fields) -> Response:
    onward = own_path(form.get("next"))
    try:
        desk.go_on(request.cookies.get(desk.cookie, ""), _credentials(form))
    except FairbankError as error:
        return blank_page(desk, request, onward, kept=form, problem=error)
    if form.get(ACT_FIELD):
        # The form goes back to its own page, which shows what was typed and does nothing yet.
        return Response(status_code=307, headers={"Location": onward})
    return to(onward)


def _credentials(form: Fields) -> Fields:
    return Fields(
        [(NAME_FIELD, form.get("open-person", "")), ("passphrase", form.get("open-passphrase", ""))]
    )
