"""The frame of plain pages for people: no script, no picture, nothing of another host."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_HEAD = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
{style}</head>
<body><main>
"""
_OF_THE_HUB = '<link rel="stylesheet" href="/static/app.css">'
# A file that somebody keeps has no hub to ask for a style sheet.
_OF_A_FILE = """<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .5rem; border-bottom: 1px solid #bbb; vertical-align: top }
td { overflow-wrap: anywhere; min-width: 6rem }
</style>"""
_FOOT = "</main></body></html>\n"


def framed(title: str, parts: Iterable[str], *, alone: bool = False) -> str:
    """Return a page of parts that are HTML already; the title is text.

    Args:
        alone: it is a file that is kept and opened by itself, such as a letter.
    """
    style = _OF_A_FILE if alone else _OF_THE_HUB
    return "".join((_HEAD.format(title=escape(title), style=style), *parts, _FOOT))
