"""Pages of logging in and out, of the second factor and the password: plain forms, no scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import AccountRefused, TooManyLogins, WrongPassword
from fairbank.catalogue.identity import logins, oidc, second_factors, sessions
from fairbank.catalogue.identity.errors import SecondFactorRefused, TokenTooNarrow
from fairbank.catalogue.identity.logins import Proven
from fairbank.catalogue.identity.origins import origin_of
from fairbank.catalogue.identity.sessions import Stage
from fairbank.catalogue.route_parts import join
from fairbank.database import reading, writing
from fairbank.errors import FairbankError
from fairbank.web import forms, frame, login_views, onward
from fairbank.web.forms import Visit
from fairbank.web.onward import Onward
from fairbank.web.pages.visits import Fields, log_in_address, own_path, read_fields
from fairbank.web.rendering import render

_REFUSALS = (WrongPassword, TooManyLogins, SecondFactorRefused, AccountRefused)
_NEXT = {Stage.ENROL: "/account/second-factor", Stage.SECOND_FACTOR: "/login/code"}


def router(hub: Hub) -> APIRouter:
    """Return the routes of the pages."""
    routes = APIRouter(tags=["pages"])
    join(routes, _log_in(hub), _second_step(hub), _provider(hub), _account(hub), _second_factor(hub))
    return routes


def _log_in(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["pages"])
    sent: Fields = Depends(forms.guest(hub))

    @routes.get("/login", include_in_schema=False)
    def page(request: Request) -> Response:
        return onward.log_in_page(hub, request, Onward(own_path(request.query_params.get("next"))))

    @routes.post("/login", include_in_schema=False)
    def log_in(request: Request, form: Any = sent) -> Response:
        name = form.get("name", "").strip().lower()
        try:
            proven = logins.prove(
                hub,
                name=_usable(name),
                password=_usable(form.get("password", "")),
                origin=origin_of(request, hub.settings),
            )
        except _REFUSALS as error:
            return onward.log_in_page(hub, request, onward.of_form(form), name=name, error=error)
        return _opened(hub, request, proven, onward.of_form(form))

    return routes


def _second_step(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["pages"])
    visited: Visit = Depends(forms.visitor(hub))

    @routes.get("/login/code", include_in_schema=False)
    def page(request: Request) -> Response:
        found = _awaiting(hub, request)
        if found is None:
            return _to("/login")
        way = Onward(own_path(request.query_params.get("next")))
        return _code_page(request, found, way)

    @routes.post("/login/code", include_in_schema=False)
    async def show_code(request: Request) -> Response:
        form = await read_fields(request)
        return await run_in_threadpool(_take_code, hub, request, form)

    @routes.post("/logout", include_in_schema=False)
    def log_out(request: Request, visit: Any = visited) -> Response:
        with writing(hub.engine) as session:
            sessions.end(session, visit.secret)
        response = _to("/")
        # What this person saw is not shown again by the browser, in no tab.
        response.headers["Clear-Site-Data"] = '"cache"'
        forms.drop_session(hub, request, response)
        return response

    return routes


def _provider(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["pages"])

    @routes.get("/login/oidc", include_in_schema=False)
    def begin(
        request: Request,
        port: int | None = Query(None, ge=1024, le=65_535),
        challenge: str | None = Query(None, pattern=r"^[A-Za-z0-9_-]{43}$"),
    ) -> Response:
        waiting = oidc.Loopback(port, challenge) if port is not None and challenge is not None else None
        begun = oidc.begin(hub, loopback=waiting)
        response = _to(begun.address)
        forms.plant_guest(hub, request, response, begun.browser)
        return response

    @routes.get(oidc.CALLBACK, include_in_schema=False)
    def come_back(request: Request) -> Response:
        browser, _ = forms.guest_proof(hub, request)
        finished = oidc.finish(
            hub, dict(request.query_params), browser=browser, origin=origin_of(request, hub.settings)
        )
        if finished.address is not None:
            return _to(finished.address)
        return _opened(hub, request, finished.proven, Onward())

    return routes


def _account(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["pages"])
    visited: Visit = Depends(_needing_no_enrolment(hub))

    @routes.get("/account", include_in_schema=False)
    def page(visit: Any = visited) -> Response:
        return _to("/login" if visit.who is None else "/me")

    @routes.post("/account/log-out-everywhere", include_in_schema=False)
    def log_out_everywhere(request: Request, visit: Any = visited) -> Response:
        if visit.who is None:
            return _to("/login")
        name, programs = visit.who.name, visit.form.get("programs") == "yes"
        with writing(hub.engine) as session:
            logins.log_out_everywhere(session, hub, name=name, actor=name, of_programs=programs)
        response = _to("/login")
        forms.drop_session(hub, request, response)
        return response

    @routes.get("/account/password", include_in_schema=False)
    def password_page(request: Request, visit: Any = visited) -> Response:
        if visit.who is None:
            return _to("/login")
        return _password_page(hub, request, visit)

    @routes.post("/account/password", include_in_schema=False)
    def change(request: Request, visit: Any = visited) -> Response:
        if visit.who is None:
            return _to("/login")
        new = _usable(visit.form.get("new", ""))
        try:
            if new != visit.form.get("again"):
                raise AccountRefused("The two new passwords differ.", todo="Type the same twice.")
            logins.change_password(
                hub,
                name=visit.who.name,
                old=_usable(visit.form.get("old", "")),
                new=new,
                origin=origin_of(request, hub.settings),
            )
        except _REFUSALS as error:
            return _password_page(hub, request, visit, error=error)
        response = _to("/login")
        forms.drop_session(hub, request, response)
        return response

    return routes


def _second_factor(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["pages"])
    visited: Visit = Depends(forms.visitor(hub))

    @routes.get("/account/second-factor", include_in_schema=False)
    def page(request: Request, visit: Any = visited) -> Response:
        return (
            _to(log_in_address("/account/second-factor"))
            if visit.who is None
            else _factor_page(hub, request, visit)
        )

    @routes.get("/account/second-factor/picture.svg", include_in_schema=False)
    def picture(visit: Any = visited) -> Response:
        with reading(hub.engine) as session:
            begun = second_factors.begun(session, hub, visit.who.name) if visit.who is not None else None
        if begun is None:
            return _to("/account/second-factor")
        return Response(begun.svg(), media_type="image/svg+xml", headers={"Cache-Control": "no-store"})

    @routes.post("/account/second-factor", include_in_schema=False)
    def act(request: Request, visit: Any = visited) -> Response:
        if visit.who is None:
            return _to("/login")
        try:
            if "code" not in visit.form:
                with writing(hub.engine) as session:
                    second_factors.begin(session, hub, visit.who.name)
                return _to("/account/second-factor")
            codes = second_factors.confirm(hub, visit.who.name, visit.form["code"])
        except _REFUSALS as error:
            return _factor_page(hub, request, visit, error=error)
        around = frame.of_request(request, is_known=False)
        response = render("recovery_codes", login_views.RecoveryCodes(codes=tuple(codes)), around)
        _renew(hub, request, response, visit.secret, Proven(visit.who.name, Stage.COMPLETE))
        return response

    return routes


def _needing_no_enrolment(hub: Hub) -> Callable[..., Any]:
    """Return the dependency of pages that wait until a second factor that has to be is set up."""
    seen = forms.visitor(hub)

    async def dependency(request: Request) -> Visit:
        try:
            return await seen(request)
        except TokenTooNarrow:
            return Visit(None, "", Fields())

    return dependency


def _code_page(
    request: Request, found: sessions.BrowserSession, way: Onward, *, error: FairbankError | None = None
) -> Response:
    view = login_views.Code(proof=found.csrf, hidden=way.hidden)
    status = error.kind.http_status if error is not None else 200
    return render("code", view, frame.of_request(request, is_known=False), status=status, problem=error)


def _password_page(
    hub: Hub, request: Request, visit: Visit, *, error: FairbankError | None = None
) -> Response:
    proof = sessions.csrf_of(hub, visit.secret)
    around = frame.of_request(request, who=visit.who, proof=proof)
    status = error.kind.http_status if error is not None else 200
    return render("password", login_views.Password(proof=proof), around, status=status, problem=error)


def _factor_page(hub: Hub, request: Request, visit: Visit, *, error: FairbankError | None = None) -> Response:
    assert visit.who is not None
    proof = sessions.csrf_of(hub, visit.secret)
    with reading(hub.engine) as session:
        begun = second_factors.begun(session, hub, visit.who.name)
        view = login_views.SecondFactor(
            proof=proof,
            set_up=second_factors.has_one(session, visit.who.name),
            codes_left=second_factors.recovery_codes_left(session, visit.who.name),
            secret=begun.secret if begun is not None else "",
        )
    around = frame.of_request(request, who=visit.who, proof=proof)
    status = error.kind.http_status if error is not None else 200
    return render("second_factor", view, around, status=status, problem=error)


def _take_code(hub: Hub, request: Request, form: Fields) -> Response:
    found, way = _awaiting(hub, request), onward.of_form(form)
    if found is None:
        return _to("/login")
    secret = forms.session_secret(hub, request)
    forms.check_proof(hub, secret, form)
    try:
        origin = origin_of(request, hub.settings)
        proven = logins.after_first(hub, found.account, origin=origin, code=_usable(form.get("code", "")))
    except _REFUSALS as error:
        return _code_page(request, found, way, error=error)
    return _opened(hub, request, proven, way)


def _awaiting(hub: Hub, request: Request) -> sessions.BrowserSession | None:
    found = sessions.find(hub, forms.session_secret(hub, request))
    return found if found is not None and found.stage is Stage.SECOND_FACTOR else None


def _opened(hub: Hub, request: Request, proven: Proven, way: Onward) -> Response:
    """Begin the session, and go on: to the next step of the log-in, or where she was going."""
    response = _onward(hub, proven, way)
    secret = _renew(hub, request, response, forms.session_secret(hub, request), proven)
    if not way.kept or proven.stage is Stage.ENROL:
        return response
    # What was typed is in the body of this answer: a redirect could not carry it.
    proof = sessions.csrf_of(hub, secret)
    if proven.stage is Stage.COMPLETE:
        shown = onward.resume_page(request, way, proof)
    else:
        awaiting = sessions.BrowserSession(proven.name, proven.stage, proof)
        shown = _code_page(request, awaiting, way)
    forms.plant_session(hub, request, shown, secret)
    return shown


def _onward(hub: Hub, proven: Proven, way: Onward) -> Response:
    if proven.stage is Stage.COMPLETE:
        return _to(way.next)
    address = _NEXT[proven.stage]
    return _to(address if way.next == "/" else f"{address}?{urlencode({'next': way.next})}")


def _renew(hub: Hub, request: Request, response: Response, old: str, proven: Proven) -> str:
    """End the session that the browser came with and begin one with another cookie, which is returned."""
    with writing(hub.engine) as session:
        sessions.end(session, old)
        secret = sessions.begin(session, hub, account=proven.name, stage=proven.stage)
    forms.plant_session(hub, request, response, secret)
    return secret


def _to(address: str) -> Response:
    return RedirectResponse(address, status_code=303, headers={"Cache-Control": "no-store"})


def _usable(text: str) -> str:
    # No database takes NUL in a text, and nobody types half of a surrogate pair.
    return text.replace("\x00", "")[:1000]
