"""DICOM archives with bad habits, played by pynetdicom's own server side."""

from __future__ import annotations

import copy
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest
import trustme
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from tests.harvest.conftest import bundled
from tests.harvest.servers import free_ports

from fairbank.deid.part10 import quiet_pydicom
from fairbank.harvest.errors import (
    AssociationRefused,
    BadDefinition,
    FilterNotKept,
    NotInSource,
    SourceFailed,
    SourceUnreachable,
)
from fairbank.harvest.sources.dimse import DimseSource
from fairbank.harvest.sources.dimse_contexts import (
    MOST_CONTEXTS,
    offers_for,
    offers_for_any,
    offers_one_by_one,
    storage_classes,
)
from fairbank.harvest.sources.dimse_gate import Gate
from fairbank.harvest.sources.dimse_peer import Address, DimsePeer, Listening, Receiver, send_at_once

ECHO, FIND, GET = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.3"
RARE = storage_classes()[-1]
EXPLICIT = "1.2.840.10008.1.2.1"


@dataclass
class Pacs:
    """An archive over datasets in memory.

    Attributes:
        cap: most answers to a question; `cap_status` is what it then ends with.
        counts: whether it says how many images a series has.
        classes: whether it says of which class an image is.
        aborts: how many questions it breaks off at first.
    """

    images: list[Dataset]
    cap: int = 10**9
    cap_status: int = 0x0000
    counts: bool = True
    classes: bool = True
    heeds_keys: bool = True
    aborts: int = 0
    asked: list[Dataset] = field(default_factory=list)

    def find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        with quiet_pydicom():
            wanted = event.identifier
            self.asked.append(wanted)
            if self.aborts:
                self.aborts -= 1
                event.assoc.abort()
                return
            level = wanted.QueryRetrieveLevel
            unique = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}[
                level
            ]
            found = {str(image.get(unique)): image for image in self._matching(wanted)}
            for number, image in enumerate(found.values()):
                if number == self.cap:
                    yield self.cap_status, None
                    return
                yield 0xFF00, self._answer(image, wanted)

    def get(self, event: evt.Event) -> Iterator[Any]:
        with quiet_pydicom():
            images = self._matching(event.identifier)
            yield len(images)
            for image in images:
                yield 0xFF00, image

    def _matching(self, wanted: Dataset) -> list[Dataset]:
        def fits(image: Dataset) -> bool:
            for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
                asked = wanted.get(keyword)
                uids = [asked] if isinstance(asked, str) else list(asked or [])
                if any(uids) and str(image.get(keyword)) not in [str(uid) for uid in uids]:
                    return False
            first, _, last = str(wanted.get("StudyDate") or "").partition("-")
            return not first or first <= str(image.StudyDate) <= last

        return [image for image in self.images if not self.heeds_keys or fits(image)]

    def _answer(self, image: Dataset, wanted: Dataset) -> Dataset:
        answer = Dataset()
        answer.QueryRetrieveLevel = wanted.QueryRetrieveLevel
        for element in wanted:
            if element.keyword == "NumberOfSeriesRelatedInstances":
                if self.counts:
                    series = [one for one in self.images if one.SeriesInstanceUID == image.SeriesInstanceUID]
                    answer.NumberOfSeriesRelatedInstances = len(series)
            elif element.keyword == "SOPClassUID" and not self.classes:
                continue
            elif element.keyword != "QueryRetrieveLevel" and element.keyword in image:
                setattr(answer, element.keyword, image.get(element.keyword))
        return answer


_SMALL = pydicom.dcmread(bundled("CT_small.dcm"))


def image(number: int, *, day: str = "20200101", sop_class: str = "", **uids: str) -> Dataset:
    dataset = copy.deepcopy(_SMALL)
    with quiet_pydicom():
        dataset.PatientID = f"P{number}"
        dataset.StudyDate = day
        dataset.StudyInstanceUID = uids.get("study", f"1.2.{number}")
        dataset.SeriesInstanceUID = uids.get("series", f"1.3.{number}")
        dataset.SOPInstanceUID = uids.get("instance", f"1.4.{number}")
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        if sop_class:
            dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    return dataset


