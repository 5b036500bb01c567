"""Look at what is installed, without network: is it pinned, may it be used, is it known to be vulnerable.

    .venv/bin/python tools/check_dependencies.py

Of everything that `fairbank[dev]` pulls in: the version is the one in constraints.txt; it is a release, not a folder
or a repository; its licence goes together with Apache-2.0; it is none of `known_vulnerabilities.toml`. This
knows what is written down here. It does not replace an audit with a network (pip-audit), which knows what was found
since.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

TOOLS = Path(__file__).resolve().parent
CONSTRAINTS = TOOLS.parent / "constraints.txt"
KNOWN = TOOLS / "known_vulnerabilities.toml"

# Words that licences which go together with Apache-2.0 are stated by; all parts of a statement need one.
_FITTING = re.compile(
    r"apache|\bmit\b|bsd|isc\b|psf|python software foundation|mpl|mozilla public|unlicense|public domain|zlib|cc0"
    r"|0bsd|hpnd|cnri|blueoak|lgpl|lesser general public|upl|nvidia|zpl|historical permission",
    re.I,
)
_UNFIT = re.compile(r"\bagpl|affero|(?<!l)gpl(?!.*lesser)|(?<!lesser )general public license", re.I)
# Looked at by hand: what their files say where their metadata says nothing, or too much.
LOOKED_AT = {
    "axe-playwright-python": "MIT; it brings axe-core, MPL-2.0; only tests run it",
    "dcm2niix": "BSD-2-Clause and public domain, each file naming its own; a program that only tests run",
    "owlrl": "the W3C software notice and licence, which allows use, change and distribution",
}


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """A published fault, and the first version without it."""

    package: str
    id: str
    fixed_in: str
    what: str


def main() -> None:
    """Print what is wrong, and exit with 1 if there is anything."""
    wrong = [*problems(pins(), known())]
    for line in wrong:
        print(line)
    raise SystemExit(bool(wrong))


def problems(pinned: dict[str, str], faults: list[Vulnerability]) -> Iterator[str]:
    """Yield what is wrong with what is installed of the pins."""
    for name, version in sorted(pinned.items()):
        try:
            installed = distribution(name)
        except ModuleNotFoundError:
            continue
        yield from of_one(name, version, installed, faults)
    for fault in faults:
        if fault.package not in pinned:
            yield f"{fault.package}: not among the pins; take {fault.id} out of {KNOWN.name}"


def of_one(name: str, pinned: str, installed: Distribution, faults: list[Vulnerability]) -> Iterator[str]:
    """Yield what is wrong with one distribution."""
    version = Version(installed.version)
    if version.public != pinned:
        yield f"{name}: {version} is installed, and {pinned} is pinned"
    if (source := installed.read_text("direct_url.json")) is not None and "archive_info" not in json.loads(
        source
    ):
        yield f"{name}: it was built from a folder or a repository, not from a release"
    for fault in faults:
        if fault.package == name and version < Version(fault.fixed_in):
            yield f"{name} {version}: {fault.id} ({fault.what}); use {fault.fixed_in} or later"
    if name not in LOOKED_AT and not is_fitting(licence(installed)):
        yield f"{name}: its licence is {licence(installed)!r}; look at it"


def licence(installed: Distribution) -> str:
    """Return what a distribution says of its licence: an expression, else classifiers, else the first line of text."""
    said = installed.metadata
    if expression := said.get("License-Expression"):
        return str(expression)
    classified = [
        line.rpartition(" :: ")[2]
        for line in said.get_all("Classifier") or []
        if line.startswith("License ::") and not line.endswith("OSI Approved")
    ]
    return "; ".join(classified) or (said.get("License") or "").strip().partition("\n")[0]


def is_fitting(statement: str) -> bool:
    """Tell whether a licence goes together with Apache-2.0; of a choice, one is enough.

    >>> is_fitting("MIT OR GPL-2.0-only"), is_fitting("GPL-3.0-or-later"), is_fitting("")
    (True, False, False)
    """
    choices = re.split(r"\bOR\b", statement)
    return any(_FITTING.search(each) and not _UNFIT.search(each) for each in choices)


def pins() -> dict[str, str]:
    """Return the pinned version of each package."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def known() -> list[Vulnerability]:
    """Return the published faults that are written down."""
    entries = tomllib.loads(KNOWN.read_text(encoding="utf-8"))["vulnerability"]
    return [Vulnerability(**entry) for entry in entries]


if __name__ == "__main__":
    main()
