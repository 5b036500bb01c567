"""The subject's own identifiers: taken from a file before it is cleaned, looked for in what comes out.

This is a net under the rules, not a rule: a hit sends the file to quarantine. `sweep/` knows how names, numbers and
days are written; here it is said which of them are sought under which method.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass, fields
from datetime import date
from functools import cached_property

from pydicom.dataset import Dataset

from fairbank.deid.rules import Option
from fairbank.deid.sweep.areas import Areas
from fairbank.deid.sweep.days import NO_DAYS, days_in, days_of_value
from fairbank.deid.sweep.grams import Grams, any_found
from fairbank.deid.sweep.harvest import Harvest, Kind, harvest, harvest_walked
from fairbank.deid.sweep.net import Net, device_net, person_net
from fairbank.deid.sweep.public_uids import is_public
from fairbank.deid.sweep.recognised import Recognisable
from fairbank.deid.sweep.walk import Walked

_UID_IN_TEXT = re.compile(rb"(?<![0-9.])[0-9]+(?:\.[0-9]+){4,}")
_LEAST_UID = 10
_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=False)
class Identifiers:
    """What identifies a subject, as a file states it. Never printed.

    Attributes:
        names, numbers, orders, phones, places: values of the patient's elements, decoded.
        devices, models: numbers and names of the device; what its maker calls it.
        birth, days: the day of birth; every other day.
        uids: every UID that is not public; `device_uids` are those that go with the device's identity.
    """

    names: frozenset[str] = _NOTHING
    numbers: frozenset[str] = _NOTHING
    orders: frozenset[str] = _NOTHING
    phones: frozenset[str] = _NOTHING
    places: frozenset[str] = _NOTHING
    devices: frozenset[str] = _NOTHING
    models: frozenset[str] = _NOTHING
    uids: frozenset[str] = _NOTHING
    device_uids: frozenset[str] = _NOTHING
    birth: frozenset[date] = frozenset()
    days: frozenset[date] = frozenset()

    def __repr__(self) -> str:
        return "Identifiers(…)"

    def merged(self, other: Identifiers) -> Identifiers:
        """Return the identifiers of both: those of other files of the same subject are sought as well."""
        both = {one.name: getattr(self, one.name) | getattr(other, one.name) for one in fields(self)}
        return Identifiers(**both)

    @property
    def of_person(self) -> Identifiers:
        """Return what is the same in all files of a person: without UIDs, devices, and days but that of birth."""
        return Identifiers(
            names=self.names,
            numbers=self.numbers,
            orders=self.orders,
            phones=self.phones,
            places=self.places,
            birth=self.birth,
        )

    @property
    def own_words(self) -> frozenset[str]:
        """Return the lower-case words that are masked in descriptors, clinical words among them."""
        return self._person.own_words

    @property
    def words(self) -> frozenset[str]:
        """Return the letters and digits of each name and code, in lower case and without marks, for text in pixels."""
        return frozenset(self._person.tokens.seen)

    def kinds_in(self, areas: Areas, options: Set[Option] = frozenset()) -> tuple[str, ...]:
        """Return which kinds of identifiers an output holds: `name-or-number`, `device`, `uid`, `date`.

        Args:
            areas: the output.
            options: those that ran; what they retain is not sought.
        """
        found = []
        keeps_device, keeps_uids = Option.RETAIN_DEVICE_IDENTITY in options, Option.RETAIN_UIDS in options
        in_pixels = self._in_pixels(areas, keeps_device=keeps_device, keeps_uids=keeps_uids)
        if "name-or-number" in in_pixels or self._person.finds(areas):
            found.append("name-or-number")
        if not keeps_device and (
            "device" in in_pixels or self._device.finds(areas) or not self.device_uids.isdisjoint(areas.uids)
        ):
            found.append("device")
        if not keeps_uids and ("uid" in in_pixels or self._uid_in(areas)):
            found.append("uid")
        if self._day_in(areas, keeps_days=Option.RETAIN_FULL_DATES in options):
            found.append("date")
        return tuple(found)

    def _in_pixels(self, areas: Areas, *, keeps_device: bool, keeps_uids: bool) -> Set[str]:
        """Return the kinds of what is in the pixels: which of them is only asked where there is something."""
        sought = {"name-or-number": self._person.in_pixels}
        sought |= {} if keeps_device else {"device": self._device.in_pixels}
        sought |= {} if keeps_uids else {"uid": self._pixel_uids}
        if not any_found(sought.values(), areas.pixels):
            return frozenset()
        return {kind for kind, grams in sought.items() if any_found([grams], areas.pixels)}

    def looks_like_own(self, text: str) -> bool:
        """Return whether a text that was recognised in pixels holds a name, a number or the day of birth."""
        if self._recognisable.is_in(text):
            return True
        return not self._sought_days.isdisjoint(days_in(text.lower().encode("latin-1", "ignore")))

    def _uid_in(self, areas: Areas) -> bool:
        if not self.uids.isdisjoint(areas.uids):
            return True
        long = self._long_uids
        return any(found[0].decode() in long for found in _UID_IN_TEXT.finditer(areas.text))

    def _day_in(self, areas: Areas, *, keeps_days: bool) -> bool:
        sought = self._birth if keeps_days else self._sought_days
        if not sought:
            return False
        # Elements of days are judged by how far they were moved, not by what they say: see verification/days.py.
        return not sought.isdisjoint(days_in(areas.text))

    @cached_property
    def _person(self) -> Net:
        return person_net(self.names, self.numbers, self.orders, self.phones, self.places)

    @cached_property
    def _device(self) -> Net:
        return device_net(self.devices, self.models)

    @cached_property
    def _recognisable(self) -> Recognisable:
        return Recognisable.of(self._person.tokens.seen)

    @cached_property
    def _birth(self) -> frozenset[date]:
        return self.birth - NO_DAYS

    @cached_property
    def _sought_days(self) -> frozenset[date]:
        return (self.birth | self.days) - NO_DAYS

    @cached_property
    def _long_uids(self) -> frozenset[str]:
        return frozenset(uid for uid in self.uids if len(uid) >= _LEAST_UID)

    @cached_property
    def _pixel_uids(self) -> Grams:
        longest = sorted(self._long_uids, key=lambda uid: (-len(uid), uid))[:2]
        return Grams((uid.encode("latin-1").lower() for uid in longest), aligned=True)


NOTHING_STATED = Identifiers()


def identifiers_of(dataset: Dataset) -> Identifiers:
    """Return the identifiers that a file states about its own subject, at any depth."""
    return _identifiers(harvest(dataset))


def identifiers_in(walked: Walked) -> Identifiers:
    """Return the same of a dataset that was read by `sweep.walk`."""
    return _identifiers(harvest_walked(walked))


def _identifiers(found: Harvest) -> Identifiers:
    def stated(kind: Kind) -> frozenset[str]:
        return frozenset(found.texts.get(kind, ()))

    return Identifiers(
        names=stated(Kind.NAME),
        numbers=stated(Kind.NUMBER),
        orders=stated(Kind.ORDER),
        phones=stated(Kind.PHONE),
        places=stated(Kind.PLACE),
        devices=stated(Kind.DEVICE),
        models=stated(Kind.MODEL),
        uids=frozenset(uid for uid in found.uids if not is_public(uid)),
        device_uids=frozenset(uid for uid in found.device_uids if not is_public(uid)),
        birth=frozenset[date]().union(*map(days_of_value, found.birth)),
        days=frozenset[date]().union(*map(days_of_value, found.dates)),
    )
