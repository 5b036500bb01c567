"""The text index of the catalogue: FTS5 on SQLite, PostgreSQL's own text search and pg_trgm there.

The index is derived: `prepare_index` makes it (it is no part of the schema's history) and `index_dataset` keeps it.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from fairbank.catalogue.spelling import ALIKE, likeness, words_of
from fairbank.catalogue.store import DatasetRow

log = logging.getLogger("fairbank.catalogue")

TABLE = "catalogue_search_fts"
# The words of that table as it keeps them: their stems, without accents.
_STEMS = "catalogue_search_fts_stems"
# Weights of title, keywords, facets and description in the ranking (bm25; the larger, the more it counts).
_WEIGHTS = "0.0, 8.0, 4.0, 2.0, 1.0"
_MOST_TERMS = 20
_MOST_STEMS = 8
_MOST_TEXTS = 100
# On PostgreSQL. Their names say that they are no part of the schema's history either.
_WORDS = "ix_catalogue_datasets_fts_words"
_TRIGRAMS = "ix_catalogue_datasets_fts_trigrams"
# Any constant does: it names the lock that keeps two processes from making an index at once.
_LOCK = 0x6661_6973


def prepare_index(engine: Engine) -> None:
    """Make the text index, unless it is there."""
    if engine.dialect.name != "sqlite":
        _prepare_postgres(engine)
        return
    with engine.execution_options(fairbank_write=True).begin() as connection:
        connection.execute(
            text(
                f"CREATE VIRTUAL TABLE IF NOT EXISTS {TABLE} USING fts5("
                "iri UNINDEXED, title, keywords, facets, description, tokenize = 'porter unicode61')"
            )
        )
        connection.execute(
            text(f"CREATE VIRTUAL TABLE IF NOT EXISTS {_STEMS} USING fts5vocab({TABLE}, 'row')")
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


def terms(words: str) -> list[str]:
    """Return the words that are looked for.

    >>> terms("lung-CT & :*")
    ['lung', 'CT']
    """
    return words_of(words)[:_MOST_TERMS]


def ranked(session: Session, words: str) -> list[str]:
    """Return the IRIs of the datasets that hold all words (as beginnings of words), best first."""
    asked = terms(words)
    if not asked:
        return []
    if session.get_bind().dialect.name == "sqlite":
        # Quoted, so that a word is never read as an operator of the query language.
        query = " ".join(f'"{term}"*' for term in asked)
        statement = (
            f"SELECT iri FROM {TABLE} WHERE {TABLE} MATCH :query "  # noqa: S608  # our own constants
            f"ORDER BY bm25({TABLE}, {_WEIGHTS}), iri"
        )
    else:
        query = " & ".join(f"{term.lower()}:*" for term in asked)
        statement = (
            "SELECT iri FROM (SELECT iri, search_text FROM catalogue_datasets UNION ALL "
            "SELECT iri, search_text FROM catalogue_described WHERE shown AND kind = 'dataset') AS everything "
            "WHERE to_tsvector('english', search_text) @@ to_tsquery('english', :query) "
            "ORDER BY ts_rank(to_tsvector('english', search_text), to_tsquery('english', :query)) DESC, iri"
        )
    return list(session.execute(text(statement), {"query": query}).scalars())


def texts_near(session: Session, word: str, shown: ColumnElement[bool]) -> Sequence[str]:
    """Return the texts of datasets that may hold a word much like this one.

    Args:
        word: in small letters.
        shown: the condition on datasets that the caller may see.
    """
    statement = select(DatasetRow.search_text).where(shown)
    if session.get_bind().dialect.name == "sqlite":
        stems = _stems_near(session, word)
        query = " OR ".join(f'"{stem}"' for stem in stems) or '""'
        found = text(f"SELECT iri FROM {TABLE} WHERE {TABLE} MATCH :query").bindparams(query=query)  # noqa: S608  # our own constant
        return session.scalars(statement.where(DatasetRow.iri.in_(found)).limit(_MOST_TEXTS)).all()
    # In a database of locale C, pg_trgm knows only the English letters.
    if not word.isascii() or not _has_trigrams(session):
        return session.scalars(statement).all()
    # For this transaction. The word of a text is in the middle of it, so its trigrams at the ends count less.
    session.execute(
        text("SELECT set_config('pg_trgm.word_similarity_threshold', :alike, true)"), {"alike": str(ALIKE)}
    )
    near = DatasetRow.search_text.op("%>", is_comparison=True)(word)
    best_first = func.word_similarity(word, DatasetRow.search_text).desc()
    return session.scalars(statement.where(near).order_by(best_first).limit(_MOST_TEXTS)).all()


def _stems_near(session: Session, word: str) -> list[str]:
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", word) if letter.isalnum())
    parts = {f"part{place}": f"%{plain[place : place + 3]}%" for place in range(max(len(plain) - 2, 1))}
    like = " OR ".join(f"term LIKE :{name}" for name in parts)
    terms_found = session.execute(text(f"SELECT term FROM {_STEMS} WHERE {like}"), parts).scalars()  # noqa: S608  # our own constants
    # A stem has lost its ending, so it is less like the word than the word it stands for.
    ordered = sorted(((likeness(plain, stem), stem) for stem in terms_found), reverse=True)
    return [stem for alike, stem in ordered[:_MOST_STEMS] if alike >= ALIKE / 2]


def _has_trigrams(session: Session) -> bool:
    found = session.execute(text("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'"))
    return found.first() is not None


def _prepare_postgres(engine: Engine) -> None:
    with engine.connect() as connection:
        there = set(connection.execute(text("SELECT indexname FROM pg_indexes")).scalars())
    if _WORDS not in there:
        with engine.begin() as connection:
            _make_index(connection, _WORDS, "to_tsvector('english', search_text)")
    if _TRIGRAMS in there:
        return
    try:
        with engine.begin() as connection:
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
            _make_index(connection, _TRIGRAMS, "search_text gin_trgm_ops")
    except DBAPIError as err:
        log.warning(
            "pg_trgm cannot be used (%s): a misspelt word is looked for in all texts, which is slower. "
            "Let an administrator of the database run: CREATE EXTENSION pg_trgm",
            type(err.orig).__name__,
        )


def _make_index(connection: Connection, name: str, what: str) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:name)"), {"name": _LOCK})
    connection.execute(
        text(f"CREATE INDEX IF NOT EXISTS {name} ON {DatasetRow.__tablename__} USING gin ({what})")
    )
