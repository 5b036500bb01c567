"""Roles, what a token may be used for, and the account that acts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fairbank.signing import KeyId


class Role(StrEnum):
    """What a person may do at the hub.

    A curator is one of the nodes that her role was given for; `committee` makes somebody eligible, and what she decides
    about follows from the committees she sits on; an auditor reads everything and changes nothing.
    """

    RESEARCHER = "researcher"
    CURATOR = "curator"
    COMMITTEE = "committee"
    ADMIN = "admin"
    AUDITOR = "auditor"


# Roles that are given for named nodes; the others hold for the whole hub.
OF_NODES = frozenset({Role.CURATOR})


class TokenScope(StrEnum):
    """What an API token may be used for; it never may more than its account."""

    READ = "read"
    REQUESTS = "requests"
    REVIEW = "review"
    JOBS = "jobs"
    DESCRIBE = "describe"
    ADMIN = "admin"
    # Only of log-ins: everything about the account itself, and no more than enrolling a second factor.
    ACCOUNT = "account"
    SECOND_FACTOR = "second-factor"


# What people may ask for when they make a token; nobody makes tokens with a token.
OF_TOKENS = frozenset(TokenScope) - {TokenScope.ACCOUNT, TokenScope.SECOND_FACTOR}


@dataclass(frozen=True, slots=True)
class Account:
    """A person who is logged in.

    Attributes:
        scopes: the nodes that she was made a curator of.
        limited_to: what the token may be used for that she acts with; None after a full log-in.
    """

    name: str
    roles: frozenset[Role]
    key_id: KeyId | None
    organisation: str = ""
    scopes: frozenset[str] = frozenset()
    limited_to: frozenset[TokenScope] | None = None

    def has(self, *roles: Role) -> bool:
        """Tell whether the account has at least one of these roles."""
        return bool(self.roles.intersection(roles))

    def curates(self, node: str) -> bool:
        """Tell whether the account is a curator of a node."""
        return self.has(Role.CURATOR) and node in self.scopes
