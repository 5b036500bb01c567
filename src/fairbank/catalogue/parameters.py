"""Numbers in addresses, and conditional requests: read strictly, refused in words."""

from __future__ import annotations

from fairbank.catalogue.errors import ParameterRefused

# SQLite and PostgreSQL hold no larger number in a column of this kind.
LARGEST_NUMBER = 2**31 - 1


def whole_number(text: str, *, name: str, least: int, most: int = LARGEST_NUMBER) -> int:
    """Return the whole number that a parameter names.

    Raises:
        ParameterRefused: if it is none, or out of its range.

    >>> whole_number("3", name="version", least=1)
    3
    """
    # Ten digits hold every number that could be in range; more would only be work.
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 else None
    if number is None or not least <= number <= most:
        raise ParameterRefused(
            f"{name}={text[:40]!r} cannot be used.",
            why=f"{name} is a whole number from {least} to {most}, in digits.",
            todo="Correct the address, or leave the parameter out.",
        )
    return number


def is_known(if_none_match: str | None, digest: str) -> bool:
    """Tell whether the caller holds what has this digest already (RFC 9110, section 13.1.2).

    >>> is_known('W/"x", "sha256:a"', "sha256:a"), is_known(None, "sha256:a"), is_known("*", "sha256:a")
    (True, False, True)
    """
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or f'"{digest}"' in tags
