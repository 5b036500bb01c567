"""Putting routers together without having the framework read every route a second time."""

from __future__ import annotations

from fastapi import APIRouter


def join(whole: APIRouter, *parts: APIRouter) -> None:
    """Add the routes of the parts to the whole, as they are and in this order.

    `include_router` would analyse each route again, at each level of nesting, once when the application is made and
    once at the first request, and would look for an address level by level. What it does besides, none of our parts
    needs: they have no prefix, no dependencies of their own and no life span, and each route carries the tags of the
    part that it was made in.
    """
    for part in parts:
        whole.routes.extend(part.routes)
