"""The one place that decides what an account may do: a table of actions by role, and of addresses by action.

What is not in here nobody may. What belongs to somebody (a request, a job, a model) is narrowed further by what it is:
`governance.parts` for requests, the owner for jobs; nothing there gives what is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fairbank.catalogue.errors import NotAllowed, NotLoggedIn
from fairbank.catalogue.identity.errors import NoRuleForRoute, TokenTooNarrow
from fairbank.catalogue.identity.model import Account, Role, TokenScope


class Action(StrEnum):
    """What one does at the hub."""

    PUBLIC = "public"
    # What an enrolled node does, which `nodes.admit` knows by its signature; no account may.
    NODE = "node.signed"
    SELF_READ = "account.read-own"
    SELF_ACT = "account.change-own"
    SECOND_FACTOR = "account.second-factor"
    CONTENT_READ = "content.read"
    REQUEST_READ = "request.read"
    REQUEST_ACT = "request.act"
    REVIEW = "request.review"
    GRANT_END = "grant.end"
    COMMITTEE_READ = "committee.read"
    COMMITTEE_ACT = "committee.act"
    JOB_READ = "job.read"
    JOB_SUBMIT = "job.submit"
    JOB_CANCEL = "job.cancel"
    # Narrowed to what the account's own visas cover now, by `federated_jobs.hub.measurements`.
    MEASUREMENT_READ = "measurement.read"
    TOOL_PUBLISH = "tool.publish"
    TOOL_REVIEW = "tool.review"
    NODE_MANAGE = "node.manage"
    DATASET_MANAGE = "dataset.manage"
    DESCRIBE = "dataset.describe"
    # Narrowed to the nodes that a curator looks after, by `catalogue.curation`.
    QUALITY_READ = "dataset.quality"
    ACCOUNT_MANAGE = "account.manage"
    AUDIT_READ = "audit.read"


_R, _C, _K, _A, _U = Role.RESEARCHER, Role.CURATOR, Role.COMMITTEE, Role.ADMIN, Role.AUDITOR
_ACTIVE: Final = frozenset({_R, _C, _K, _A})


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may do an action.

    Attributes:
        roles: those of whom one is needed; None: any account, with or without a role.
        token: what a limited token must be good for.
        at_node: roles that are enough only for what belongs to a node they were given for.
    """

    roles: frozenset[Role] | None
    token: TokenScope
    at_node: frozenset[Role] = frozenset()


RULES: Final[dict[Action, Rule]] = {
    Action.NODE: Rule(frozenset(), TokenScope.ADMIN),
    Action.SELF_READ: Rule(None, TokenScope.READ),
    Action.SELF_ACT: Rule(None, TokenScope.ACCOUNT),
    Action.SECOND_FACTOR: Rule(None, TokenScope.SECOND_FACTOR),
    Action.CONTENT_READ: Rule(None, TokenScope.READ),
    Action.REQUEST_READ: Rule(None, TokenScope.READ),
    Action.REQUEST_ACT: Rule(_ACTIVE, TokenScope.REQUESTS),
    Action.REVIEW: Rule(frozenset({_C, _K, _A}), TokenScope.REVIEW),
    Action.GRANT_END: Rule(_ACTIVE, TokenScope.REVIEW),
    Action.COMMITTEE_READ: Rule(None, TokenScope.READ),
    Action.COMMITTEE_ACT: Rule(frozenset({_K, _A}), TokenScope.REVIEW),
    Action.JOB_READ: Rule(None, TokenScope.READ),
    Action.JOB_SUBMIT: Rule(frozenset({_R}), TokenScope.JOBS),
    Action.JOB_CANCEL: Rule(_ACTIVE, TokenScope.JOBS),
    Action.MEASUREMENT_READ: Rule(None, TokenScope.READ),
    Action.TOOL_PUBLISH: Rule(frozenset({_R, _A}), TokenScope.JOBS),
    Action.TOOL_REVIEW: Rule(frozenset({_A}), TokenScope.REVIEW),
    Action.NODE_MANAGE: Rule(frozenset({_A}), TokenScope.ADMIN),
    Action.DATASET_MANAGE: Rule(frozenset({_A}), TokenScope.ADMIN, at_node=frozenset({_C})),
    Action.DESCRIBE: Rule(frozenset({_A}), TokenScope.DESCRIBE),
    Action.QUALITY_READ: Rule(frozenset({_C, _A}), TokenScope.READ),
    Action.ACCOUNT_MANAGE: Rule(frozenset({_A}), TokenScope.ADMIN),
    Action.AUDIT_READ: Rule(frozenset({_A, _U}), TokenScope.READ),
}

_GET, _UNSAFE, _ANY = "GET|HEAD", "POST|PUT|PATCH|DELETE", "[A-Z]+"
# What those decide who are not the requester, in the words of `governance/workflow.yaml`.
_DECIDING: Final = "assign|take-up|return|propose|vote|appoint|declare-conflict|revoke"

