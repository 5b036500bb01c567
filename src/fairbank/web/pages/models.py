"""Models: those that came of jobs, and the files that somebody brought for jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fairbank.catalogue.context import Hub
from fairbank.clock import parse_iso
from fairbank.database import reading
from fairbank.federated_jobs.hub import model_files, model_standing
from fairbank.federated_jobs.hub.model_standing import ModelLine
from fairbank.federated_jobs.reports.words import size
from fairbank.web.languages import mark
from fairbank.web.pages.page import Menu, Page
from fairbank.web.pages.visits import Visit

PATH: Final = "/models"
MINE, ALL = "mine", "all"
MOST: Final = 200
FORMATS: Final[dict[str, str]] = {
    "onnx": mark("a model in ONNX, to be run"),
    "monai-bundle": mark("a MONAI bundle, to be run or trained"),
    "safetensors": mark("weights, to start a training from"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A model in the list."""

    address: str
    model: ModelLine
    size: str


@dataclass(frozen=True, slots=True)
class Brought:
    """A file that the reader brought; `format` is a text that is yet to be translated."""

    address: str
    digest: str
    name: str
    format: str
    size: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Models:
    """`models.html`; `bounded` tells that only the newest are shown."""

    shown: str
    oversees: bool
    rows: tuple[Row, ...]
    bounded: bool
    brought: tuple[Brought, ...]


def show(hub: Hub, visit: Visit) -> Models:
    """Put the page together; who oversees all models may see those of everybody."""
    who = visit.account
    oversees = model_standing.oversees(who)
    shown = ALL if oversees and visit.asked.get("show") == ALL else MINE
    with reading(hub.engine) as session:
        lines = model_standing.listed(session, who.name if shown == MINE else None, limit=MOST)
        files = model_files.listed(session, who) if shown == MINE else []
    return Models(
        shown=shown,
        oversees=oversees,
        rows=tuple(Row(f"{PATH}/{each.digest}", each, size(each.size_bytes)) for each in lines),
        bounded=len(lines) == MOST,
        brought=tuple(
            Brought(
                f"{PATH}/{each['digest']}",
                each["digest"],
                each["name"],
                FORMATS[each["format"]],
                size(each["size_bytes"]),
                parse_iso(each["created"]),
            )
            for each in files
        ),
    )


PAGE = Page(name="models", path=PATH, context=Models, show=show, menu=Menu(mark("Models"), 47))