@contextmanager
def running(pacs: Pacs, *, tls: ssl.SSLContext | None = None, callers: int = 10) -> Iterator[int]:
    entity = AE(ae_title="PACS")
    entity.maximum_associations = callers
    entity.add_supported_context(ECHO)
    entity.add_supported_context(FIND)
    entity.add_supported_context(GET)
    for uid in storage_classes():
        entity.add_supported_context(uid, EXPLICIT, scu_role=True, scp_role=True)
    (port,) = free_ports(1)
    handlers = [(evt.EVT_C_FIND, pacs.find), (evt.EVT_C_GET, pacs.get), (evt.EVT_CONN_OPEN, send_at_once)]
    server = entity.start_server(("127.0.0.1", port), block=False, ssl_context=tls, evt_handlers=handlers)  # type: ignore[arg-type]
    assert server is not None
    try:
        yield port
    finally:
        server.shutdown()


def until_all_have_left(port: int) -> None:
    """Wait for the archive to notice that its callers have gone: it counts one for as long as its thread lives."""
    for thread in threading.enumerate():
        if isinstance(thread, Association) and thread.is_acceptor and thread.acceptor.port == port:
            thread.join(timeout=30)
            assert not thread.is_alive()


def source(port: int, timeout_s: float = 10, host: str = "127.0.0.1", **options: str) -> DimseSource:
    return DimseSource.of_options(
        f"{host}:{port}", options, name="pacs", timeout_s=timeout_s, requests_per_s=1e6
    )


@pytest.mark.parametrize("status", [0x0000, 0xA700])
def test_what_a_cap_hides_is_found_by_study_dates(status: int) -> None:
    start = date(2020, 1, 1)
    images = [image(n, day=(start + timedelta(days=n)).strftime("%Y%m%d")) for n in range(56)]
    with running(Pacs(images, cap=50, cap_status=status)) as port:
        asked = source(port, undated="none")
        snapshot = asked.snapshot(".")
        asked.close()
    assert len(snapshot.items) == 56
    assert snapshot.complete


def test_without_the_curators_word_a_capped_listing_is_not_complete() -> None:
    images = [image(n, day=f"2020010{n % 9 + 1}") for n in range(55)]
    with running(Pacs(images, cap=50)) as port:
        asked = source(port)
        snapshot = asked.snapshot(".")
        asked.close()
    assert (len(snapshot.items), snapshot.complete) == (55, False)


def test_a_new_image_is_seen_although_the_archive_counts_none() -> None:
    pacs = Pacs([image(1)], counts=False)
    with running(pacs) as port:
        asked = source(port)
        before = asked.snapshot(".").items
        assert before == asked.snapshot(".").items
        pacs.images.append(image(2, study="1.2.1", series="1.3.1"))
        after = asked.snapshot(".").items
        asked.close()
    assert [item.files for item in (*before, *after)] == [1, 2]
    assert before[0].version != after[0].version


@pytest.mark.parametrize("says_classes", [True, False])
def test_an_image_of_a_rare_class_comes_whatever_the_archive_says(says_classes: bool, tmp_path: Path) -> None:
    images = [image(1), image(2, study="1.2.1", series="1.3.1", sop_class=RARE)]
    with running(Pacs(images, classes=says_classes)) as port:
        asked = source(port)
        (item,) = asked.snapshot(".").items
        fetched = [pydicom.dcmread(instance.path) for instance in asked.fetch(".", item, tmp_path)]
        asked.close()
    assert sorted(str(one.SOPInstanceUID) for one in fetched) == ["1.4.1", "1.4.2"]
    assert {one.file_meta.TransferSyntaxUID for one in fetched} == {EXPLICIT}


