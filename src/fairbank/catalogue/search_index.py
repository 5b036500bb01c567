"""The text index of the catalogue: FTS5 on SQLite, PostgreSQL's own text search there.

The index is derived: `prepare_index` makes it (it is no part of the schema's history) and `index_dataset` keeps it.
"""

from __future__ import annotations

import re

from sqlalchemy import text
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

TABLE = "catalogue_search_fts"
# Weights of title, keywords, facets and description in the ranking (bm25; the larger, the more it counts).
_WEIGHTS = "0.0, 8.0, 4.0, 2.0, 1.0"
_WORD = re.compile(r"\w+", re.UNICODE)


def prepare_index(engine: Engine) -> None:
    """Make the text index if the database needs one of its own."""
    if engine.dialect.name != "sqlite":
        return
    with engine.execution_options(fairbank_write=True).begin() as connection:
        connection.execute(
            text(
                f"CREATE VIRTUAL TABLE IF NOT EXISTS {TABLE} USING fts5("
                "iri UNINDEXED, title, keywords, facets, description, tokenize = 'porter unicode61')"
            )
        )


def index_dataset(
    session: Session, *, iri: str, title: str, keywords: str, facets: str, description: str
) -> None:
    """Enter a dataset's words, in the caller's writing transaction."""
    if session.get_bind().dialect.name != "sqlite":
        return
    forget_dataset(session, iri)
    session.execute(
        text(
            f"INSERT INTO {TABLE} (iri, title, keywords, facets, description) "  # noqa: S608  # our own constant
            "VALUES (:iri, :title, :keywords, :facets, :description)"
        ),
        {"iri": iri, "title": title, "keywords": keywords, "facets": facets, "description": description},
    )


def forget_dataset(session: Session, iri: str) -> None:
    """Take a dataset's words out, in the caller's writing transaction."""
    if session.get_bind().dialect.name != "sqlite":
        return
    session.execute(text(f"DELETE FROM {TABLE} WHERE iri = :iri"), {"iri": iri})  # noqa: S608  # our own constant


def ranked(session: Session, words: str) -> list[str]:
    """Return the IRIs of the datasets that hold all words (as beginnings of words), best first."""
    terms = _WORD.findall(words)[:20]
    if not terms:
        return []
    if session.get_bind().dialect.name == "sqlite":
        # Quoted, so that a word is never read as an operator of the query language.
        query = " ".join(f'"{term}"*' for term in terms)
        statement = (
            f"SELECT iri FROM {TABLE} WHERE {TABLE} MATCH :query "  # noqa: S608  # our own constants
            f"ORDER BY bm25({TABLE}, {_WEIGHTS}), iri"
        )
    else:
        query = " & ".join(f"{term.lower()}:*" for term in terms)
        statement = (
            "SELECT iri FROM (SELECT iri, search_text FROM catalogue_datasets UNION ALL "
            "SELECT iri, search_text FROM catalogue_described WHERE shown AND kind = 'dataset') AS everything "
            "WHERE to_tsvector('english', search_text) @@ to_tsquery('english', :query) "
            "ORDER BY ts_rank(to_tsvector('english', search_text), to_tsquery('english', :query)) DESC, iri"
        )
    return [row.iri for row in session.execute(text(statement), {"query": query})]
