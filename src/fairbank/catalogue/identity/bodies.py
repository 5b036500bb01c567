"""Bodies of the routes of accounts that belong to no rule of their own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fairbank.catalogue.identity.model import Role
from fairbank.ontology.wire import Slug, Wire

_Secret = Annotated[str, Field(min_length=1, max_length=1000)]
_Code = Annotated[str, Field(min_length=1, max_length=100)]


class NewPassword(Wire):
    """Somebody changes her own password."""

    schema_name = "new-password/1"

    old: _Secret
    new: _Secret


class UsedReset(Wire):
    """Somebody sets a new password with a one-time code."""

    schema_name = "password-reset/1"

    name: Slug
    code: _Code
    password: _Secret


class ResetWish(Wire):
    """An administrator makes a one-time code; `second_factor` also takes the second factor away."""

    schema_name = "reset/1"

    second_factor: bool = False


class Code(Wire):
    """A code of a second factor."""

    schema_name = "code/1"

    code: _Code


class RoleChange(Wire):
    """A role is given (`held`) or taken, for a node where it is of nodes."""

    schema_name = "role/1"

    role: Role
    held: bool
    node: Slug | None = None
