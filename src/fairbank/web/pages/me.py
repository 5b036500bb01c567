"""One's own page: who one is here, where one is signed in, tokens for programs, mail, language and looks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pydantic import ValidationError
from starlette.responses import Response

from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import addresses
from fairbank.catalogue.governance.addresses import Address
from fairbank.catalogue.identity import page_keys, second_factors, sessions, tokens
from fairbank.catalogue.identity.model import OF_TOKENS, TokenScope
from fairbank.catalogue.identity.page_keys import PageKey
from fairbank.catalogue.identity.sessions import OpenSession
from fairbank.catalogue.identity.tokens import ApiToken, NewToken
from fairbank.database import reading, writing
from fairbank.errors import FairbankError, Kind
from fairbank.web import languages, once
from fairbank.web.languages import LANGUAGES, mark
from fairbank.web.once import Bound
from fairbank.web.page_signing import FIELD
from fairbank.web.pages.page import Once, Page
from fairbank.web.pages.visits import THEME_COOKIE, Theme, Visit, own_path, to

_A_YEAR_S: Final = 31_536_000
_KEY_PLACE: Final = "/me#page-key"
# What each role may do here, in words.
ROLES: Final[dict[Role, str]] = {
    Role.RESEARCHER: mark("Researcher: asks for access and sends jobs"),
    Role.CURATOR: mark("Curator: looks after a biobank’s collections"),
    Role.COMMITTEE: mark("Member of access committees"),
    Role.ADMIN: mark("Administrator of this hub"),
    Role.AUDITOR: mark("Auditor: reads everything and changes nothing"),
}
SCOPES: Final[dict[TokenScope, str]] = {
    TokenScope.READ: mark("Read what I may read"),
    TokenScope.REQUESTS: mark("Make and change my requests"),
    TokenScope.REVIEW: mark("Decide about requests"),
    TokenScope.JOBS: mark("Send and stop jobs"),
    TokenScope.DESCRIBE: mark("Describe collections"),
    TokenScope.ADMIN: mark("Administer this hub"),
}


class FieldRefused(FairbankError):
    """A field of a form holds what it cannot."""

    code = "FB-WEB-024"
    kind = Kind.REFUSED


@dataclass(frozen=True, slots=True)
class Me:
    """`me.html`.

    Attributes:
        page_key: the key that the hub keeps for its pages.
        keys_offered: whether it would keep one.
        has_password: whether the account logs in with a password of this hub.
        back: the page to go on to once there is a key.
        made: a token that was just made, which is shown this once.
    """

    name: str
    organisation: str
    roles: tuple[str, ...]
    nodes: tuple[str, ...]
    has_key: bool
    page_key: PageKey | None
    keys_offered: bool
    has_password: bool
    back: str
    second_factor: bool
    email: str
    sessions: tuple[OpenSession, ...]
    tokens: tuple[ApiToken, ...]
    scopes: tuple[tuple[str, str], ...]
    longest_days: int
    language: str
    languages: tuple[tuple[str, str], ...]
    theme: Theme
    once_key: Once
    made: str = ""


def show(hub: Hub, visit: Visit) -> Me:
    """Put the page together."""
    who, say = visit.account, visit.tongue.say
    with reading(hub.engine) as session:
        return Me(
            name=who.name,
            organisation=who.organisation,
            roles=tuple(say(ROLES[role]) for role in sorted(who.roles)),
            nodes=tuple(sorted(who.scopes)),
            has_key=who.key_id is not None,
            page_key=page_keys.find(session, hub, who.name),
            keys_offered=page_keys.are_offered(hub),
            has_password=page_keys.has_password(session, who.name),
            back=own_path(visit.asked.get("back") or visit.typed.get("back"), otherwise=_KEY_PLACE),
            second_factor=second_factors.has_one(session, who.name),
            email=addresses.email_of(session, who.name) or "",
            sessions=tuple(sessions.of_account(session, hub, who.name, secret=visit.secret)),
            tokens=tuple(tokens.listing(session, hub, who.name)),
            scopes=tuple((each.value, say(SCOPES[each])) for each in SCOPES if each in OF_TOKENS),
            longest_days=hub.settings.accounts_programs_days,
            language=visit.tongue.code,
            languages=tuple(LANGUAGES.items()),
            theme=visit.theme,
            once_key=once.token(hub, visit, _of_key(visit)),
        )


def make_token(hub: Hub, visit: Visit) -> Me:
    """Make a token for a program, and show it this once."""
    days = visit.form.get("days", "")
    try:
        wish = NewToken(
            name=visit.form.get("token-name", "").strip(),
            scopes=tuple(TokenScope(each) for each in visit.form.every("scope")),
            days=int(days) if days.isdecimal() and len(days) < 6 else 0,
        )
    except (ValidationError, ValueError) as err:
        raise _refused(
            mark("A token needs a name, at least one thing that it may do, and a number of days.")
        ) from err
    with writing(hub.engine) as session:
        _, secret = tokens.make(session, hub, account=visit.account.name, wish=wish)
    return replace(show(hub, visit), made=secret)


def revoke_token(hub: Hub, visit: Visit) -> Response:
    """End a token."""
    with writing(hub.engine) as session:
        tokens.revoke(session, hub, account=visit.account.name, token_id=visit.form.get("token", ""))
    return to("/me")


def end_session(hub: Hub, visit: Visit) -> Response:
    """End a session in another browser."""
    with writing(hub.engine) as session:
        sessions.end_one(session, visit.account.name, visit.form.get("session", ""))
    return to("/me")


def set_mail(hub: Hub, visit: Visit) -> Response:
    """Say where notices are sent; an empty address keeps them here."""
    try:
        wish = Address(email=visit.form.get("email", "").strip() or None)
    except ValidationError as err:
        raise _refused(mark("This is no e-mail address.")) from err
    name = visit.account.name
    with writing(hub.engine) as session:
        addresses.set_email(session, hub, name=name, address=wish, actor=name)
    return to("/me")


def choose(hub: Hub, visit: Visit) -> Response:
    """Keep language and looks in the browser; the hub keeps neither."""
    answer = to("/me")
    secure = hub.base_iri.startswith("https://")
    for cookie, said, known in (
        (languages.COOKIE, visit.form.get("language"), set(LANGUAGES)),
        (THEME_COOKIE, visit.form.get("theme"), {each.value for each in Theme}),
    ):
        if said in known:
            answer.set_cookie(cookie, str(said), max_age=_A_YEAR_S, path="/", secure=secure, samesite="lax")
    return answer


def make_key(hub: Hub, visit: Visit) -> Response:
    """Make a key that the hub keeps for its pages, and go on to the page that needs it."""
    passphrase = _said_twice(visit, FIELD)

    def do() -> str:
        page_keys.check_who(
            hub, visit.account.name, password=visit.form.get("password", ""), begun=_begun(hub, visit)
        )
        page_keys.make(hub, visit.account, passphrase, replace=visit.form.get("replace") == "yes")
        return own_path(visit.form.get("back"), otherwise=_KEY_PLACE)

    return once.act(hub, visit, _of_key(visit), do)


def change_key_passphrase(hub: Hub, visit: Visit) -> Response:
    """Put the key of the pages under another passphrase."""
    new = _said_twice(visit, f"{FIELD}-new")

    def do() -> str:
        page_keys.change_passphrase(hub, visit.account.name, old=visit.form.get(FIELD, ""), new=new)
        return _KEY_PLACE

    return once.act(hub, visit, _of_key(visit), do)


def forget_key(hub: Hub, visit: Visit) -> Response:
    """Destroy the key that the hub keeps."""

    def do() -> str:
        page_keys.forget(hub, visit.account.name)
        return _KEY_PLACE

    return once.act(hub, visit, _of_key(visit), do)


def _begun(hub: Hub, visit: Visit) -> datetime | None:
    """Return when the session of this browser began."""
    with reading(hub.engine) as session:
        held = sessions.of_account(session, hub, visit.account.name, secret=visit.secret)
    return next((each.begun for each in held if each.is_this), None)


def _said_twice(visit: Visit, field: str) -> str:
    if visit.form.get(field, "") != visit.form.get(f"{FIELD}-again", ""):
        raise _refused(mark("The passphrase was typed in two ways."))
    return visit.form.get(field, "")


def _of_key(visit: Visit) -> Bound:
    return Bound("page key", visit.account.key_id or "")


def _refused(what: str) -> FairbankError:
    return FieldRefused(what, why="Nothing was changed.", todo="Correct it and send it again.")


PAGE = Page(
    name="me",
    path="/me",
    context=Me,
    show=show,
    acts={
        "make-token": make_token,
        "revoke-token": revoke_token,
        "end-session": end_session,
        "mail": set_mail,
        "choose": choose,
        "make-key": make_key,
        "change-key": change_key_passphrase,
        "forget-key": forget_key,
    },
)
