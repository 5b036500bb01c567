"""The frame of plain pages for people: no script, no picture, nothing of another host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final
from urllib.parse import urlencode

from starlette.responses import HTMLResponse

# What one person is shown is kept for nobody else; what else pages say to browsers the assembly adds to every answer.
HEADERS: Final = {"Cache-Control": "private, no-store"}
MENU: Final = (
    '<nav aria-label="Pages"><a href="/">Catalogue</a> · <a href="/requests">Requests</a> · '
    '<a href="/grants">Grants</a> · <a href="/account">Account</a></nav>\n'
)

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


def answer(title: str, parts: Iterable[str]) -> HTMLResponse:
    """Return a page for one who is signed in, as an answer."""
    return HTMLResponse(framed(f"{title} · fairbank", parts), headers=HEADERS)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """Return a table whose cells are HTML already."""
    if not rows:
        return "<p>None.</p>\n"
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>\n{body}\n</tbody></table>\n"
    )


def following(mark: str | None, path: str, kept: Mapping[str, str | None], words: str) -> str:
    """Return the link to the page that begins after a mark; nothing if there is none."""
    if mark is None:
        return ""
    query = urlencode({**{key: value for key, value in kept.items() if value}, "after": mark})
    return f'<p><a rel="next" href="{escape(f"{path}?{query}")}">{escape(words)}</a></p>\n'


def time(moment: str) -> str:
    """Return a moment, given as on the wire, to the minute."""
    return f'<time datetime="{escape(moment)}">{escape(moment[:16].replace("T", " "))} UTC</time>'


def link(address: str, text: str) -> str:
    """Return a link; the text alone where the address is none of the web, or of the few of this hub that are meant."""
    # What somebody wrote must not become a script of this page.
    if not address.startswith(("http://", "https://", "/jobs/new?", "/requests/", "/v1/requests/")):
        return escape(text)
    return f'<a href="{escape(address)}">{escape(text)}</a>'
