"""What the pages of logging in show, one dataclass per template."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Login:
    """`login.html`: name and password; `keeps` says that what was typed elsewhere travels along in `hidden`."""

    proof: str
    name: str
    provider: bool
    hidden: tuple[tuple[str, str], ...] = ()
    keeps: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """`code.html`: the code of the second factor."""

    proof: str
    hidden: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Resume:
    """`resume.html`: back to the page where a session ended, with what was typed there."""

    proof: str
    address: str
    kept: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """`second_factor.html`: setting it up."""

    proof: str
    set_up: bool
    codes_left: int
    secret: str


@dataclass(frozen=True, slots=True)
class RecoveryCodes:
    """`recovery_codes.html`: shown once."""

    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Password:
    """`password.html`: changing one's own."""

    proof: str
