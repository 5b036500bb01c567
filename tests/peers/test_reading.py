"""fairdatapoint-client, as it comes, reads all that a live hub shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.peers
AUTHORITY = "http://publications.europa.eu/resource/authority/access-right/"


@pytest.mark.parametrize("form", ["turtle", "json-ld", "xml", "nt", "n3"])
def test_everything_is_found_by_type_and_id_in_every_format(
    live: Any, driver: Callable[..., Any], form: str
) -> None:
    found = driver("read", live.url, form)
    assert found["fdp"] == "fdp"
    datasets = f"{live.url}/datasets"
    assert [line[:-1] for line in found["lines"]] == [
        [f"{live.url}/catalog/alpha", "Catalog"],
        [f"{datasets}/alpha/brains", "Dataset"],
        [f"{datasets}/alpha/brains#in-situ", "Distribution"],
        [f"{datasets}/alpha/lungs", "Dataset"],
        [f"{datasets}/alpha/lungs#in-situ", "Distribution"],
        [f"{live.url}/catalog/beta", "Catalog"],
        [f"{datasets}/beta/hearts", "Dataset"],
        [f"{datasets}/beta/hearts#in-situ", "Distribution"],
    ]


@pytest.mark.parametrize("form", ["turtle", "json-ld", "xml"])
def test_letters_with_accents_arrive_as_they_are(live: Any, driver: Callable[..., Any], form: str) -> None:
    titles = {line[0]: line[-1] for line in driver("read", live.url, form)["lines"]}
    assert titles[f"{live.url}/datasets/alpha/lungs"] == "Poumons de l'Hôpital"
    assert titles[f"{live.url}/datasets/alpha/brains"] == "Gehirne – 脑 – 🧠"


def test_a_walk_by_containers_reads_every_member_at_its_own_iri(
    live: Any, driver: Callable[..., Any]
) -> None:
    found = driver("walk", live.url)
    assert found["seen"][f"{live.url}/"] == [f"{live.url}/catalog/alpha", f"{live.url}/catalog/beta"]
    datasets = [f"{live.url}/datasets/{name}" for name in ("alpha/brains", "alpha/lungs", "beta/hearts")]
    assert found["distributions"] == [f"{dataset}#in-situ" for dataset in datasets]
    assert found["rights"] == {dataset: [f"{AUTHORITY}NON_PUBLIC"] for dataset in datasets}
