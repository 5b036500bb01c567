"""Signing on a page: with the key that the hub keeps for whoever looks, opened by a passphrase for one request.

A page that signs has `signing=page_signing.may_sign(hub, session, visit)` in its context and `seal(page.signing)` of
`_seal.html` in its form; what the form does seals with `page_signing.opened(hub, visit)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from fairbank.catalogue.context import Hub
from fairbank.catalogue.identity import page_keys
from fairbank.signing import SigningKey
from fairbank.web.pages.visits import Visit

FIELD: Final = "passphrase"


@dataclass(frozen=True, slots=True)
class Signing:
    """How whoever looks at a page can sign.

    Attributes:
        kept: the hub keeps a key for her, so the page asks for its passphrase.
        own: she has a key of her own, on her computer.
        offered: the hub would keep one.
        back: where she comes back to once she has made one.
    """

    kept: bool
    own: bool
    offered: bool
    back: str


def may_sign(hub: Hub, session: Session, visit: Visit) -> Signing:
    """Return how whoever looks can sign here."""
    kept = page_keys.find(session, hub, visit.account.name) is not None
    own = not kept and visit.account.key_id is not None
    return Signing(kept, own, page_keys.are_offered(hub), visit.path)


def opened(hub: Hub, visit: Visit) -> SigningKey:
    """Return the key that the hub keeps for who sends a form, opened with the form's passphrase.

    Raises:
        NoPageKey, PassphraseWrong, TooManyPassphrases, PageKeyDamaged: as `page_keys.unlock` does.
    """
    return page_keys.unlock(hub, visit.account.name, visit.form.get(FIELD, ""))
