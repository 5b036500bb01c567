"""Small bodies of the catalogue's routes that belong to no rule of their own."""

from __future__ import annotations

from fairbank.catalogue.records import Visibility
from fairbank.ontology.wire import Slug, Wire
from fairbank.ontology.withdrawal import WithdrawalReason


class Invitation(Wire):
    """An administrator invites a node; a name restricts the token to it."""

    schema_name = "invitation/1"

    node: Slug | None = None


class VisibilityChange(Wire):
    """Show or hide a dataset."""

    schema_name = "visibility/1"

    visibility: Visibility


class Withdrawal(Wire):
    """Withdraw a dataset for good."""

    schema_name = "withdrawal/1"

    reason: WithdrawalReason
