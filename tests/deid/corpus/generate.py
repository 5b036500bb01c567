"""The whole corpus, or a part of it, from a seed: `python -m tests.deid.corpus.generate FOLDER [SEED]` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tests.deid.corpus.damaged_part import already_clean, clean_controls, damaged, series_of_studies
from tests.deid.corpus.hidden_part import hidden
from tests.deid.corpus.outside_part import outside
from tests.deid.corpus.own_part import character_sets, own_identifiers
from tests.deid.corpus.pixels_part import burned_in
from tests.deid.corpus.places_part import free_texts, graphics, leaky_places, private_look_alikes, reports
from tests.deid.corpus.planted import CorpusFile, write_corpus
from tests.deid.corpus.rules_part import rule_files

from fairbank.deid.rules import RULES

PUBLIC_SEED = 20261129


def whole(seed: int = PUBLIC_SEED) -> Iterator[CorpusFile]:
    """Yield every part."""
    yield from chain(rule_files(seed), leaky_places(seed), free_texts(seed, 4), private_look_alikes(seed))
    yield from chain(
        own_identifiers(seed, 3), character_sets(seed), reports(seed, 18), graphics(seed, 8), outside(seed)
    )
    yield from chain(burned_in(seed, 48), damaged(seed), already_clean(seed), clean_controls(seed, 110))
    yield from chain(hidden(seed), series_of_studies(seed, 6))


def sample(seed: int = PUBLIC_SEED) -> Iterator[CorpusFile]:
    """Yield a part that is quick to clean: a tenth of the rules, and something of everything else."""
    rules = tuple(rule for number, rule in enumerate(RULES) if number % 10 == seed % 10 or len(rule.tag) != 8)
    yield from chain(
        rule_files(seed, rules),
        _each(leaky_places(seed), 4),
        free_texts(seed),
        _each(private_look_alikes(seed), 3),
    )
    yield from chain(
        _each(own_identifiers(seed), 3), _each(character_sets(seed), 3), reports(seed, 3), graphics(seed, 2)
    )
    yield from chain(
        outside(seed), burned_in(seed, 4), damaged(seed), already_clean(seed), clean_controls(seed, 22)
    )
    yield from chain(_each(hidden(seed), 4), series_of_studies(seed, 2, 2))


def _each(files: Iterator[CorpusFile], step: int) -> Iterator[CorpusFile]:
    return (file for number, file in enumerate(files) if number % step == 0)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    write_corpus(
        whole(int(sys.argv[2]) if len(sys.argv) > 2 else PUBLIC_SEED), target / "files", target / "key.json"
    )
