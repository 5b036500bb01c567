"""Which body each route takes: the class that reads it, a signed envelope, or media types."""

from __future__ import annotations

from typing import Final

from fairbank.catalogue import accounts, nodes, wire
from fairbank.catalogue.governance import (
    addresses,
    agreements,
    casting,
    closing,
    comments,
    drafts,
    membership,
)
from fairbank.catalogue.governance import routes as governance
from fairbank.catalogue.identity import bodies as of_accounts
from fairbank.catalogue.identity import oidc, tokens
from fairbank.federated_jobs import tool_review
from fairbank.ontology.wire import Wire

ENVELOPE: Final = "envelope"
RDF: Final = "text/turtle application/n-triples application/ld+json application/rdf+xml"


def bodies() -> dict[tuple[str, str], type[Wire] | str]:
    """Return them by method and address."""
    described = {
        (method, path): RDF
        for kind in ("catalog", "dataset", "distribution")
        for method, path in (("POST", f"/{kind}"), ("PUT", f"/{kind}/{{resource}}"))
    }
    return {**described, **_OF_PEOPLE, **_OF_REQUESTS, **_OF_NODES}


_OF_PEOPLE: Final[dict[tuple[str, str], type[Wire] | str]] = {
    ("POST", "/v1/login"): accounts.Login,
    ("POST", "/v1/login/exchange"): oidc.Exchange,
    ("POST", "/v1/password"): of_accounts.UsedReset,
    ("POST", "/v1/account/password"): of_accounts.NewPassword,
    ("PUT", "/v1/account/second-factor"): of_accounts.Code,
    ("POST", "/v1/account/tokens"): tokens.NewToken,
    ("POST", "/v1/accounts"): accounts.NewAccount,
    ("POST", "/v1/accounts/key"): ENVELOPE,
    ("PUT", "/v1/accounts/{account}/roles"): of_accounts.RoleChange,
    ("POST", "/v1/accounts/{account}/reset"): of_accounts.ResetWish,
    ("POST", "/v1/invitations"): wire.Invitation,
    ("PUT", "/v1/datasets/{node}/{dataset}/visibility"): wire.VisibilityChange,
    ("PUT", "/v1/datasets/{node}/{dataset}/withdrawal"): wire.Withdrawal,
    ("POST", "/v1/jobs"): ENVELOPE,
    ("POST", "/v1/counts"): ENVELOPE,
    ("POST", "/v1/tools"): ENVELOPE,
    ("POST", "/v1/tools/{name}/{version}/commands/{command}"): tool_review.ToolCommandBody,
    ("POST", "/sparql"): "application/sparql-query application/x-www-form-urlencoded",
}
_OF_REQUESTS: Final[dict[tuple[str, str], type[Wire] | str]] = {
    ("POST", "/v1/requests"): ENVELOPE,
    ("POST", "/v1/requests/drafts"): drafts.Draft,
    ("POST", "/v1/requests/{request_id}/draft"): drafts.Draft,
    ("POST", "/v1/requests/{request_id}/comments"): comments.Comment,
    ("POST", "/v1/requests/{request_id}/closing-report"): closing.ClosingReport,
    ("POST", "/v1/requests/{request_id}/countersign"): agreements.Countersignature,
    ("POST", "/v1/requests/{request_id}/commands/{command}"): governance.Command,
    ("POST", "/v1/requests/{request_id}/legs/{leg_id}/commands/{command}"): governance.Command,
    ("POST", "/v1/grants/{visa_id}/revoke"): governance.Revocation,
    ("POST", "/v1/committees"): membership.NewCommittee,
    ("POST", "/v1/committees/{committee}/scopes"): membership.Scope,
    ("POST", "/v1/committees/{committee}/scopes/remove"): membership.Scope,
    ("PUT", "/v1/committees/{committee}/members/{account}"): membership.Membership,
    ("POST", "/v1/committees/{committee}/delegations"): membership.Delegation,
    ("POST", "/v1/reviews/{leg}/substitutes"): membership.Substitution,
    ("POST", "/v1/reviews/{leg}/conflict"): membership.ConflictDeclared,
    ("POST", "/v1/reviews/{leg}/proposal"): casting.ProposedTerms,
    ("POST", "/v1/reviews/votes"): casting.Votes,
    ("POST", "/v1/reviews/approvals"): casting.Approval,
    ("PUT", "/v1/notices/address"): addresses.Address,
}
_OF_NODES: Final[dict[tuple[str, str], type[Wire] | str]] = {
    ("POST", "/v1/enrolments"): nodes.Enrolment,
}
