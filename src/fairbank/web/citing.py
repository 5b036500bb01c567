"""What a researcher writes about a job: methods, versions of datasets, acknowledgements; all of it from the hub."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairbank import __version__
from fairbank.errors import FairbankError, RemoteError
from fairbank.ontology.selection import in_words
from fairbank.ontology.signed_objects import Selector, Visa
from fairbank.web.api_client import HubApi, all_rows
from fairbank.web.result_files import left_out


@dataclass(frozen=True, slots=True)
class CitedDataset:
    """One dataset as it was when the job was sent.

    Attributes:
        version: of its record; None if the hub does not show it any more.
        selected: what the job took of it, in words; empty if the hub does not say.
        conditions: of the committee that granted it.
    """

    iri: str
    title: str
    publisher: str
    version: int | None
    digest: str
    licence: str
    selected: str
    conditions: tuple[str, ...]


def citation(api: HubApi, job: str) -> str:
    """Return methods, versions of datasets and acknowledgements of a job, as Markdown.

    Raises:
        JobNotFound: if the account has no such job.
    """
    view = api.get(f"/v1/jobs/{job}", signed_in=True)
    received = api.get(f"/v1/jobs/{job}/results", signed_in=True)["received"]
    exclusions = left_out(api, job)
    visa = _visa(api, str(view["visa"]))
    selected = {one["iri"]: _words(one["selector"]) for one in view.get("selections") or []}
    datasets = [_dataset(api, iri, view, visa, selected.get(iri, "")) for iri in view["datasets"]]
    sites = sorted({one["node"] for one in received})
    return written(view, datasets, sites=sites, exclusions=exclusions)


def written(
    job: Mapping[str, Any],
    datasets: Sequence[CitedDataset],
    *,
    sites: Sequence[str],
    exclusions: Sequence[Mapping[str, str]] = (),
) -> str:
    """Return the text about a job.

    Args:
        job: as the hub shows it.
        datasets: in the order of the job.
        sites: that delivered.
        exclusions: what they left out: site, reason, series, subjects.
    """
    code = job["code"]
    number = f"{len(sites)} {'site' if len(sites) == 1 else 'sites'}"
    where = f"at {number} ({', '.join(sites)})" if sites else "at no site yet"
    tool = f"{code['name']} {code['version']} (code {code['digest']})"
    lines = [
        "## Methods",
        "",
        f"The tool {tool} ran {where} through fairbank {__version__}. "
        "Images did not leave their sites; what came back passed the release gate of each. "
        f"The job {job['id']} (manifest {job['manifest']}) was submitted on {job['created'][:10]} "
        f"and is {job['state']}" + (f" since {job['ended'][:10]}." if job.get("ended") else "."),
        "",
    ]
    lines += [f"Selected from {one.title}: {one.selected}." for one in datasets if one.selected]
    if exclusions:
        said = "; ".join(
            f"{one['series']} series of {one['subjects']} subjects at {one['site']} ({one['reason']})"
            for one in exclusions
        )
        lines += ["", f"Not measured, or not in full: {said}."]
    lines += ["", "## Datasets", ""]
    lines += [f"{place}. {_entry(one)}" for place, one in enumerate(datasets, start=1)]
    lines += ["", "## Acknowledgements", ""]
    publishers = sorted({one.publisher for one in datasets if one.publisher})
    if publishers:
        lines.append(f"We thank {_listed(publishers)} for access to their collections.")
    lines += [f"Condition of access to {one.title}: {words}" for one in datasets for words in one.conditions]
    return "\n".join(lines).rstrip() + "\n"


def _entry(one: CitedDataset) -> str:
    publisher = f"{one.publisher}: " if one.publisher else ""
    version = "version no longer shown" if one.version is None else f"version {one.version} ({one.digest})"
    licence = f" Licence: {one.licence}." if one.licence else ""
    return f"{publisher}{one.title}, {version}. {one.iri}.{licence}"


def _listed(names: Sequence[str]) -> str:
    """Return names as a sentence has them.

    >>> _listed(["A"]), _listed(["A", "B", "C"])
    ('A', 'A, B and C')
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _dataset(api: HubApi, iri: str, job: Mapping[str, Any], visa: Visa | None, selected: str) -> CitedDataset:
    terms = visa.terms_of(iri) if visa is not None else None
    conditions = terms.conditions if terms is not None else ()
    name = iri.partition("/datasets/")[2]
    try:
        shown = api.get(f"/datasets/{name}")
        versions = api.get(f"/datasets/{name}/versions")["versions"]
    except RemoteError:
        return CitedDataset(iri, name, "", None, "", "", selected, conditions)
    # The record that stood when the job was sent; a dataset that came later under this name has none before.
    before = [one for one in versions if one["received"] <= job["created"]] or versions[-1:]
    return CitedDataset(
        iri,
        str(shown.get("title") or name),
        str(shown.get("publisher") or ""),
        before[0]["version"] if before else None,
        before[0]["digest"] if before else "",
        str(shown.get("licence") or ""),
        selected,
        conditions,
    )


def _visa(api: HubApi, digest: str) -> Visa | None:
    for each in all_rows(api, "/v1/grants", "grants"):
        try:
            visa, sealed = Visa.open(json.dumps(each["envelope"]).encode(), trusted=None)
        except FairbankError:
            continue
        if sealed.digest == digest:
            return visa
    return None


def _words(selector: Any) -> str:
    return in_words(Selector.model_validate_json(json.dumps(selector)))
