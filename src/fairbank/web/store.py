"""The table of forms that were sent: what each did, so that sending it again does nothing more."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from fairbank.database import HubBase


class SentFormRow(HubBase):
    """A one-use token that was used; `address` is where its act led, None while it lasts or if it was cut short."""

    __tablename__ = "web_sent_forms"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(index=True)
    used: Mapped[datetime]
    expires: Mapped[datetime] = mapped_column(index=True)
    address: Mapped[str | None]
