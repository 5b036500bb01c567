"""Which addresses stand for a page in the tests, and who looks at them.

A page without parameters stands for itself. A page with parameters gets a line here: what makes its addresses of the
filled hub (`Filled.ids` holds ids by the name of the parameter).
"""

from __future__ import annotations

from collections.abc import Callable

from tests.web.filled_hub import A_MODEL, CURATORS, LUNGS, PEOPLE, Filled

from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.permissions import allow
from fairbank.web.pages.page import Page
from fairbank.web.pages.registry import pages

# Programs have a protocol at these addresses, which answers questions only.
ANSWERED_BY_A_PROTOCOL = ("/sparql",)
# Path of the page -> pairs of who looks and the address.
SAMPLES: dict[str, Callable[[Filled], list[tuple[str | None, str]]]] = {
    "/collections": lambda filled: [
        ("rita", "/collections"),
        (None, "/collections?modality=CT&c=alpha/lungs"),
        (None, "/collections?modality=XX&q=lung"),
    ],
    "/compare": lambda filled: [
        (None, "/compare?c=alpha/lungs&c=beta/hearts&c=alpha/none"),
        (None, "/compare"),
    ],
    "/counts": lambda filled: [
        ("rita", f"/counts?id={filled.ids['question'][0]}"),
        ("rita", "/counts?modality=CT"),
        ("lena", "/counts?modality=CT&node=alpha"),
    ],
    "/grants": lambda filled: [("otto", "/grants"), ("rita", "/grants"), ("lena", "/grants")],
    "/me": lambda filled: [("rita", "/me?back=/counts"), ("lena", "/me")],
    "/nodes/{node}": lambda filled: [(None, "/nodes/alpha")],
    "/collections/{node}/{dataset}": lambda filled: [(None, "/collections/alpha/lungs")],
    "/jobs/{job_id}": lambda filled: [
        ("rita", f"/jobs/{filled.jobs['training']}"),
        ("rita", f"/jobs/{filled.jobs['analysed']}"),
        ("ursula", f"/jobs/{filled.jobs['asked']}"),
    ],
    "/jobs/new": lambda filled: [
        ("rita", "/jobs/new"),
        ("otto", f"/jobs/new?grant={filled.permit}"),
        ("rita", f"/jobs/new?grant={filled.permit}"),
        ("rita", f"/jobs/new?grant={filled.permit}&tool=classification&step=check&p-stride=x&p-none=1"),
        ("rita", f"/jobs/new?grant={filled.permit}&tool=intensity-geometry&step=check&title=T&c={LUNGS}"),
    ],
    "/people": lambda filled: [("anna", "/people"), ("anna", "/people?name=cora")],
    "/models": lambda filled: [("rita", "/models"), ("otto", "/models"), ("ursula", "/models?show=all")],
    "/models/{digest}": lambda filled: [
        ("rita", f"/models/{filled.models['trained again']}"),
        ("rita", f"/models/{filled.models['trained']}"),
        ("ursula", f"/models/{A_MODEL}"),
    ],
    "/quality": lambda filled: [
        ("cora", "/quality"),
        ("anna", "/quality?c=alpha/lungs"),
        ("anna", "/quality"),
    ],
    "/runs/compare": lambda filled: [
        ("rita", f"/runs/compare?run={filled.jobs['trained']}&run={filled.jobs['trained again']}&at=2"),
        ("rita", "/runs/compare"),
        (
            "rita",
            f"/runs/compare?run={filled.jobs['trained']}&run={filled.jobs['analysed']}&run=none&all=yes",
        ),
    ],
    "/requests/new": lambda filled: [
        ("rita", f"/requests/new?draft={_in_state(filled, None)}"),
        ("rita", f"/requests/new?draft={_in_state(filled, None)}&step=check"),
    ],
    "/requests/{request_id}": lambda filled: [
        ("rita", f"/requests/{_in_state(filled, 'waiting for conditions')}"),
        ("dora", f"/requests/{_in_state(filled, 'in review')}"),
    ],
}
# Who looks, where nothing else is said: the first of these who may. First somebody with something to see.
_LOOKERS = ("rita", "carla", "cora", "anna", "ursula")
# Pages in development are not served by the filled hub.
WALKED = tuple(page for page in pages() if not page.development)


def samples(page: Page, filled: Filled) -> list[tuple[str | None, str]]:
    """Return who looks at which addresses of a page."""
    if page.path in SAMPLES:
        return SAMPLES[page.path](filled)
    assert "{" not in page.path, f"{page.path} needs a line in tests/web/pages/samples.py"
    lookers = [name for name in _LOOKERS if page.action is not None and allow(account(name), page.action)]
    public = [None] if page.action is not None and allow(None, page.action) else []
    return [(who, page.path) for who in [*lookers[:1], *public]]


def account(name: str) -> Account:
    """Return somebody of the filled hub, as far as rules by role ask."""
    roles = frozenset(PEOPLE[name]) | ({Role.CURATOR} if name in CURATORS.values() else frozenset())
    return Account(name, roles, None)


def _in_state(filled: Filled, state: str | None) -> str:
    """Return a request of rita's in a state of `filled_hub`; None: her draft."""
    if state is None:
        return filled.ids["request_id"][0]
    return next(request for request, of in filled.parts.items() if of.get("state") == [state])
