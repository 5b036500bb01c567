"""Where a request comes from: the connection's other end, or what a trusted proxy says of it."""

from __future__ import annotations

from ipaddress import ip_address

from starlette.requests import HTTPConnection

from fairbank.settings import Settings

UNKNOWN = "unknown"


def origin_of(request: HTTPConnection, settings: Settings) -> str:
    """Return the address that a request comes from.

    `X-Forwarded-For` is believed only from the addresses in `hub_trusted_proxies`, and only as far as they wrote it:
    anybody may send the header.
    """
    here = request.client.host if request.client else UNKNOWN
    trusted = settings.hub_trusted_proxies.split()
    if here not in trusted:
        return here
    for said in reversed(",".join(request.headers.getlist("x-forwarded-for")).split(",")):
        address = _address(said.strip())
        if address is None:
            return here
        if address not in trusted:
            return address
    return here


def is_https(request: HTTPConnection, settings: Settings) -> bool:
    """Tell whether the person's side of the connection is encrypted."""
    here = request.client.host if request.client else UNKNOWN
    if here in settings.hub_trusted_proxies.split():
        return request.headers.get("x-forwarded-proto", request.url.scheme).strip().lower() == "https"
    return request.url.scheme == "https"


def _address(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None
