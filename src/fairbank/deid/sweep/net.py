"""Tokens, ready to be sought: compiled once per subject."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

from fairbank.deid.sweep.areas import Areas
from fairbank.deid.sweep.grams import Grams
from fairbank.deid.sweep.numbers import LONG, numbers_in
from fairbank.deid.sweep.tokens import Tokens, order_least

_WORDS = re.compile(rb"[0-9a-z\x80-\xff]+|\n")
_GAPS = b" -'`._^,;:/\\()[]{}\"+=*\xb4"
_LEAST_IN_PIXELS = 7
# A net of a person takes some 0.2 MB, and files come series by series.
_KEPT_PERSONS, _KEPT_DEVICES = 8, 64

Stated = frozenset[str]


@dataclass(frozen=True)
class Net:
    """What is sought of one subject."""

    tokens: Tokens

    def __repr__(self) -> str:
        return "Net(…)"

    def finds(self, areas: Areas) -> bool:
        """Return whether a name, a number or a code is in an output, before its pixels."""
        if self._raw.found_in(areas.walked.body, areas.walked.start, areas.border):
            return True
        if self._in_text(areas.text) or (areas.folded is not None and self._in_text(areas.folded)):
            return True
        return bool(self._long_numbers) and not self._long_numbers.isdisjoint(numbers_in(areas.numeric))

    @cached_property
    def own_words(self) -> frozenset[str]:
        """Return the lower-case words to mask in descriptors."""
        return frozenset(self.tokens.own)

    def _in_text(self, text: bytes) -> bool:
        if self._squeezed.found_in(text.translate(None, _GAPS)):
            return True
        if self.tokens.numbers and not self.tokens.numbers.isdisjoint(numbers_in(text)):
            return True
        if not self.tokens.short and not self.tokens.pairs:
            return False
        words = _WORDS.findall(text)
        if not self.tokens.short.isdisjoint(words):
            return True
        return not self.tokens.pairs.isdisjoint(pairwise(words))

    @cached_property
    def _raw(self) -> Grams:
        return Grams(self.tokens.raw)

    @cached_property
    def _squeezed(self) -> Grams:
        return Grams(self.tokens.squeezed)

    @cached_property
    def in_pixels(self) -> Grams:
        """Return what is sought in pixel data: what is long enough not to be there by chance."""
        long = {token for token in self.tokens.raw | self.tokens.squeezed if len(token) >= _LEAST_IN_PIXELS}
        return Grams(long, aligned=True)

    @cached_property
    def _long_numbers(self) -> frozenset[str]:
        return frozenset(number for number in self.tokens.numbers if len(number) >= LONG)


@lru_cache(maxsize=_KEPT_PERSONS)
def person_net(names: Stated, numbers: Stated, orders: Stated, phones: Stated, places: Stated) -> Net:
    """Return the net of what a file states of a person."""
    tokens = Tokens()
    for name in names:
        tokens.add_name(name)
    for number in numbers:
        tokens.add_id(number)
    for number in orders:
        tokens.add_id(number, least=order_least())
    for phone in phones:
        tokens.add_phone(phone)
    for place in places:
        tokens.add_text(place)
    return Net(tokens)


@lru_cache(maxsize=_KEPT_DEVICES)
def device_net(devices: Stated, models: Stated) -> Net:
    """Return the net of a device's own numbers and names, less what its maker calls every such device."""
    tokens = Tokens()
    for device in devices:
        if not any(device.lower() in model.lower() for model in models):
            tokens.add_id(device, least=order_least())
    tokens.pairs.clear()
    return Net(tokens)
