"""Pages from templates: everything that is put into one is escaped, every text passes the language of its reader."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import HTMLResponse

from fairbank.web import job_words, request_words
from fairbank.web.error_words import error_words, sentence
from fairbank.web.frame import Frame
from fairbank.web.languages import Tongue, is_just_now, texts_of
from fairbank.web.pages.visits import Fields
from fairbank.web.state_table import words_of

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES: Final = Path(__file__).with_name("templates")
PART: Final = "part_"


def render(
    template: str,
    page: Any,
    frame: Frame,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **more: object,
) -> HTMLResponse:
    """Return a page that nothing may keep.

    Args:
        template: its name, without `.html`.
        page: the dataclass that it shows.
    """
    text = markup(template, page, frame, more=more)
    return HTMLResponse(text, status_code=status, headers={"Cache-Control": "no-store", **(headers or {})})


def markup(
    template: str,
    page: Any,
    frame: Frame,
    *,
    part: str | None = None,
    more: Mapping[str, object] | None = None,
) -> str:
    """Return the text of a page, or of one part of it.

    Args:
        part: id of the part; the template has it as the block `part_ID`.
        more: further names for the template.
    """
    found = environment(frame.tongue.code).get_template(f"{template}.html")
    names = {"page": page, "frame": frame, "problem": None, "typed": Fields(), **(more or {})}
    if part is None:
        return found.render(names)
    context = found.new_context(names)
    return "".join(found.blocks[PART + part](context))


@lru_cache(maxsize=8)
def environment(code: str) -> Environment:
    """Return what reads the templates for one language."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from fairbank.web.pages.me import ROLES

    # Bandit reads the call only; everything is escaped.
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    tongue, texts = Tongue(code), texts_of(code)
    made.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        texts.gettext, texts.ngettext, newstyle=True
    )
    made.filters.update(
        number=tongue.number, day=tongue.day, moment=tongue.moment, span=tongue.span, words=tongue.say
    )
    made.filters["error_words"] = lambda error: error_words(error, tongue)
    made.filters["sentence"] = lambda text: sentence(text, tongue)
    made.tests["just_now"] = is_just_now
    made.globals.update(
        state_of=words_of,
        verdicts=request_words.VERDICTS,
        votes=request_words.VOTES,
        reasons=request_words.REASONS,
        outputs=request_words.OUTPUTS,
        kinds=request_words.KINDS,
        evidence=request_words.EVIDENCE,
        stages=request_words.STAGES,
        happened=request_words.HAPPENED,
        commands=request_words.COMMANDS,
        places=request_words.PLACES,
        role_words=ROLES,
        purposes=request_words.PURPOSES,
        classes=request_words.CLASSES,
        job_happened=job_words.HAPPENED,
    )
    return made
