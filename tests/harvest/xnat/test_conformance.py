"""What must hold of any XNAT: run on the stand-in always, and on a real one that `FAIRBANK_LIVE_XNAT` names.

The real one is only read; its containers are looked at one after the other until one has images.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairbank.errors import Sensitive
from fairbank.harvest.errors import NotInSource, SourceForbidden
from fairbank.harvest.sources.protocol import ChangeFeed, DeidFacts, DescribesSeries, Snapshot
from fairbank.harvest.sources.secret_files import read_secret
from fairbank.harvest.sources.xnat import XnatSource

_MOST_PROJECTS = 20


class Noting(httpx.HTTPTransport):
    """Notes what is asked on its way to the archive."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.method, request.url.path))
        return super().handle_request(request)


@dataclass
class Archive:
    """An XNAT with images, read by the source and known to another client."""

    source: XnatSource
    noting: Noting
    url: str
    user: str
    password: str
    container: str
    snapshot: Snapshot


@pytest.fixture(params=["standin", pytest.param("live", marks=pytest.mark.live_xnat)])
def archive(request: pytest.FixtureRequest, xnat: Any) -> Iterator[Archive]:
    if request.param == "live":
        url, user = os.environ["FAIRBANK_LIVE_XNAT"], os.environ["FAIRBANK_LIVE_XNAT_USER"]
        secret = read_secret(Path(os.environ["FAIRBANK_LIVE_XNAT_PASSWORD_FILE"]))
    else:
        xnat.source()
        url, user, secret = xnat.url, "reader", Sensitive("reader", reference="password")
    noting = Noting()
    # Slowly: a real archive has its own people to serve.
    pace = 5 if request.param == "live" else 1000
    source = XnatSource(url, user, secret, name="archive", requests_per_s=pace, transport=noting)
    for container in source.list_containers()[:_MOST_PROJECTS]:
        snapshot = source.snapshot(container.id)
        if snapshot.items:
            yield Archive(source, noting, url, user, secret.reveal(), container.id, snapshot)
            source.close()
            return
    pytest.fail("none of the first projects of this archive has images")


def test_it_says_its_version(archive: Archive) -> None:
    checked = archive.source.check()
    assert checked.version != "unknown"
    assert checked.containers > 0
    assert checked.clock_offset_s is not None


def test_a_listing_is_whole_and_the_same_a_second_time(archive: Archive) -> None:
    again = archive.source.snapshot(archive.container)
    assert archive.snapshot.complete
    assert again == archive.snapshot
    assert max(Counter(item.local_id for item in again.items).values()) == 1


def test_another_client_sees_the_same_scans(archive: Archive) -> None:
    import pyxnat

    logging.getLogger("pyxnat").setLevel(logging.ERROR)
    interface = pyxnat.Interface(server=archive.url, user=archive.user, password=archive.password)
    rows = interface.array.scans(
        project_id=archive.container,
        experiment_type="xnat:imageSessionData",
        scan_type="xnat:imageScanData",
        columns=["xnat:imageScanData/ID"],
    ).data
    interface.disconnect()
    theirs = {
        (row["session_id"] if "session_id" in row else row["ID"], row["xnat:imagescandata/id"])
        for row in rows
    }
    ours = {tuple(item.local_id.split("/")[:2]) for item in archive.snapshot.items}
    # A scan without images is not ours.
    assert ours <= theirs


def test_scans_are_described_from_one_request_per_session(archive: Archive) -> None:
    items = archive.snapshot.items[:30]
    archive.noting.asked.clear()
    found = list(archive.source.describe(archive.container, items))
    assert [each.item for each in found] == list(items)
    assert any(each.description is not None for each in found)
    assert len(archive.noting.asked) <= len({item.local_id.split("/")[0] for item in items}) + 1


def test_the_smallest_scan_is_fetched_whole(archive: Archive, tmp_path: Path) -> None:
    item = min((each for each in archive.snapshot.items if each.files), key=lambda each: each.files or 0)
    files = list(archive.source.fetch(archive.container, item, tmp_path))
    assert len(files) == item.files
    assert all(each.path.stat().st_size > 0 for each in files)


def test_it_says_how_it_de_identifies_or_that_it_does_not_tell(archive: Archive) -> None:
    facts = archive.source.deid_facts(archive.container)
    assert facts is None or facts.enabled == (facts.digest is not None)


def test_a_project_that_is_not_there_is_said_to_be_missing(archive: Archive) -> None:
    with pytest.raises((NotInSource, SourceForbidden)):
        archive.source.snapshot("fairbank-no-such-project")


def test_it_can_what_it_says(archive: Archive) -> None:
    assert isinstance(archive.source, DescribesSeries)
    assert isinstance(archive.source, DeidFacts)
    assert not isinstance(archive.source, ChangeFeed)


def test_it_is_only_read(archive: Archive) -> None:
    archive.source.check()
    archive.source.close()
    assert {method for method, _ in archive.noting.asked} == {"GET", "DELETE"}
    assert [path for method, path in archive.noting.asked if method == "DELETE"] == ["/data/JSESSION"]
