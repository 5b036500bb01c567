"""The parts of a bundle's configuration with references and expressions put in: plain values and names of classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from fairbank.analysis.bundle_expressions import NotTaken, is_reference, references, worked_out

_MOST_VALUES: Final = 20_000
_MOST_REFERENCES: Final = 400
_MISSING: Final = object()


class Parts:
    """One configuration that was scanned.

    Args:
        config: as its JSON has it.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._left = _MOST_VALUES

    def first(self, *names: str) -> Any:
        """Return the first of some parts that is there, all of it put in; None if none is.

        Args:
            names: ids, such as `train#inferer`.

        Raises:
            NotTaken: if it cannot be worked out.
        """
        for name in names:
            if (found := self._raw(name)) is not _MISSING:
                self._left = _MOST_VALUES
                try:
                    return self._put_in(found, (name,))
                except RecursionError as err:
                    raise NotTaken("its references lead too far") from err
        return None

    def has(self, name: str) -> bool:
        """Tell whether there is a part."""
        return self._raw(name) is not _MISSING

    def _put_in(self, value: Any, trail: tuple[str, ...]) -> Any:
        self._left -= 1
        if self._left < 0:
            raise NotTaken(f"it comes to more than {_MOST_VALUES} values")
        if isinstance(value, dict):
            return {key: self._put_in(inner, trail) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._put_in(one, trail) for one in value]
        if not isinstance(value, str):
            return value
        text = value.strip()
        if text.startswith("$"):
            return worked_out(text, lambda name: self._named(name, trail))
        return self._named(references(text)[0], trail) if is_reference(text) else value

    def _named(self, name: str, trail: tuple[str, ...]) -> Any:
        if name in trail:
            raise NotTaken(f"the reference @{name} leads back to itself")
        found = self._raw(name)
        if found is _MISSING:
            raise NotTaken(f"there is no part {name!r}")
        return self._put_in(found, (*trail, name))

    def _raw(self, name: str) -> Any:
        found: Any = self._config
        for step in name.split("#"):
            if isinstance(found, dict) and step in found:
                found = found[step]
            elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
                found = found[int(step)]
            else:
                return _MISSING
        return found


def reference_faults(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the place and the fault of each reference that leads nowhere or back to itself; nothing is worked out."""
    parts = Parts(config)
    leads = {place: set(references(text)) for place, text in texts(config)}
    if sum(len(names) for names in leads.values()) > _MOST_REFERENCES or len(leads) > _MOST_REFERENCES:
        yield "", f"it has more than {_MOST_REFERENCES} references and expressions"
        return
    nowhere = [
        (place, name) for place, names in leads.items() for name in sorted(names) if not parts.has(name)
    ]
    for place, name in nowhere:
        yield place, f"there is no part {name!r}"
    if nowhere:
        return
    graph = {
        place: {other for name in names for other in leads if _within(other, name) or _within(place, name)}
        for place, names in leads.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as err:
        yield str(err.args[1][0]), "the reference leads back to itself"


def _within(place: str, name: str) -> bool:
    return place == name or place.startswith(f"{name}#")


def texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each reference and expression."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from texts(inner, f"{place}#{key}" if place else str(key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from texts(one, f"{place}#{number}" if place else str(number))
    elif isinstance(value, str) and value.strip()[:1] in ("$", "@"):
        yield place, value
