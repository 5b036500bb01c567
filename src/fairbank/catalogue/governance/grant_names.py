"""What a grant is called for people: its datasets by their titles, its purpose in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.catalogue.store import DatasetRow
from fairbank.ontology.data_use import TERMS


def titles(session: Session, iris: Iterable[str]) -> dict[str, str]:
    """Return the titles of datasets by their IRIs; one that the catalogue no longer knows is called by its IRI."""
    wanted = sorted(set(iris))
    found = session.execute(select(DatasetRow.iri, DatasetRow.title).where(DatasetRow.iri.in_(wanted)))
    return {iri: iri for iri in wanted} | {iri: title for iri, title in found if title}


def purpose_told(purpose: Mapping[str, Any]) -> dict[str, Any]:
    """Return the purpose of a visa or request with the labels of its codes; `words` is all of it in one line.

    >>> purpose_told({"data_use": ["DUO:0000006"], "commercial": False})["words"]
    'health or medical or biomedical research'
    """
    codes = [str(code) for code in purpose.get("data_use", ())]
    named = [{"code": code, "label": TERMS[code].label if code in TERMS else code} for code in codes]
    diseases, commercial = list(purpose.get("diseases", ())), bool(purpose.get("commercial", False))
    words = [*(each["label"] for each in named), *diseases, *(["commercial"] if commercial else [])]
    return {"words": ", ".join(words), "data_use": named, "diseases": diseases, "commercial": commercial}
