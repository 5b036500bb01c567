"""What the pages of logging in show, one dataclass per template."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Login:
    """`login.html`: name and password."""

    proof: str
    name: str
    provider: bool
    problem: str = ""
    title: str = "Log in"


@dataclass(frozen=True, slots=True)
class Code:
    """`code.html`: the code of the second factor."""

    proof: str
    problem: str = ""
    title: str = "Your second factor"


@dataclass(frozen=True, slots=True)
class AccountPage:
    """`account.html`: who is logged in."""

    proof: str
    name: str
    organisation: str
    roles: tuple[str, ...]
    nodes: tuple[str, ...]
    second_factor: bool
    reads_audit: bool
    problem: str = ""
    title: str = "Your account"


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """`second_factor.html`: setting it up; `picture` is an SVG image that this program made."""

    proof: str
    set_up: bool
    codes_left: int
    secret: str
    picture: str
    problem: str = ""
    title: str = "Second factor"


@dataclass(frozen=True, slots=True)
class RecoveryCodes:
    """`recovery_codes.html`: shown once."""

    codes: tuple[str, ...]
    problem: str = ""
    title: str = "Recovery codes"


@dataclass(frozen=True, slots=True)
class Password:
    """`password.html`: changing one's own."""

    proof: str
    problem: str = ""
    title: str = "Change your password"
