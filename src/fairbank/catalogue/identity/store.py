"""The tables of log-ins; secrets are in none of them, only their hashes, and second factors under the hub's own key."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from fairbank.database import HubBase

_ACCOUNT = "catalogue_accounts.name"


class RoleScopeRow(HubBase):
    """A node that an account has a role for."""

    __tablename__ = "catalogue_role_scopes"

    account: Mapped[str] = mapped_column(ForeignKey(_ACCOUNT), primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    node: Mapped[str] = mapped_column(ForeignKey("catalogue_nodes.name"), primary_key=True, index=True)
    given_by: Mapped[str]
    since: Mapped[datetime]


class ApiTokenRow(HubBase):
    """A token for programs: what it is called, what it is good for, and until when."""

    __tablename__ = "catalogue_api_tokens"

    id: Mapped[str] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    account: Mapped[str] = mapped_column(ForeignKey(_ACCOUNT), index=True)
    name: Mapped[str]
    scopes: Mapped[list[Any]]
    created: Mapped[datetime]
    expires: Mapped[datetime] = mapped_column(index=True)
    last_used: Mapped[datetime | None]


class SessionRow(HubBase):
    """A log-in of a browser; `stage` says whether the second factor is still awaited."""

    __tablename__ = "catalogue_sessions"

    secret_hash: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey(_ACCOUNT), index=True)
    stage: Mapped[str]
    created: Mapped[datetime]
    seen: Mapped[datetime]
    expires: Mapped[datetime] = mapped_column(index=True)


class SecondFactorRow(HubBase):
    """The secret of a one-time-code app, encrypted; `confirmed` once a code was shown; `last_step` was used last."""

    __tablename__ = "catalogue_second_factors"

    account: Mapped[str] = mapped_column(ForeignKey(_ACCOUNT), primary_key=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    created: Mapped[datetime]
    confirmed: Mapped[datetime | None]
    last_step: Mapped[int] = mapped_column(BigInteger())


class RecoveryCodeRow(HubBase):
    """A code that works once in place of a second factor that was lost."""

    __tablename__ = "catalogue_recovery_codes"

    account: Mapped[str] = mapped_column(ForeignKey(_ACCOUNT), primary_key=True)
    code_hash: Mapped[str] = mapped_column(primary_key=True)
    used: Mapped[datetime | None]


class PageKeyRow(HubBase):
    """A signing key that the hub keeps for its pages: under a passphrase of its owner, and under the hub's own key."""

    __tablename__ = "catalogue_page_keys"

    account: Mapped[str] = mapped_column(ForeignKey(_ACCOUNT), primary_key=True)
    key_id: Mapped[str]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created: Mapped[datetime]
    last_used: Mapped[datetime | None]


class ResetCodeRow(HubBase):
    """A code with which somebody sets a new password, once."""

    __tablename__ = "catalogue_reset_codes"

    code_hash: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey(_ACCOUNT), index=True)
    made_by: Mapped[str]
    expires: Mapped[datetime]
    used: Mapped[datetime | None]


class KnownOriginRow(HubBase):
    """Where an account logged in from before: strangers' wrong passwords do not lock it out there."""

    __tablename__ = "catalogue_known_origins"

    account: Mapped[str] = mapped_column(ForeignKey(_ACCOUNT), primary_key=True)
    origin: Mapped[str] = mapped_column(primary_key=True)
    seen: Mapped[datetime]


class ExternalIdentityRow(HubBase):
    """Whom a provider of identities means: issuer and subject, never an e-mail address."""

    __tablename__ = "catalogue_external_identities"

    issuer: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey(_ACCOUNT), index=True)
    linked: Mapped[datetime]


class LoginFlowRow(HubBase):
    """A log-in at a provider that has begun, or its one-time result for the command line; it works once."""

    __tablename__ = "catalogue_login_flows"

    state_hash: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    detail: Mapped[dict[str, Any]]
    expires: Mapped[datetime] = mapped_column(index=True)
