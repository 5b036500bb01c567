"""Pages from templates: everything that is put into one is escaped."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = Path(__file__).with_name("templates")


def render(template: str, page: Any, *, status: int = 200) -> HTMLResponse:
    """Return a page.

    Args:
        template: its name, without `.html`.
        page: the dataclass that it shows.
    """
    text = _environment().get_template(f"{template}.html").render(page=page)
    return HTMLResponse(text, status_code=status, headers={"Cache-Control": "no-store"})


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined)
