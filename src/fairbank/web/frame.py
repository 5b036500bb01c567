"""What every page has around its content: language, looks, menu, who is signed in, and where its JSON is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request

from fairbank.catalogue.accounts import Account
from fairbank.web import static_files
from fairbank.web.languages import LANGUAGES, PARAMETER, Tongue, chosen
from fairbank.web.menu_line import on_line
from fairbank.web.pages import registry
from fairbank.web.pages.visits import THEME_PARAMETER, Theme, Visit, log_in_address, path_of, theme_of

# Where an error page finds who looked, if that was known when the error was raised; at a node, its whole frame.
SCOPE_VISIT: Final = "fairbank.visit"
SCOPE_FRAME: Final = "fairbank.frame"


@dataclass(frozen=True, slots=True)
class MenuItem:
    """A line of the menu."""

    address: str
    text: str
    is_here: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame of one answer; templates get it as `frame`.

    Attributes:
        who: the account's name, empty for nobody.
        is_known: whether it is known who looks; an error page may not know.
        proof: what the form for signing out carries.
        twin: the address of the same as JSON, empty without one.
        node: name of the node whose pages these are; empty for pages of the hub.
        idle: where a page goes that nobody uses for five minutes; empty for one that may lie open.
    """

    tongue: Tongue
    theme: Theme
    path: str
    menu: tuple[MenuItem, ...]
    who: str = ""
    is_known: bool = True
    proof: str = ""
    twin: str = ""
    node: str = ""
    idle: str = ""

    @property
    def style(self) -> str:
        """Return the address of the style sheet."""
        return static_files.files()["app.css"].address

    @property
    def menu_line(self) -> tuple[MenuItem, ...]:
        """Return the items that stand on the menu's line where the window is wide."""
        return self.menu[: self._on_line()]

    @property
    def menu_more(self) -> tuple[MenuItem, ...]:
        """Return the items behind them."""
        return self.menu[self._on_line() :]

    def _on_line(self) -> int:
        say = self.tongue.say
        return on_line(
            [item.text for item in self.menu],
            brand=say("fairbank at %(node)s", node=self.node) if self.node else "fairbank",
            who=self.who,
            door=say("Sign out") if self.who else say("Sign in"),
            more=say("More"),
        )

    @property
    def is_mine(self) -> bool:
        """Tell whether this is the reader's own page."""
        return urlsplit(self.path).path == "/me"

    @property
    def is_unprinted(self) -> bool:
        """Tell whether paper shows nothing of the page: held images, and what stands in their headers."""
        return bool(self.node) and urlsplit(self.path).path.startswith("/review")

    @property
    def log_in(self) -> str:
        """Return where one logs in to come back here."""
        return log_in_address(self.path)

    @property
    def script(self) -> str:
        """Return the address of the script."""
        return static_files.files()["enhance.js"].address

    @property
    def icon(self) -> str:
        """Return the address of the icon in a browser's tab."""
        return static_files.files()["icon.svg"].address

    @property
    def languages(self) -> list[tuple[str, str, str]]:
        """Return code, own name and address of this page in each language."""
        return [(code, name, self._with(PARAMETER, code)) for code, name in LANGUAGES.items()]

    @property
    def themes(self) -> list[tuple[Theme, str]]:
        """Return each way to look, and the address of this page that way."""
        return [(theme, self._with(THEME_PARAMETER, theme.value)) for theme in Theme]

    def _with(self, name: str, value: str) -> str:
        parts = urlsplit(self.path)
        kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != name]
        return f"{parts.path}?{urlencode([*kept, (name, value)])}"


def of_visit(visit: Visit, *, twin: str = "") -> Frame:
    """Return the frame of a page that somebody visits."""
    return _frame(
        visit.tongue, visit.theme, visit.path, visit.who, proof=visit.proof if visit.who else "", twin=twin
    )


def of_request(
    request: Request, *, who: Account | None = None, proof: str = "", is_known: bool = True
) -> Frame:
    """Return the frame of a page outside the registry: signing in, or an error.

    Args:
        is_known: whether `who` is; an error may have come before that.
    """
    given = request.scope.get(SCOPE_FRAME)
    if isinstance(given, Frame):
        return given
    visit = request.scope.get(SCOPE_VISIT)
    if isinstance(visit, Visit):
        return of_visit(visit)
    # A log-in form's own address leads nowhere after the log-in.
    path = "/" if request.url.path.startswith(("/login", "/account/")) else path_of(request)
    return _frame(chosen(request), theme_of(request), path, who, is_known=is_known, proof=proof)


def _frame(
    tongue: Tongue,
    theme: Theme,
    path: str,
    who: Account | None,
    *,
    is_known: bool = True,
    proof: str = "",
    twin: str = "",
) -> Frame:
    here = urlsplit(path).path
    items = tuple(
        MenuItem(address, tongue.say(text), address == here) for address, text in registry.menu(who)
    )
    name = who.name if who is not None else ""
    return Frame(tongue, theme, path, items, name, is_known, proof, twin)
