"""Errors of log-ins, tokens and permissions.

CatalogueError
├── SecondFactorNeeded    FB-CAT-165
├── SecondFactorRefused   FB-CAT-166
├── NoRuleForRoute        FB-CAT-167
├── TokenTooNarrow        FB-CAT-168
├── TokenRefused          FB-CAT-169
├── RoleRefused           FB-CAT-170
├── ResetRefused          FB-CAT-171
├── FormForged            FB-CAT-172
├── OidcNotSet            FB-CAT-173
├── OidcRefused           FB-CAT-174
├── OidcUnreachable       FB-CAT-175
├── TooManyRequests       FB-CAT-176
├── TokenNotFound         FB-CAT-177
├── NoPageKey             FB-CAT-179
├── PassphraseWrong       FB-CAT-180
├── TooManyPassphrases    FB-CAT-181 (a TooManyLogins)
├── PageKeyRefused        FB-CAT-182
└── PageKeyDamaged        FB-CAT-183
"""

from __future__ import annotations

from fairbank.catalogue.errors import CatalogueError, TooManyLogins
from fairbank.errors import Kind


class SecondFactorNeeded(CatalogueError):
    """The password is right, and the account also needs the code of its second factor."""

    code = "FB-CAT-165"
    kind = Kind.UNAUTHENTICATED


class SecondFactorRefused(CatalogueError):
    """A code of a second factor is wrong, was used before, or the second factor is set up already."""

    code = "FB-CAT-166"
    kind = Kind.REFUSED


class NoRuleForRoute(CatalogueError):
    """No rule says who may use an address, so nobody may."""

    code = "FB-CAT-167"
    kind = Kind.FORBIDDEN


class TokenTooNarrow(CatalogueError):
    """A token may not be used for this, though its account might."""

    code = "FB-CAT-168"
    kind = Kind.FORBIDDEN


class TokenRefused(CatalogueError):
    """An API token cannot be made."""

    code = "FB-CAT-169"
    kind = Kind.REFUSED


class RoleRefused(CatalogueError):
    """A role cannot be given or taken like this."""

    code = "FB-CAT-170"
    kind = Kind.REFUSED


class ResetRefused(CatalogueError):
    """A one-time code for a new password does not work."""

    code = "FB-CAT-171"
    kind = Kind.FORBIDDEN


class FormForged(CatalogueError):
    """A form or request with a session's cookie does not carry the session's own proof."""

    code = "FB-CAT-172"
    kind = Kind.FORBIDDEN


class OidcNotSet(CatalogueError):
    """The hub has no provider of identities (OpenID Connect)."""

    code = "FB-CAT-173"
    kind = Kind.NOT_FOUND


class OidcRefused(CatalogueError):
    """What the provider of identities says is not accepted."""

    code = "FB-CAT-174"
    kind = Kind.FORBIDDEN


class OidcUnreachable(CatalogueError):
    """The provider of identities does not answer, or not as one."""

    code = "FB-CAT-175"
    kind = Kind.UNAVAILABLE


class TooManyRequests(CatalogueError):
    """More requests came from one account, token or address than the hub takes in a minute."""

    code = "FB-CAT-176"
    kind = Kind.TOO_MANY
    retry_after_s = 1


class TokenNotFound(CatalogueError):
    """The account has no API token of this id."""

    code = "FB-CAT-177"
    kind = Kind.NOT_FOUND


class NoPageKey(CatalogueError):
    """The hub keeps no key with which this account could sign on a page."""

    code = "FB-CAT-179"
    kind = Kind.CONFLICT


class PassphraseWrong(CatalogueError):
    """The passphrase does not open the key that the hub keeps."""

    code = "FB-CAT-180"
    kind = Kind.FORBIDDEN


class TooManyPassphrases(TooManyLogins):
    """There were too many wrong passphrases for a key that the hub keeps."""

    code = "FB-CAT-181"
    retry_after_s = 3_600


class PageKeyRefused(CatalogueError):
    """A key for the pages is not made: there is one, the account has one of its own, or the passphrase is unfit."""

    code = "FB-CAT-182"
    kind = Kind.REFUSED


class PageKeyDamaged(CatalogueError):
    """A key that the hub keeps cannot be read, whatever the passphrase."""

    code = "FB-CAT-183"
    kind = Kind.FAILED
