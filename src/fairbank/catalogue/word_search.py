"""Finding datasets by words, best first; with a second try where nothing has the words as they were spelled.

Both tries look only at what the caller may see: a word that stands in a hidden dataset alone is neither found nor
offered, and does not keep the second try from being made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from fairbank.catalogue import search_index
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.facet_index import FacetIndex, Flags
from fairbank.catalogue.spelling import can_be_misspelt, nearest
from fairbank.catalogue.visibility import visible


@dataclass(frozen=True, slots=True)
class Spelling:
    """The words that nothing has, and those that were looked for instead."""

    no_result_for: str
    showing: str


@dataclass(frozen=True, slots=True)
class WordSearch:
    """Who looks for words among which datasets."""

    session: Session
    index: FacetIndex
    shown: Flags
    who: Account | None

    def find(self, words: str) -> tuple[list[int], Spelling | None]:
        """Return the places of the datasets that have all words, best first; without words, of all that are shown."""
        if not words.strip():
            return np.flatnonzero(self.shown).tolist(), None
        places = self._ranked(words)
        if places:
            return places, None
        meant = [self._meant(term) for term in search_index.terms(words)]
        showing = " ".join(word for word in meant if word is not None)
        places = self._ranked(showing) if None not in meant else []
        return places, Spelling(words, showing) if places else None

    def _ranked(self, words: str) -> list[int]:
        places = (self.index.place_of.get(iri) for iri in search_index.ranked(self.session, words))
        return [place for place in places if place is not None and self.shown[place]]

    def _meant(self, term: str) -> str | None:
        if self._ranked(term):
            return term
        word = term.lower()
        if not can_be_misspelt(word):
            return None
        return nearest(word, search_index.texts_near(self.session, word, visible(self.who)))
