"""The sites of a grant before a training is sent: live counts, what they have published, groups of alike ones."""

from __future__ import annotations

import json
from typing import Any

from fairbank.errors import RemoteError
from fairbank.federated_jobs.site_groups import groups, mix_of
from fairbank.ontology.signed_objects import Selector, VisaDataset
from fairbank.web import acts, selections
from fairbank.web.api_client import HubApi

_NOT_FOUND = 404
_KINDS_SHOWN = 3


def sites_of_grant(api: HubApi, grant: str, *, wait_s: int) -> list[dict[str, Any]]:
    """Return one row per granted dataset: group, site, subjects, images, dataset; in the order of the groups.

    Raises:
        NoSuchGrant: if there is none that holds.
    """
    visa = acts.grant(api, grant)
    granted: Any = visa.payload["datasets"]
    datasets = [
        VisaDataset(iri=one["iri"], selector=Selector.model_validate_json(json.dumps(one["selector"])))
        for one in granted
    ]
    asked = selections.ask_counts(api, datasets, visa=visa)
    counted = selections.counts(api, asked, wait_s=wait_s)
    subjects = {answer.dataset: str(answer.subjects) for answer in counted.answers}
    mixes = {one.iri: _mix(api, one.iri) for one in datasets}
    return [
        {
            "group": number,
            "site": iri.rpartition("/datasets/")[2].partition("/")[0],
            "subjects": subjects.get(iri, ""),
            "images": _in_words(mixes[iri]),
            "dataset": iri,
        }
        for number, group in enumerate(groups(mixes), 1)
        for iri in group
    ]


def _mix(api: HubApi, iri: str) -> dict[str, float]:
    try:
        found = api.get(f"/datasets/{iri.rpartition('/datasets/')[2]}", with_token=True)
    except RemoteError as err:
        # A dataset that was granted may be hidden from the catalogue since.
        if err.status != _NOT_FOUND:
            raise
        return {}
    return mix_of(found.get("cube", []))


def _in_words(mix: dict[str, float]) -> str:
    if not mix:
        return "nothing published"
    ordered = sorted(mix, key=lambda name: (-mix[name], name))
    words = [f"{100 * mix[name]:.0f} % {name}" for name in ordered[:_KINDS_SHOWN]]
    return "; ".join([*words, "…"] if len(ordered) > _KINDS_SHOWN else words)