# The first line that fits says the action: methods, address as its route writes it (a command in its place), action.
ROUTES: Final[tuple[tuple[str, str, Action], ...]] = (
    (_ANY, r"/", Action.PUBLIC),
    (_GET, r"/(openapi\.json|healthz|nodes|search|variables|ontology.*|profiles?.*|spec|expanded|meta)", Action.PUBLIC),
    (_ANY, r"/sparql", Action.PUBLIC),
    (_GET, r"/(datasets?|catalog|distribution|fdp)(/.*)?", Action.PUBLIC),
    (_ANY, r"/login(/.*)?", Action.PUBLIC),
    (_ANY, r"/logout", Action.PUBLIC),
    (_GET, r"/(requests|reviews|grants|committees)(/.*)?", Action.REQUEST_READ),
    # What decides is asked again of `REVIEW`, by the page.
    ("POST", r"/requests(/.*)?", Action.REQUEST_ACT),
    (_GET, r"/audit", Action.AUDIT_READ),
    (_ANY, r"/people", Action.ACCOUNT_MANAGE),
    (_GET, r"/models(/\{digest\})?|/runs/compare", Action.JOB_READ),
    ("POST", r"/models/\{digest\}", Action.JOB_CANCEL),
    (_GET, r"/quality", Action.QUALITY_READ),
    (_ANY, r"/account/second-factor(/picture\.svg)?", Action.SECOND_FACTOR),
    (_GET, r"/(collections(/.*)?|compare|nodes/\{node\})", Action.PUBLIC),
    (_GET, r"/counts", Action.JOB_READ),
    ("POST", r"/counts", Action.JOB_SUBMIT),
    (_ANY, r"/jobs/new", Action.JOB_SUBMIT),
    (_GET, r"/jobs(/\{job_id\})?", Action.JOB_READ),
    ("POST", r"/jobs/\{job_id\}", Action.JOB_CANCEL),
    (_GET, r"/(static/\{name\}|help|style)", Action.PUBLIC),
    (_GET, r"/me", Action.SELF_READ),
    ("POST", r"/me", Action.SELF_ACT),
    (_ANY, r"/account(/.*)?", Action.SELF_ACT),
    (_UNSAFE, r"/(datasets?|catalog|distribution)(/.*)?", Action.DESCRIBE),
    ("POST", r"/tokens", Action.PUBLIC),
    (
        _ANY,
        r"/v1/(leases/\{lease_id\}|node/(key|grants)|nodes/\{node\}/(claim|place|training-rules|counts))",
        Action.NODE,
    ),
    ("POST", r"/v1/nodes/\{node\}/overlaps(/.*)?", Action.NODE),
    ("POST", r"/v1/jobs/\{job_id\}/sites/\{node\}/(state|withdrawal|settings|left-out|masking)", Action.NODE),
    ("PUT", r"/v1/jobs/\{job_id\}/sites/\{node\}/sealing-key", Action.NODE),
    ("POST", r"/v1/jobs/\{job_id\}/sites/\{node\}/shared-key", Action.NODE),
    ("POST", r"/v1/counts/\{question\}/sites/\{node\}", Action.NODE),
    ("PUT|HEAD", r"/v1/releases/\{release_id\}", Action.NODE),
    ("PUT", r"/v1/datasets/\{dataset\}/(visibility|withdrawal)", Action.NODE),
    (_GET, r"/v1/(hub|nodes|tools|search|facets|feasibility|ga4gh/jwks)", Action.PUBLIC),
    (_GET, r"/v1/tools/(\{name\}|criteria|matches)", Action.PUBLIC),
    ("POST", r"/v1/tools/.*/commands/(take-up|accept|return)", Action.TOOL_REVIEW),
    ("POST", r"/v1/tools(/.*)?", Action.TOOL_PUBLISH),
    (_GET, r"/v1/audit/(head|checkpoints?|consistency|inclusion)", Action.PUBLIC),
    ("POST", r"/v1/(enrolments|login(/.*)?|password)", Action.PUBLIC),
    ("GET", r"/v1/whoami", Action.SELF_READ),
    ("POST", r"/v1/logout", Action.SELF_READ),
    (_GET, r"/v1/account/.*", Action.SELF_READ),
    (_UNSAFE, r"/v1/account/second-factor", Action.SECOND_FACTOR),
    (_UNSAFE, r"/v1/account/.*", Action.SELF_ACT),
    ("POST", r"/v1/accounts/key", Action.SELF_ACT),
    (_ANY, r"/v1/(accounts|roles)(/.*)?", Action.ACCOUNT_MANAGE),
    (_GET, r"/v1/audit(/.*)?", Action.AUDIT_READ),
    (_GET, r"/v1/blobs/.*", Action.CONTENT_READ),
    (_GET, r"/v1/(requests|grants|lists|notices|reviews)(/.*)?", Action.REQUEST_READ),
    (_UNSAFE, rf"/v1/requests/.*/commands/({_DECIDING})", Action.REVIEW),
    (_UNSAFE, r"/v1/reviews/.*", Action.REVIEW),
    (_UNSAFE, r"/v1/notices/.*", Action.SELF_ACT),
    (_UNSAFE, r"/v1/grants/.*", Action.GRANT_END),
    (_UNSAFE, r"/v1/requests(/.*)?", Action.REQUEST_ACT),
    (_GET, r"/v1/committees(/.*)?", Action.COMMITTEE_READ),
    (_UNSAFE, r"/v1/committees(/.*)?", Action.COMMITTEE_ACT),
    ("POST", r"/v1/models/\{digest\}/release", Action.REVIEW),
    (_GET, r"/v1/(jobs|models|model-files|usage|counts)(/.*)?", Action.JOB_READ),
    (_GET, r"/v1/measurements(/.*)?", Action.MEASUREMENT_READ),
    ("POST", r"/v1/(jobs|counts|model-files)", Action.JOB_SUBMIT),
    (_UNSAFE, r"/v1/(jobs|models)/.*", Action.JOB_CANCEL),
    (_ANY, r"/v1/(invitations|nodes)(/.*)?", Action.NODE_MANAGE),
    (_UNSAFE, r"/v1/datasets/.*", Action.DATASET_MANAGE),
)  # fmt: skip
_COMPILED = tuple((re.compile(methods), re.compile(path), action) for methods, path, action in ROUTES)


