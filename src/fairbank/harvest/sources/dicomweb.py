"""A DICOMweb archive as a source (DICOM PS3.18): listed by QIDO-RS, described and fetched by WADO-RS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

import httpx

from fairbank import __version__
from fairbank.clock import Clock, SystemClock
from fairbank.deid.facts import Recorder
from fairbank.deid.part10 import quiet_pydicom
from fairbank.errors import Sensitive
from fairbank.harvest.described import SeriesDescription, describe_datasets
from fairbank.harvest.errors import (
    AnswerTooLarge,
    FilterNotKept,
    HarvestError,
    NotInSource,
    SourceFailed,
    SourceLoginRefused,
    SourceUnreachable,
    UnreadableHeader,
)
from fairbank.harvest.sources.archive_questions import WHOLE, Filter, ListedSeries, items_of, whole_archive
from fairbank.harvest.sources.dicom_json import dataset_of
from fairbank.harvest.sources.pace import Machine, Politeness
from fairbank.harvest.sources.polite import PoliteClient
from fairbank.harvest.sources.protocol import (
    Capability,
    Checked,
    Container,
    Described,
    Instance,
    Item,
    Snapshot,
    SourceKind,
)
from fairbank.harvest.sources.qido import DICOM_JSON, list_series, list_studies, rows_of, series_of
from fairbank.harvest.sources.study_dates import Listing, list_all
from fairbank.multipart import boundary_of, split

T = TypeVar("T")
# As they lie: an archive that converts would send other bytes than it holds.
_DICOM_PARTS: Final = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}


class DicomwebSource:
    """An archive that speaks DICOMweb, read as one user or with one token; close it after use.

    Args:
        url: the address under which `/studies` and `/series` lie, such as `https://pacs.example.org/dicom-web`.
        user: empty for a bearer token, or for an archive that asks for no login.
        password: the user's password, or the token.
        all_dated: the curator's word that every study has a date.
    """

    kind = SourceKind.DICOMWEB
    capabilities = frozenset({Capability.FILES, Capability.DESCRIBES, Capability.INSTANCES})

    def __init__(
        self,
        url: str,
        user: str = "",
        password: Sensitive[str] | None = None,
        *,
        name: str = "archive",
        wanted: Filter | None = None,
        all_dated: bool = False,
        manners: Politeness | None = None,
        transport: httpx.BaseTransport | None = None,
        machine: Machine | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._name = name
        self._wanted = wanted or Filter({})
        self._all_dated = all_dated
        self._clock = clock or SystemClock()
        token = password.reveal() if password is not None and not user else ""
        self._client = PoliteClient(
            url,
            name=name,
            manners=manners,
            auth=(user, password.reveal()) if user and password is not None else None,
            headers={"Authorization": f"Bearer {token}"} if token else None,
            transport=transport,
            machine=machine,
        )

    def check(self) -> Checked:
        """Ask for one study; DICOMweb does not tell which software answers."""
        self._searched(
            lambda: self._client.get("/studies", params={"limit": "1"}, headers=DICOM_JSON, read=rows_of)
        )
        return Checked(version="unknown", containers=1, clock_offset_s=self._client.clock_offset_s)

    def list_containers(self) -> list[Container]:
        """Return the archive as a whole, or the part that the filter leaves."""
        return [whole_archive(self._name)]

    def snapshot(self, container: str) -> Snapshot:
        """Return all series, asked for page by page, and by study dates where the archive caps its answers."""
        self._see(container)
        listing = self._listing()
        return Snapshot(container, items_of(listing.rows.values()), listing.whole)

    def describe(self, container: str, items: Sequence[Item]) -> Iterator[Described]:
        """Yield what the headers of all instances of each series say, one request for each series."""
        self._see(container)
        for item in items:
            try:
                yield Described(item, self._described(item))
            except (SourceUnreachable, SourceLoginRefused):
                raise
            except HarvestError as err:
                yield Described(item, None, err)

    def fetch(self, container: str, item: Item, into: Path) -> Iterator[Instance]:
        """Yield the instances of a series, which come in one answer that is deleted as soon as it is taken apart."""
        self._see(container)
        packed = into / "series.multipart"
        headers = self._client.download(_path(item), to=packed, headers=_DICOM_PARTS)
        try:
            paths = self._taken_apart(packed, headers.get("content-type", ""), into)
        finally:
            packed.unlink(missing_ok=True)
        if item.files is not None and len(paths) < item.files:
            raise self._broken("it sent fewer images of a series than it lists")
        for path in paths:
            yield Instance(path, Sensitive(path.name, reference="a file"))

    def close(self) -> None:
        """Close the connections; a closed source may be closed again."""
        self._client.close()

    def _listing(self) -> Listing[ListedSeries]:
        try:
            return list_all(
                lambda window: list_series(self._client, window, wanted=self._wanted, name=self._name),
                all_dated=self._all_dated,
            )
        except (NotInSource, SourceFailed) as err:
            if isinstance(err, FilterNotKept | AnswerTooLarge):
                raise
            # Some servers search for studies only, and for the series of one study.
            return self._listing_by_study()

    def _listing_by_study(self) -> Listing[ListedSeries]:
        studies = list_all(
            lambda window: self._searched(
                lambda: list_studies(self._client, window, wanted=self._wanted, name=self._name)
            ),
            all_dated=self._all_dated,
        )
        rows: dict[str, ListedSeries] = {}
        whole = studies.whole
        for study in {study.uid: study for study in studies.rows.values()}.values():
            try:
                series = series_of(self._client, study, wanted=self._wanted, name=self._name)
            except NotInSource:
                # Deleted since it was listed.
                continue
            rows.update(series.rows)
            whole = whole and series.whole
        return Listing(rows, whole)

    def _searched(self, search: Callable[[], T]) -> T:
        """Search; what is not found here is the whole service, not a series."""
        try:
            return search()
        except NotInSource as err:
            raise SourceFailed(
                f"The archive {self._name} offers no search at its address.",
                why="It answered 404 to QIDO-RS: the path of DICOMweb is another, or it is not switched on.",
                todo="Add the source with the whole address, such as https://pacs.example.org/dicom-web.",
            ) from err

    def _described(self, item: Item) -> SeriesDescription:
        rows = self._client.request("GET", f"{_path(item)}/metadata", headers=DICOM_JSON, read=rows_of)
        recorder = Recorder("harvest", self._clock.now(), f"fairbank {__version__}")
        try:
            with quiet_pydicom():
                datasets = [dataset_of(row) for row in rows]
                if len({str(dataset.get("PatientID") or "") for dataset in datasets}) > 1:
                    raise _unreadable("It holds images of several patients under one series UID.")
                return describe_datasets(datasets, recorder=recorder, expected_instances=item.files)
        except HarvestError:
            raise
        except Exception:  # noqa: BLE001 - pydicom answers malformed values with any exception, whose words quote them
            raise _unreadable("It holds values that DICOM does not know.") from None

    def _taken_apart(self, packed: Path, content_type: str, into: Path) -> list[Path]:
        # Our own names: those of the archive may identify a person, or climb out of the folder.
        def named(number: int) -> Path:
            return into / f"{number:06d}.dcm"

        boundary = boundary_of(content_type)
        if boundary is None:
            if content_type.split(";")[0].strip().lower() != "application/dicom":
                raise self._broken("a series did not come as DICOM")
            return [packed.rename(named(0))]
        paths = split(packed, boundary, into=named)
        if paths is None:
            raise self._broken("a series did not come whole")
        return paths

    def _broken(self, reason: str) -> SourceFailed:
        return SourceFailed(
            f"The archive {self._name} failed: {reason}.",
            why="Nothing of this answer was used, and nothing was lost.",
            todo="Look at the archive's own log, and run the harvest again: it goes on where it stopped.",
        )

    def _see(self, container: str) -> None:
        if container != WHOLE:
            raise NotInSource(
                f"The source {self._name} has no container of this name.",
                why=f"A DICOMweb archive is one container, called {WHOLE!r}.",
                todo=f"Use {WHOLE!r}; a part of it is a source of its own, with a filter.",
            )


def _path(item: Item) -> str:
    study, series = (quote(part, safe="") for part in item.local_id.split("/", 1))
    return f"/studies/{study}/series/{series}"


def _unreadable(why: str) -> UnreadableHeader:
    return UnreadableHeader(
        "The headers of a series cannot be understood.",
        why=why,
        todo="Look at the series by its reference; the others are not affected.",
    )
