"""The corpus through the engine, file by file, and what came of each file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.deid.corpus.planted import CorpusFile

from fairbank.deid.cleaning import Cleaned, Order, clean_file
from fairbank.deid.facts import Recorder
from fairbank.deid.key_file import KeyFile
from fairbank.deid.method import Method
from fairbank.deid.profiles import Profile

PROJECT = "corpus"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a file of the corpus: its output, or the reason that it was held for."""

    file: CorpusFile
    output: bytes | None = field(repr=False)
    reason: str | None = None


def key_of(secret: str) -> KeyFile:
    """Return a key that a test can name."""
    return KeyFile(hashlib.sha256(secret.encode()).digest())


def cleaned(files: Iterable[CorpusFile], profile: str, *, secret: str = "corpus") -> Iterator[Result]:
    """Yield the result for each file."""
    order = Order(PROJECT, Method(Profile(profile)))
    identity = key_of(secret)
    recorder = Recorder(agent="corpus", at=datetime(2026, 1, 1, tzinfo=UTC), tool="corpus")
    for file in files:
        result = clean_file(file.content, order, identity=identity, recorder=recorder)
        if isinstance(result, Cleaned):
            yield Result(file, result.content)
        else:
            yield Result(file, None, result.reason.value)