def test_ids_of_more_than_64_characters_stop_nothing(tmp_path: Path) -> None:
    long = {"study": "1.2." + "1" * 70, "series": "1.3." + "2" * 70, "instance": "1.4." + "3" * 70}
    with running(Pacs([image(1), image(2, **long)])) as port:
        asked = source(port)
        items = asked.snapshot(".").items
        assert [item.local_id for item in items] == ["1.2.1/1.3.1", f"{long['study']}/{long['series']}"]
        came = [len(list(asked.fetch(".", item, tmp_path))) for item in items]
        asked.close()
    assert came == [1, 1]


def test_an_association_that_broke_off_is_made_anew() -> None:
    with running(Pacs([image(1)], aborts=1)) as port:
        asked = source(port)
        assert len(asked.snapshot(".").items) == 1
        asked.close()


def test_an_archive_that_breaks_off_every_time_is_unreachable() -> None:
    with running(Pacs([image(1)], aborts=10)) as port:
        asked = source(port)
        with pytest.raises(SourceUnreachable):
            asked.snapshot(".")
        asked.close()


def test_an_archive_with_too_many_callers_is_asked_again_later() -> None:
    with running(Pacs([image(1)]), callers=1) as port:
        other = source(port)
        other.check()
        waited: list[float] = []

        def leave(seconds: float) -> None:
            if seconds > 0.1:
                waited.append(seconds)
                other.close()
                until_all_have_left(port)

        address = Address("127.0.0.1", port, "PACS", "FAIRBANK")
        peer = DimsePeer(address, name="pacs", timeout_s=10, sleep=leave)
        peer.echo()
        peer.close()
    # Once, or again where a refusal was lost with its connection.
    assert 1 <= len(waited) <= 3


def test_a_refusal_that_was_lost_with_its_connection_is_heard_the_next_time() -> None:
    """The archive hangs up so hard that its first answer never arrives (TCP reset)."""
    # A-ASSOCIATE-RJ: permanent, by the user, "called AE title not recognised" (DICOM PS3.8, table 9-21).
    refusal = bytes((3, 0, 0, 0, 0, 4, 0, 1, 1, 7))
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for lost in (True, False):
                caller, _ = server.accept()
                with caller:
                    caller.recv(65_536)
                    if lost:
                        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    else:
                        caller.sendall(refusal)
                        caller.recv(1)

        answering = threading.Thread(target=serve, daemon=True)
        answering.start()
        address = Address("127.0.0.1", server.getsockname()[1], "ELSEWHERE", "FAIRBANK")
        peer = DimsePeer(address, name="pacs", timeout_s=10, sleep=lambda _: None)
        with pytest.raises(AssociationRefused, match="Called AE title not recognised"):
            peer.echo()
        peer.close()
        answering.join(timeout=10)


def test_nobody_there_is_unreachable() -> None:
    asked = source(free_ports(1)[0])
    with pytest.raises(SourceUnreachable):
        asked.check()
    asked.close()


def test_a_question_that_is_refused_is_a_failure_of_the_archive() -> None:
    with running(Pacs([image(1)], cap=0, cap_status=0xC001)) as port:
        asked = source(port)
        with pytest.raises(SourceFailed, match="C001"):
            asked.snapshot(".")
        asked.close()


def test_a_series_that_has_gone_is_said_to_be_missing(tmp_path: Path) -> None:
    pacs = Pacs([image(1)])
    with running(pacs) as port:
        asked = source(port)
        (item,) = asked.snapshot(".").items
        pacs.images.clear()
        with pytest.raises(NotInSource):
            list(asked.fetch(".", item, tmp_path))
        asked.close()


def test_an_archive_that_ignores_the_filter_is_caught() -> None:
    with running(Pacs([image(1)])) as port:
        asked = source(port, filter="PatientID=TRIAL*")
        with pytest.raises(FilterNotKept):
            asked.snapshot(".")
        asked.close()


def test_the_connection_can_be_encrypted_and_the_certificate_is_verified(tmp_path: Path) -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with running(Pacs([image(1)]), tls=server) as port:
        asked = source(port, host="localhost", tls="yes", tls_ca=str(tmp_path / "ca.pem"))
        assert len(asked.snapshot(".").items) == 1
        asked.close()
        stranger = source(port, host="localhost", tls="yes")
        with pytest.raises(SourceUnreachable):
            stranger.check()
        stranger.close()


