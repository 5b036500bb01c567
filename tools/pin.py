"""Write constraints.txt from the environment it runs in: everything that `fairbank[dev,bench]` pulls in, exactly.

    .venv/bin/python tools/pin.py

The pins are what the tests ran with. Local version labels (`+cpu`) are left out, so that any build of a version fits.
`constraints-peers.txt` is written by hand: it holds what the foreign clients were released for.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

TARGET = Path(__file__).resolve().parent.parent / "constraints.txt"
HEADER = """\
# What the tests ran with. Written by tools/pin.py; pip reads it with -c.
# torch comes first in 'make setup': every other package then finds it there and takes no other build.
"""


def closure(name: str, extras: frozenset[str]) -> dict[str, str]:
    """Return name and version of every installed distribution that `name[extras]` needs."""
    found: dict[str, str] = {}
    waiting = [(name, extras)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        current, wanted = waiting.pop()
        if (current, wanted) in seen:
            continue
        seen.add((current, wanted))
        try:
            installed = distribution(current)
        except PackageNotFoundError:
            continue
        found[canonicalize_name(current)] = Version(installed.version).public
        for line in installed.requires or []:
            need = Requirement(line)
            active = need.marker is None or any(
                need.marker.evaluate({"extra": extra}) for extra in wanted | {""}
            )
            if active:
                waiting.append((canonicalize_name(need.name), frozenset(need.extras)))
    return found


def main() -> None:
    """Write the file."""
    found = closure("fairbank", frozenset({"dev", "bench"}))
    del found["fairbank"]
    pins = [f"{name}=={version}" for name, version in sorted(found.items())]
    TARGET.write_text(HEADER + "\n".join(pins) + "\n", encoding="utf-8")
    print(f"{TARGET.name}: {len(pins)} pins")


if __name__ == "__main__":
    main()
