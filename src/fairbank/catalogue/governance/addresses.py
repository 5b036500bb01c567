"""Where notices for an account are sent."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import AccountRefused
from fairbank.catalogue.store import AccountRow
from fairbank.ontology.wire import Wire

# One @, no space and nothing that ends a line of a message's head; whether it exists, only sending tells.
_ADDRESS = r"^[^\s@<>()\[\],;:\"\\]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,200}[A-Za-z0-9])?$"


class Address(Wire):
    """An e-mail address, or none."""

    schema_name = "address/1"

    email: Annotated[str, Field(pattern=_ADDRESS, max_length=254)] | None = None


def set_email(session: Session, hub: Hub, *, name: str, address: Address, actor: str) -> None:
    """Say where the notices of an account are sent; without an address they are kept, and not sent.

    Raises:
        AccountRefused: if there is no such account.
    """
    row = session.get(AccountRow, name)
    if row is None:
        raise AccountRefused(f"There is no account {name!r}.", why="", todo="Check the name.")
    row.email = address.email
    # The address itself stays out of a log that is never erased.
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=actor,
        act="account.email",
        target=name,
        detail={"set": address.email is not None},
    )


def email_of(session: Session, name: str) -> str | None:
    """Return where the notices of an account are sent; None where they are kept only."""
    row = session.get(AccountRow, name)
    return row.email if row is not None else None
