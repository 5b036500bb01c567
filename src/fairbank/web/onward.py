"""The log-in form, and where it leads: to the page that was asked for, with what was typed there if a session ended.

What somebody typed into a page travels through the log-in as hidden fields, and comes back into the page's own form:
nothing takes effect until she sends that again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from fairbank.catalogue.context import Hub
from fairbank.errors import FairbankError
from fairbank.web import forms, frame, login_views
from fairbank.web.pages.visits import RESUME_FIELD, Fields, Visit, own_path
from fairbank.web.rendering import render

_PREFIX: Final = "kept."
# Neither secrets nor what belongs to the session that ended.
_NEVER: Final = frozenset(
    {forms.PROOF_FIELD, "once", "password", "old", "new", "again", "code", RESUME_FIELD}
    | {"passphrase", "passphrase-again", "passphrase-new"}
)


@dataclass(frozen=True, slots=True)
class Onward:
    """Where a log-in leads.

    Attributes:
        next: a path of this hub.
        kept: names and values of the fields that were sent to it, in their order.
    """

    next: str = "/"
    kept: tuple[tuple[str, str], ...] = ()

    @property
    def hidden(self) -> tuple[tuple[str, str], ...]:
        """Return the fields that a form of the log-in carries along."""
        return (("next", self.next), *((_PREFIX + name, value) for name, value in self.kept))


def of_form(form: Fields) -> Onward:
    """Return what a form of the log-in carried along."""
    kept = [(name.removeprefix(_PREFIX), value) for name, value in form.pairs() if name.startswith(_PREFIX)]
    return Onward(own_path(form.get("next")), tuple(pair for pair in kept if pair[0] not in _NEVER))


def of_visit(visit: Visit) -> Onward:
    """Return the way back to a page whose form came without a session."""
    return Onward(own_path(visit.path), visit.form.pairs(without=tuple(_NEVER)))


def log_in_page(
    hub: Hub,
    request: Request,
    onward: Onward,
    *,
    name: str = "",
    error: FairbankError | None = None,
    status: int = 200,
) -> Response:
    """Return the page with the log-in form; it says so where it stands in place of a form's answer."""
    planted, proof = forms.guest_proof(hub, request)
    view = login_views.Login(
        proof=proof,
        name=name,
        provider=bool(hub.settings.oidc_issuer and hub.settings.oidc_client_id),
        hidden=onward.hidden,
        keeps=bool(onward.kept),
    )
    status = error.kind.http_status if error is not None else status
    response = render("login", view, frame.of_request(request), status=status, problem=error)
    forms.plant_guest(hub, request, response, planted)
    return response


def resume_page(request: Request, onward: Onward, proof: str) -> Response:
    """Return the page that takes what was typed back to its own page, after the log-in."""
    view = login_views.Resume(proof=proof, address=onward.next, kept=onward.kept)
    return render("resume", view, frame.of_request(request, is_known=False))
