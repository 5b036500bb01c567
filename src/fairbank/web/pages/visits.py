"""A visit of a page: who looks, in which language, and what she typed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fairbank.catalogue import bodies
from fairbank.catalogue.accounts import Account
from fairbank.web.languages import Tongue

if TYPE_CHECKING:
    from fairbank.web.file_forms import SentFile

FORM_BYTES: Final = 256 * 1024
MOST_FIELDS: Final = 500
THEME_COOKIE: Final = "fairbank-theme"
THEME_PARAMETER: Final = "theme"
# A form that carries it is shown again and not acted upon.
RESUME_FIELD: Final = "resume"


class Theme(StrEnum):
    """How pages look: as the system does, light, or dark."""

    AUTO = "auto"
    LIGHT = "light"
    DARK = "dark"


class Fields(Mapping[str, str]):
    """Fields of a form or of an address: of one that comes twice the first, and all by `every`."""

    def __init__(self, pairs: Sequence[tuple[str, str]] = ()) -> None:
        self._pairs = tuple(pairs)
        self._first = dict(reversed(self._pairs))

    def __getitem__(self, name: str) -> str:
        return self._first[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)

    def every(self, name: str) -> tuple[str, ...]:
        """Return all values of a field, such as of boxes that were ticked."""
        return tuple(value for key, value in self._pairs if key == name)

    def pairs(self, *, without: Sequence[str] = ()) -> tuple[tuple[str, str], ...]:
        """Return names and values as they came, but for some names."""
        return tuple(pair for pair in self._pairs if pair[0] not in without)


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody looks at a page, or sends a form of it.

    Attributes:
        who: None without a log-in that is complete.
        proof: what every form of a session carries in its field `csrf`; empty without a session.
        secret: the session's cookie; empty without a session.
        given: the parameters in the path.
        asked: those behind the `?`.
        form: what was sent; empty where a page is looked at.
        typed: what to put back into the fields of a form: what was sent before the session was lost, else nothing.
        path: the address without scheme and host, with what is behind the `?`.
        host: where the request came from, as far as is known.
        file: what came with the form, where the page takes files; it is gone once the form is answered.
    """

    who: Account | None
    tongue: Tongue
    now: datetime
    path: str = "/"
    proof: str = ""
    secret: str = field(default="", repr=False)
    theme: Theme = Theme.AUTO
    given: Mapping[str, str] = field(default_factory=dict)
    asked: Fields = field(default_factory=Fields)
    form: Fields = field(default_factory=Fields)
    typed: Fields = field(default_factory=Fields)
    host: str = ""
    file: SentFile | None = None

    @property
    def account(self) -> Account:
        """Return who looks, at a page that nobody sees without an account."""
        assert self.who is not None
        return self.who


def to(address: str) -> Response:
    """Return the answer to a form that took effect: the browser asks for another page."""
    return RedirectResponse(own_path(address), status_code=303, headers={"Cache-Control": "no-store"})


def log_in_address(path: str) -> str:
    """Return where one logs in to come back to a page."""
    return "/login" if path in ("/", "/login") else f"/login?{urlencode({'next': path})}"


def own_path(address: str | None, *, otherwise: str = "/") -> str:
    r"""Return an address if it is a path of this hub, else another: nobody is sent elsewhere by a link made up.

    >>> own_path("/requests?state=open"), own_path("//evil.test/"), own_path("https://evil.test"), own_path("/\\evil")
    ('/requests?state=open', '/', '/', '/')
    """
    text = address or ""
    # Browsers take a backslash for a slash, and leave out tabs and line ends.
    odd = any(ord(letter) < 32 or ord(letter) == 127 or letter == "\\" for letter in text)
    if odd or not text.startswith("/") or text.startswith("//"):
        return otherwise
    parts = urlsplit(text)
    return otherwise if parts.scheme or parts.netloc else text


async def read_fields(request: Request) -> Fields:
    """Return the fields of a form, read once and bounded.

    Raises:
        BodyTooLarge, LengthMissing, EncodingRefused: as `bodies.read` does.
    """
    content = await bodies.read(request, limit_bytes=FORM_BYTES)
    try:
        pairs = parse_qsl(content.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except (UnicodeDecodeError, ValueError):
        return Fields()
    # No database takes NUL in a text.
    return Fields([(name, value.replace("\x00", "")) for name, value in pairs])


def theme_of(request: Request) -> Theme:
    """Return how a viewer wants pages to look: `?theme=`, then the cookie, then as the system does."""
    for said in (request.query_params.get(THEME_PARAMETER), request.cookies.get(THEME_COOKIE)):
        if said in set(Theme):
            return Theme(str(said))
    return Theme.AUTO


def path_of(request: Request) -> str:
    """Return the address of a request without scheme and host."""
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path