def test_a_receiver_takes_only_the_series_that_is_wanted(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    came: list[str] = []
    listening = Listening(Receiver("FAIRBANK_IN", "127.0.0.1", port), name="pacs")
    sender = AE(ae_title="PACS")
    sender.add_requested_context(image(1).SOPClassUID, EXPLICIT)
    link = sender.associate("127.0.0.1", port, ae_title="FAIRBANK_IN")
    try:
        before = link.send_c_store(image(1)).Status
        with listening.taking(lambda instance, sop_class, content: came.append(instance), "1.3.1"):
            statuses = [link.send_c_store(image(number)).Status for number in (1, 2)]
        after = link.send_c_store(image(1)).Status
    finally:
        link.release()
        stranger = sender.associate("127.0.0.1", port, ae_title="ELSEWHERE")
        refused = stranger.is_rejected
        listening.close()
    assert came == ["1.4.1"]
    assert (before, statuses, after) == (0xA700, [0x0000, 0x0124], 0xA700)
    assert refused


@pytest.mark.parametrize(
    ("location", "options"),
    [
        ("pacs", {}),
        ("pacs:port", {}),
        ("pacs:0", {}),
        (":104", {}),
        ("pacs:104", {"called_ae": "LONGER THAN SIXTEEN"}),
        ("pacs:104", {"calling_ae": "back\\slash"}),
        ("pacs:104", {"called_ae": "  "}),
        ("pacs:104", {"move_to": "FAIRBANK"}),
        ("pacs:104", {"receive_at": "127.0.0.1:1"}),
        ("pacs:104", {"move_to": "FAIRBANK", "receive_at": "127.0.0.1"}),
        ("pacs:104", {"tls": "perhaps"}),
        ("pacs:104", {"tls": "yes", "tls_ca": "/no/such/file"}),
        ("pacs:104", {"undated": "some"}),
        ("pacs:104", {"filter": "PatientName=*"}),
    ],
)
def test_a_description_without_a_meaning_is_refused(location: str, options: dict[str, str]) -> None:
    with pytest.raises(BadDefinition) as caught:
        DimseSource.of_options(location, options, name="pacs", timeout_s=1, requests_per_s=1)
    assert caught.value.todo


def test_no_association_offers_more_than_it_may() -> None:
    classes = storage_classes()
    assert len(classes) > MOST_CONTEXTS
    for offers in (offers_for(classes), offers_for_any(), offers_for([RARE])):
        assert all(0 < len(offer) <= MOST_CONTEXTS for offer in offers)
    offered = {str(context.abstract_syntax) for offer in offers_for_any() for context in offer}
    assert offered == set(classes)
    # Of each class each syntax has a context of its own, so that none has to be converted.
    assert all(len(context.transfer_syntax) == 1 for offer in offers_for(classes[:5]) for context in offer)


def test_what_an_archive_does_not_accept_is_not_offered_alone() -> None:
    jpeg, uncompressed = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.1"
    (offer,) = offers_one_by_one({(RARE, jpeg), (RARE, uncompressed)})
    assert [(str(one.abstract_syntax), list(one.transfer_syntax)) for one in offer] == [(RARE, [jpeg])]


def test_no_answer_is_taken_from_under_a_question() -> None:
    """Once the loop has been stopped, it does nothing until it may go on."""
    steps = 0
    ended = threading.Event()

    def loop() -> None:
        nonlocal steps
        while not ended.is_set():
            gate.wait()
            steps += 1

    thread = threading.Thread(target=loop, daemon=True)
    gate = Gate(thread)
    thread.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(300):
            gate.clear()
            before = steps
            assert sum(range(500)) and steps == before
            gate.set()
    finally:
        sys.setswitchinterval(interval)
        ended.set()
        gate.set()
    thread.join(5)
    # A loop that has ended is not waited for.
    gate.clear()
    assert steps > 0 and not thread.is_alive()
