"""A DICOM archive without DICOMweb as a source: listed by C-FIND, fetched by C-GET, or by C-MOVE where it must be.

C-FIND says little of a series, and nothing of its de-identification: headers are read from what is fetched.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fairbank.errors import Sensitive
from fairbank.harvest.errors import BadDefinition, NotInSource, SourceFailed
from fairbank.harvest.sources.archive_questions import (
    VERSION_KEYS,
    WHOLE,
    Filter,
    ListedSeries,
    count_of,
    items_of,
    says_all_dated,
    version_of,
    whole_archive,
)
from fairbank.harvest.sources.dimse_contexts import Offer, offers_for, offers_for_any, offers_one_by_one
from fairbank.harvest.sources.dimse_peer import Address, DimsePeer, Receiver, Row
from fairbank.harvest.sources.protocol import (
    Capability,
    Checked,
    Container,
    Instance,
    Item,
    Snapshot,
    SourceKind,
)
from fairbank.harvest.sources.study_dates import Listing, NoDate, Window, list_all

_LONGEST_TITLE: Final = 16
_SOFTWARE: Final = re.compile(r"[0-9A-Za-z._-]{1,16}")
_SERIES_KEYS: Final = tuple(keyword for keyword in VERSION_KEYS if keyword not in ("PatientID", "StudyDate"))


class DimseSource:
    """An archive that speaks DIMSE; close it to end the association."""

    kind = SourceKind.DIMSE
    capabilities = frozenset({Capability.FILES})

    def __init__(
        self,
        address: Address,
        *,
        name: str = "archive",
        wanted: Filter | None = None,
        all_dated: bool = False,
        receiver: Receiver | None = None,
        timeout_s: float = 120,
        requests_per_s: float = 20,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._name = name
        self._wanted = wanted or Filter({})
        self._all_dated = all_dated
        self._receiver = receiver
        self._peer = DimsePeer(
            address, name=name, timeout_s=timeout_s, pause_s=1 / requests_per_s, sleep=sleep
        )

    @classmethod
    def of_options(
        cls, location: str, options: Mapping[str, str], *, name: str, timeout_s: float, requests_per_s: float
    ) -> DimseSource:
        """Return the source that `host:port` and the options describe.

        Raises:
            BadDefinition: if one of them has no meaning.
        """
        host, port = host_and_port(location, "address")
        address = Address(
            host,
            port,
            _title(options.get("called_ae", "ANY-SCP"), "called_ae"),
            _title(options.get("calling_ae", "FAIRBANK"), "calling_ae"),
            _tls(options),
        )
        return cls(
            address,
            name=name,
            wanted=Filter.parse(options.get("filter", "")),
            all_dated=says_all_dated(options),
            receiver=_receiver(options),
            timeout_s=timeout_s,
            requests_per_s=requests_per_s,
        )

    def check(self) -> Checked:
        """See that the archive answers, and what it calls its software."""
        self._peer.echo()
        # It becomes part of a published record; an archive could write anything there.
        known = _SOFTWARE.fullmatch(self._peer.software)
        return Checked(version=known[0] if known else "unknown", containers=1)

    def list_containers(self) -> list[Container]:
        """Return the archive as a whole, or the part that the filter leaves."""
        return [whole_archive(self._name)]

    def snapshot(self, container: str) -> Snapshot:
        """Return the series of all studies, asked for study by study."""
        self._see(container)
        studies = list_all(self._studies, all_dated=self._all_dated)
        listed: list[ListedSeries] = []
        whole = studies.whole
        for study in {study.uid: study for study in studies.rows.values()}.values():
            found = self._peer.find(
                "SERIES",
                {"StudyInstanceUID": study.uid, "SeriesInstanceUID": ""}
                | dict.fromkeys(_SERIES_KEYS, "")
                | self._wanted.of_level("SERIES"),
            )
            whole = whole and found.whole
            for row in found.rows:
                if not row["SeriesInstanceUID"]:
                    continue
                self._wanted.check("SERIES", row, name=self._name)
                listed.append(self._listed(study, row))
        return Snapshot(container, items_of(listed), whole)

    def fetch(self, container: str, item: Item, into: Path) -> Iterator[Instance]:
        """Yield the images of a series, all of which come before the first is given."""
        self._see(container)
        study, series = item.local_id.split("/", 1)
        of_series = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
        images = self._images(of_series)
        if not images:
            raise NotInSource(
                f"The archive {self._name} has no such series.",
                why="It was deleted, or moved to another study, since it was listed.",
                todo="Run the harvest again.",
            )
        arrived = _Arrived(into)
        if self._receiver is None:
            self._get(of_series, images, arrived)
        else:
            self._peer.move(of_series, receiver=self._receiver, store=arrived.store)
        if missing := len(images.keys() - arrived.paths.keys()):
            raise SourceFailed(
                f"The archive {self._name} failed: of a series of {len(images)} images {missing} did not come.",
                why="It cannot send them in a form that DICOM has, or it could not send them now.",
                todo="Look at the archive's own log, and run the harvest again: it goes on where it stopped.",
            )
        for uid, path in arrived.paths.items():
            yield Instance(path, Sensitive(uid, reference="a file"))

    def close(self) -> None:
        """End the association."""
        self._peer.close()

    def _studies(self, window: Window | NoDate | None) -> Listing[_Study]:
        if isinstance(window, NoDate):
            # C-FIND has no question for what is empty: an empty value asks for everything.
            return Listing({}, whole=True)
        date = window.text if window else ""
        keys = {"StudyInstanceUID": "", "StudyDate": date, "PatientID": ""} | self._wanted.of_level("STUDY")
        found = self._peer.find("STUDY", keys)
        rows: dict[str, _Study] = {}
        for row in found.rows:
            if uid := row["StudyInstanceUID"]:
                self._wanted.check("STUDY", row, name=self._name)
                rows[f"{uid} {row['PatientID']}"] = _Study(uid, row["StudyDate"], row["PatientID"])
        return Listing(rows, found.whole)

    def _listed(self, study: _Study, row: Row) -> ListedSeries:
        known = row | {"PatientID": study.patient, "StudyDate": study.study_date}
        version = [known.get(keyword, "") for keyword in VERSION_KEYS]
        instances = count_of(row["NumberOfSeriesRelatedInstances"])
        if instances is None:
            # Few archives leave the number out; what they hold then has to be asked for, or a change would go unseen.
            of_series = {"StudyInstanceUID": study.uid, "SeriesInstanceUID": row["SeriesInstanceUID"]}
            images = self._images(of_series)
            version += sorted(images)
            instances = len(images)
        return ListedSeries(
            study.uid, row["SeriesInstanceUID"], study.study_date, instances, version_of(version)
        )

    def _images(self, of_series: Mapping[str, str]) -> dict[str, str]:
        """Return the SOP Instance UIDs of a series, each with its SOP class where the archive tells."""
        found = self._peer.find("IMAGE", {**of_series, "SOPInstanceUID": "", "SOPClassUID": ""})
        return {row["SOPInstanceUID"]: row["SOPClassUID"] for row in found.rows if row["SOPInstanceUID"]}

    def _get(self, of_series: Mapping[str, str], images: Mapping[str, str], arrived: _Arrived) -> None:
        """Fetch a series, and what did not come of it once more under other presentation contexts."""
        known = sorted({of for of in images.values() if of})
        asked = [("SERIES", of_series)]
        accepted: set[tuple[str, str]] = set()
        for offer in _offers(known, arrived, accepted):
            accepted |= self._peer.get(asked, offer=offer, store=arrived.store)
            missing = sorted(images.keys() - arrived.paths.keys())
            if not missing:
                return
            # Only what is missing: the archive would send all of the series again. One first, the rest if it comes.
            asked = [("IMAGE", {**of_series, "SOPInstanceUID": uid}) for uid in missing]

    def _see(self, container: str) -> None:
        if container != WHOLE:
            raise NotInSource(
                f"The source {self._name} has no container of this name.",
                why=f"An archive that speaks DIMSE is one container, called {WHOLE!r}.",
                todo=f"Use {WHOLE!r}; a part of it is a source of its own, with a filter.",
            )


@dataclass(frozen=True, slots=True, repr=False)
class _Study:
    uid: str
    study_date: str
    patient: str


class _Arrived:
    """What has come of a series so far, under names of our own."""

    def __init__(self, into: Path) -> None:
        self._into = into
        self.paths: dict[str, Path] = {}
        self.classes: set[str] = set()

    def store(self, instance: str, sop_class: str, content: bytes) -> None:
        path = self.paths.setdefault(instance, self._into / f"{len(self.paths):06d}.dcm")
        path.write_bytes(content)
        self.classes.add(sop_class)


def _offers(known: Sequence[str], arrived: _Arrived, accepted: set[tuple[str, str]]) -> Iterator[Offer]:
    """Yield what to offer, one after the other; what has come and was accepted by then says how to go on."""
    if not known:
        yield from offers_for_any()
    yield from offers_for(known or sorted(arrived.classes))
    yield from offers_one_by_one(accepted)


def host_and_port(text: str, what: str) -> tuple[str, int]:
    """Read `host:port`, or `[address]:port` for IPv6.

    Raises:
        BadDefinition: if it is neither.
    """
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise BadDefinition(
            f"The {what} of a DICOM archive cannot be understood.",
            why="It has the form HOST:PORT, such as pacs.example.org:104.",
            todo="Correct it, and add the source again.",
        )
    return host.strip("[]"), int(port)


def _receiver(options: Mapping[str, str]) -> Receiver | None:
    title, where = options.get("move_to", ""), options.get("receive_at", "")
    if not title and not where:
        return None
    if not (title and where):
        raise _bad("move_to and receive_at belong together", "Give both, or neither for C-GET.")
    return Receiver(_title(title, "move_to"), *host_and_port(where, "option receive_at"))


def _title(text: str, option: str) -> str:
    """Return an application entity title (DICOM PS3.5, table 6.2-1: AE)."""
    title = text.strip()
    if (
        not title
        or len(title) > _LONGEST_TITLE
        or not title.isascii()
        or not title.isprintable()
        or "\\" in title
    ):
        raise _bad(
            f"the option {option} is no application entity title",
            "A title has 1 to 16 letters, digits or signs, and no backslash.",
        )
    return title


def _tls(options: Mapping[str, str]) -> ssl.SSLContext | None:
    """Return how the connection is encrypted; the archive's certificate and its name are always verified."""
    if options.get("tls", "no") == "no":
        return None
    if options["tls"] != "yes":
        raise _bad("the option tls is 'yes' or 'no'", "Correct it.")
    try:
        context = ssl.create_default_context(cafile=options.get("tls_ca"))
        if own := options.get("tls_certificate"):
            context.load_cert_chain(own)
    except OSError as err:
        raise _bad(
            "a certificate file cannot be read", "Check the files of tls_ca and tls_certificate."
        ) from err
    return context


def _bad(reason: str, todo: str) -> BadDefinition:
    return BadDefinition(
        "A DICOM archive is not correctly described.", why=f"What is wrong: {reason}.", todo=todo
    )
