"""From the counts of a collection, and what the index says of it, to the record that is published.

The minimum count is 1: the images are open to everyone, so a small number tells nothing that cannot be counted there.
Dates are not used: those of de-identified collections are shifted, and the index does not say which are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from fairbank import __version__
from fairbank.catalogue.idc import words
from fairbank.catalogue.idc.counts import Counts
from fairbank.catalogue.idc.source import PACKAGE, About, Index, Source
from fairbank.ontology.conditions import conditions
from fairbank.ontology.counts import Count
from fairbank.ontology.record import (
    UNKNOWN,
    AccessRights,
    Activity,
    ActivityKind,
    CollectionKind,
    DatasetRecord,
    Distribution,
    HowKnown,
    Stratum,
    Totals,
)
from fairbank.ontology.stewardship import ADDRESS, Stewardship
from fairbank.ontology.wire import moment

NODE: Final = "idc"
NODE_TITLE: Final = "NCI Imaging Data Commons (mirror of its public index)"
PUBLISHER: Final = "NCI Imaging Data Commons"
TOOL: Final = "fairbank catalogue import-idc"
AGENT: Final = "operator"
_ADDRESS: Final = re.compile(ADDRESS)
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_LONGEST_TITLE, _LONGEST_TEXT, _MOST_ADDRESSES = 200, 4_500, 50
_WHERE: Final = "Only the description is here: the images are at the Imaging Data Commons, open to everyone."
# The index says of no collection how it came to be; this follows from its programme.
_TRIALS: Final = frozenset({"nci_trials", "nctn"})
_TESTS: Final = frozenset({"midi"})
_PHANTOM: Final = "phantom"


def dataset_name(collection: str) -> str | None:
    """Return the name of a collection's dataset, None if its id cannot be one.

    >>> dataset_name("4d_lung"), dataset_name("µ")
    ('4d-lung', None)
    """
    name = re.sub(r"[^a-z0-9]+", "-", collection.lower()).strip("-")
    return name if _SLUG.fullmatch(name) else None


def record_of(index: Index, collection: str, counts: Counts, *, dataset: str, at: datetime) -> DatasetRecord:
    """Return the record of a collection, as its first version.

    Args:
        at: the moment of the import.
    """
    about = index.about.get(collection, About())
    licences = sorted(counts.subjects_by["licence"])
    return DatasetRecord(
        node=NODE,
        dataset=dataset,
        version=1,
        title=_title(about, collection),
        description=f"{about.description[:_LONGEST_TEXT]} {_WHERE}".strip(),
        keywords=_keywords(about, collection),
        publisher=PUBLISHER,
        licence=_licence(licences),
        access_rights=AccessRights.PUBLIC,
        collection_kind=_kind(about),
        minimum_count=1,
        totals=Totals(
            subjects=Count.exact(counts.subjects),
            studies=Count.exact(counts.studies),
            series=Count.exact(counts.series),
            instances=Count.exact(counts.instances),
        ),
        cube=tuple(_strata(counts)),
        distributions=tuple(_distributions(counts)),
        provenance=tuple(_provenance(index, about, counts, at)),
        stewardship=_stewardship(about, counts),
        created=moment(at),
    )


def _title(about: About, collection: str) -> str:
    name = about.name or collection
    titles = [source.title for source in about.sources if source.is_original and source.title]
    return (f"{name}: {titles[0]}" if titles and titles[0] != name else name)[:_LONGEST_TITLE]


def _keywords(about: About, collection: str) -> tuple[str, ...]:
    species = () if about.species in ("", "Human") else (about.species,)
    said = (about.name, collection, about.programme, *about.cancer_types, *about.locations, *species)
    return tuple(dict.fromkeys(each[:_LONGEST_TITLE] for each in said if each))


def _kind(about: About) -> CollectionKind:
    if about.programme in _TESTS or any(
        _PHANTOM in word.lower() for word in (*about.cancer_types, about.species)
    ):
        return CollectionKind.TEST
    return CollectionKind.TRIAL if about.programme in _TRIALS else CollectionKind.CLINICAL


def _licence(names: list[str]) -> str | None:
    """Return the address of the one licence, or the names of several: which series has which, a distribution says."""
    known = [name for name in names if name != UNKNOWN]
    if not known:
        return None
    if len(names) == 1:
        return words.licence_address(known[0]) or known[0]
    return " and ".join((*known, *(["none stated"] if UNKNOWN in names else [])))[:_LONGEST_TITLE]


def _strata(counts: Counts) -> Iterator[Stratum]:
    for cell in counts.cells:
        modality, body_part, manufacturer = cell.axes
        yield Stratum(
            modality=modality,
            body_part=body_part,
            manufacturer=manufacturer,
            slice_thickness=UNKNOWN,
            series=Count.exact(cell.series),
            studies=Count.exact(cell.studies),
            subjects=Count.exact(cell.subjects),
        )


def _distributions(counts: Counts) -> Iterator[Distribution]:
    for attribute, subjects in counts.subjects_by.items():
        for value in sorted(subjects, key=_in_order):
            yield Distribution(
                attribute=attribute,
                value=value,
                how_known=HowKnown.ARCHIVE,
                subjects=Count.exact(subjects[value]),
            )


def _in_order(value: str) -> tuple[bool, int, str]:
    """Sort bands of age by their lower end, and `unknown` last."""
    low = value.partition("-")[0].rstrip("+")
    return value == UNKNOWN, int(low) if low.isdecimal() and len(low) < 4 else 0, value


def _provenance(index: Index, about: About, counts: Counts, at: datetime) -> Iterator[Activity]:
    releases = [index.releases.get(number) for number in counts.releases or ()]
    parties = dict.fromkeys(party for source in about.sources for party in source.parties)
    if len(releases) == 2 and releases[0] is not None and releases[1] is not None:
        yield Activity(
            kind=ActivityKind.ACQUISITION,
            tool=PUBLISHER,
            tool_version=index.release,
            source_system="; ".join(parties)[:_LONGEST_TITLE] or None,
            agent=PUBLISHER,
            started=moment(releases[0]),
            ended=moment(releases[1]),
        )
    yield Activity(
        kind=ActivityKind.HARVEST,
        tool=TOOL,
        tool_version=__version__,
        profile=index.series.name[:_LONGEST_TITLE],
        profile_digest=index.digest,
        source_system=f"{PUBLISHER} {index.release}, {PACKAGE} {index.version}"[:_LONGEST_TITLE],
        agent=AGENT,
        started=moment(at),
        ended=moment(at),
    )


def _stewardship(about: About, counts: Counts) -> Stewardship | None:
    by_doi: dict[str, Source] = {source.doi: source for source in about.sources if source.doi}
    original: list[str] = []
    derived: list[str] = []
    for doi in sorted(set(counts.subjects_by["source-doi"]) - {UNKNOWN}):
        known = by_doi.get(doi)
        address = f"https://doi.org/{doi}"
        if _ADDRESS.fullmatch(address):
            (original if known is None or known.is_original else derived).append(address)
    pages = [source.address for source in about.sources if source.is_original]
    page = next((each for each in (*pages, *original) if _ADDRESS.fullmatch(each)), None)
    # Several places of tumours cannot be told apart by kind.
    place = about.locations[0] if len(about.locations) == 1 else None
    known_as = (word for kind in about.cancer_types for word in conditions(kind, location=place))
    said = Stewardship(
        landing_page=page,
        open_at=page,
        conditions=tuple(dict.fromkeys(known_as))[:_MOST_ADDRESSES],
        sources=tuple(original[:_MOST_ADDRESSES]),
        relations=tuple(derived[:_MOST_ADDRESSES]),
    )
    return said if said != Stewardship() else None
