"""Pages of logging in and out, of the second factor and the password: plain forms, no scripts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fairbank.catalogue import permissions
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
from fairbank.web import forms, login_views
from fairbank.web.forms import Visit
from fairbank.web.rendering import render

_REFUSALS = (WrongPassword, TooManyLogins, SecondFactorRefused, AccountRefused)
_NEXT = {
    Stage.COMPLETE: "/account",
    Stage.ENROL: "/account/second-factor",
    Stage.SECOND_FACTOR: "/login/code",
}


def router(hub: Hub) -> APIRouter:
    """Return the routes of the pages."""
    routes = APIRouter(tags=["pages"])
    join(routes, _log_in(hub), _second_step(hub), _provider(hub), _account(hub), _second_factor(hub))
    return routes


def _log_in(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["pages"])
    sent: Mapping[str, str] = Depends(forms.guest(hub))

    @routes.get("/login", include_in_schema=False)
    def page(request: Request) -> Response:
        return _login_page(hub, request)

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
            return _login_page(hub, request, name=name, error=error)
        return _opened(hub, request, proven)

    return routes


def _second_step(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["pages"])
    visited: Visit = Depends(forms.visitor(hub))

    @routes.get("/login/code", include_in_schema=False)
    def page(request: Request) -> Response:
        found = _awaiting(hub, request)
        if found is None:
            return _to("/login")
        return render("code", login_views.Code(proof=found.csrf))

    @routes.post("/login/code", include_in_schema=False)
    async def show_code(request: Request) -> Response:
        form = await forms.read_form(request)
        return await run_in_threadpool(_take_code, hub, request, form)

    @routes.post("/logout", include_in_schema=False)
    def log_out(request: Request, visit: Any = visited) -> Response:
        with writing(hub.engine) as session:
            sessions.end(session, visit.secret)
        response = _to("/")
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
        return _opened(hub, request, finished.proven)

    return routes


def _account(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["pages"])
    visited: Visit = Depends(_needing_no_enrolment(hub))

    @routes.get("/account", include_in_schema=False)
    def page(visit: Any = visited) -> Response:
        if visit.who is None:
            return _to("/login")
        who = visit.who
        with reading(hub.engine) as session:
            has_one = second_factors.has_one(session, who.name)
        return render(
            "account",
            login_views.AccountPage(
                proof=sessions.csrf_of(hub, visit.secret),
                name=who.name,
                organisation=who.organisation,
                roles=tuple(sorted(who.roles)),
                nodes=tuple(sorted(who.scopes)),
                second_factor=has_one,
                reads_audit=permissions.allow(who, permissions.Action.AUDIT_READ),
            ),
        )

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
    def password_page(visit: Any = visited) -> Response:
        if visit.who is None:
            return _to("/login")
        return render("password", login_views.Password(proof=sessions.csrf_of(hub, visit.secret)))

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
            view = login_views.Password(proof=sessions.csrf_of(hub, visit.secret), problem=str(error))
            return render("password", view, status=error.kind.http_status)
        response = _to("/login")
        forms.drop_session(hub, request, response)
        return response

    return routes


def _second_factor(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["pages"])
    visited: Visit = Depends(forms.visitor(hub))

    @routes.get("/account/second-factor", include_in_schema=False)
    def page(visit: Any = visited) -> Response:
        return _to("/login") if visit.who is None else _factor_page(hub, visit)

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
            return _factor_page(hub, visit, error=error)
        response = render("recovery_codes", login_views.RecoveryCodes(codes=tuple(codes)))
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
            return Visit(None, "", {})

    return dependency


def _login_page(
    hub: Hub, request: Request, *, name: str = "", error: FairbankError | None = None
) -> Response:
    planted, proof = forms.guest_proof(hub, request)
    view = login_views.Login(
        proof=proof,
        name=name,
        provider=bool(hub.settings.oidc_issuer and hub.settings.oidc_client_id),
        problem=str(error) if error is not None else "",
    )
    response = render("login", view, status=error.kind.http_status if error is not None else 200)
    forms.plant_guest(hub, request, response, planted)
    return response


def _factor_page(hub: Hub, visit: Visit, *, error: FairbankError | None = None) -> Response:
    assert visit.who is not None
    with reading(hub.engine) as session:
        begun = second_factors.begun(session, hub, visit.who.name)
        view = login_views.SecondFactor(
            proof=sessions.csrf_of(hub, visit.secret),
            set_up=second_factors.has_one(session, visit.who.name),
            codes_left=second_factors.recovery_codes_left(session, visit.who.name),
            secret=begun.secret if begun is not None else "",
            picture=begun.svg() if begun is not None else "",
            problem=str(error) if error is not None else "",
        )
    return render("second_factor", view, status=error.kind.http_status if error is not None else 200)


def _take_code(hub: Hub, request: Request, form: Mapping[str, str]) -> Response:
    found = _awaiting(hub, request)
    if found is None:
        return _to("/login")
    secret = forms.session_secret(hub, request)
    forms.check_proof(hub, secret, form)
    try:
        origin = origin_of(request, hub.settings)
        proven = logins.after_first(hub, found.account, origin=origin, code=_usable(form.get("code", "")))
    except _REFUSALS as error:
        view = login_views.Code(proof=found.csrf, problem=str(error))
        return render("code", view, status=error.kind.http_status)
    response = _to(_NEXT[proven.stage])
    _renew(hub, request, response, secret, proven)
    return response


def _awaiting(hub: Hub, request: Request) -> sessions.BrowserSession | None:
    found = sessions.find(hub, forms.session_secret(hub, request))
    return found if found is not None and found.stage is Stage.SECOND_FACTOR else None


def _opened(hub: Hub, request: Request, proven: Proven) -> Response:
    response = _to(_NEXT[proven.stage])
    _renew(hub, request, response, forms.session_secret(hub, request), proven)
    return response


def _renew(hub: Hub, request: Request, response: Response, old: str, proven: Proven) -> None:
    """End the session that the browser came with and begin one with another cookie."""
    with writing(hub.engine) as session:
        sessions.end(session, old)
        secret = sessions.begin(session, hub, account=proven.name, stage=proven.stage)
    forms.plant_session(hub, request, response, secret)


def _to(address: str) -> Response:
    return RedirectResponse(address, status_code=303, headers={"Cache-Control": "no-store"})


def _usable(text: str) -> str:
    # No database takes NUL in a text, and nobody types half of a surrogate pair.
    return text.replace("\x00", "")[:1000]