def action_of(method: str, path: str) -> Action | None:
    """Return what one does by a route, None if no line says it.

    Args:
        path: as the route writes it, such as `/v1/jobs/{job_id}`; of a route of commands, with the command in its
            place.

    >>> action_of("GET", "/v1/jobs/{job_id}")
    <Action.JOB_READ: 'job.read'>
    """
    for methods, address, action in _COMPILED:
        if methods.fullmatch(method) and address.fullmatch(path):
            return action
    return None


def check_routes(routes: Iterable[object]) -> None:
    """Refuse an application with a route that no line of the table is about: what nobody decided about is not served.

    Raises:
        NoRuleForRoute: naming the first one.
    """
    for route in routes:
        path = str(getattr(route, "path", ""))
        for method in sorted(getattr(route, "methods", None) or {"GET"}):
            if action_of(method, path) is None:
                raise NoRuleForRoute(
                    f"No rule says who may use {method} {path or type(route).__name__}.",
                    why="What no rule is about is refused, and so the hub does not begin with it.",
                    todo="Give it a line in catalogue/permissions.py.",
                )


def allow(who: Account | None, action: Action, *, node: str | None = None) -> bool:
    """Tell whether somebody may do an action.

    Args:
        who: None for somebody unknown.
        node: the node that it is done to, where it is done to what belongs to one.
    """
    if action is Action.PUBLIC:
        return True
    rule = RULES.get(action)
    return who is not None and rule is not None and _has_role(who, rule, node) and _token_reaches(who, rule)


def check(who: Account | None, action: Action | None, *, node: str | None = None) -> None:
    """Refuse what somebody may not do.

    Raises:
        NoRuleForRoute: if no action is named: what no rule is about nobody may.
        NotLoggedIn: if it needs an account.
        NotAllowed: if the account lacks the role, or has it for other nodes.
        TokenTooNarrow: if only the token is not good for it.
    """
    if action is None:
        raise NoRuleForRoute(
            "Nobody may use this address.",
            why="No rule says who may, and what no rule is about is refused.",
            todo="Tell the hub's operator; it is a fault of the hub.",
        )
    if allow(who, action, node=node):
        return
    if who is None:
        raise NotLoggedIn(
            "This needs an account.",
            why="No token was sent.",
            todo="Log in with 'fairbank login NAME' first.",
        )
    rule = RULES[action]
    if not _has_role(who, rule, node):
        raise NotAllowed(
            f"The account {who.name!r} may not do this.",
            why=f"It needs the role {' or '.join(sorted((rule.roles or frozenset()) | rule.at_node))}"
            f"{' of this node' if rule.at_node else ''}."
            if rule.roles or rule.at_node
            else "Nodes do it, with their signatures.",
            todo="Ask the hub's administrator for that role." if rule.roles or rule.at_node else "",
        )
    raise TokenTooNarrow(
        "The token may not be used for this.",
        why=f"It is limited, and this needs a token that is good for {rule.token.value!r}.",
        todo="Log in with 'fairbank login NAME', or make a token that reaches further.",
    )


def _has_role(who: Account, rule: Rule, node: str | None) -> bool:
    if rule.roles is None or who.has(*rule.roles):
        return True
    return node is not None and who.has(*rule.at_node) and node in who.scopes


def _token_reaches(who: Account, rule: Rule) -> bool:
    return who.limited_to is None or rule.token in who.limited_to
