"""An XNAT archive as a source: read with a few table calls and one call per changed session, never one per subject.

A snapshot asks for ids, version stamps and file counts only. A description reads the item of a session, and of it
only what `xnat_items` lists: no names, birth dates, operators or notes. Nothing is ever written to the archive; the
one session that is opened is closed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from fairbank import __version__
from fairbank.deid.facts import Recorder
from fairbank.deid.part10 import quiet_pydicom
from fairbank.errors import Sensitive
from fairbank.harvest.described import SeriesDescription, describe_datasets
from fairbank.harvest.errors import (
    BadDefinition,
    HarvestError,
    NotInSource,
    SourceFailed,
    SourceForbidden,
    UnreadableHeader,
)
from fairbank.harvest.sources.pace import Machine, Politeness
from fairbank.harvest.sources.polite import Answer, PoliteClient
from fairbank.harvest.sources.protocol import (
    ArchiveDeid,
    Capability,
    Checked,
    Container,
    Described,
    Instance,
    Item,
    Snapshot,
    SourceKind,
)
from fairbank.harvest.sources.xnat_items import (
    IMAGE_RESOURCES,
    MARKS,
    ScanItem,
    SessionItem,
    children,
    custom_variables,
    form_answers,
    header_marks,
    session_item,
    sex_of,
)
from fairbank.harvest.sources.xnat_scripts import archive_deid, enabled_scripts
from fairbank.harvest.sources.xnat_session import XnatSession
from fairbank.harvest.sources.xnat_tables import Query, Row

_VERSION = re.compile(r"[0-9A-Za-z._-]{1,40}")
_SCAN = "xnat:imageScanData"
_SCAN_ID = f"{_SCAN}/ID".lower()
_LABEL = f"{_SCAN}/file/label".lower()
_COUNT = f"{_SCAN}/file/file_count".lower()
# What a version token is made of: adding a file moves no stamp, adding a scan not always that of its session.
_VERSION_COLUMNS = (
    f"{_SCAN}/meta/last_modified",
    f"{_SCAN}/file/file_count",
    f"{_SCAN}/file/file_size",
)
_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)


class SubjectName(StrEnum):
    """What names a subject of an archive.

    Attributes:
        PATIENT_ID: Patient ID as the archive read it from the images: the same subject as in its files.
        LABEL: what the archive calls the subject, where Patient ID was replaced by that of the session.
    """

    PATIENT_ID = "patient-id"
    LABEL = "label"


class Marks(StrEnum):
    """Where it is looked up how a series was de-identified.

    Attributes:
        ITEM: nowhere else than in the item, which does not tell: a curator has to trust the archive.
        HEADER: in the header of the first image of each series, which costs one more request per changed series.
    """

    ITEM = "item"
    HEADER = "header"


_Option = TypeVar("_Option", SubjectName, Marks)


def option_of(kind: type[_Option], name: str, word: str) -> _Option:
    """Return what a word means as an option of the source.

    Raises:
        BadDefinition: if it is none of the option's words.
    """
    try:
        return kind(word)
    except ValueError as err:
        raise BadDefinition(
            f"The option {name!r} cannot be {word[:80]!r}.",
            why=f"It is one of: {', '.join(kind)}.",
            todo="Add the source again with one of these.",
        ) from err


@dataclass(frozen=True, slots=True)
class SubjectVariables:
    """What custom variables and forms say of one subject, by name; it stays at the node and prints nothing."""

    subject: Sensitive[str]
    values: Sensitive[dict[str, str]]


@dataclass(frozen=True, slots=True)
class _SubjectRow:
    label: str
    sex: str


class XnatSource:
    """An XNAT archive, read as one user; close it to end its session.

    Args:
        user: name of the user, or the alias of a token.
        password: the user's password, or the secret of the token.
        subject: what names a subject.
        marks: where it is looked up how a series was de-identified.
        machine: time and chance; tests give their own.
    """

    kind = SourceKind.XNAT
    capabilities = frozenset(
        {
            Capability.FILES,
            Capability.DESCRIBES,
            Capability.TOTAL_COUNT,
            Capability.PERMISSIONS,
            Capability.DEID_FACTS,
        }
    )

    def __init__(
        self,
        url: str,
        user: str,
        password: Sensitive[str],
        *,
        name: str = "xnat",
        timeout_s: float = 120,
        requests_per_s: float = 20,
        subject: SubjectName = SubjectName.PATIENT_ID,
        marks: Marks = Marks.ITEM,
        transport: httpx.BaseTransport | None = None,
        machine: Machine | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._name = name
        self._subject = subject
        self._marks = marks
        self._machine = machine or Machine(sleep=sleep)
        manners = Politeness(requests_per_s=requests_per_s, timeout_s=timeout_s)
        self._session = XnatSession(
            lambda renew: PoliteClient(
                url, name=name, manners=manners, renew=renew, transport=transport, machine=self._machine
            ),
            user=user,
            password=password,
            archive=name,
        )

    def check(self) -> Checked:
        """Log in and say which version of XNAT answers."""
        containers = len(self.list_containers())
        version = self._session.ask("/xapi/siteConfig/buildInfo", {}, _version_of)
        # It becomes part of a published record; an archive could write anything there.
        if not _VERSION.fullmatch(version):
            version = "unknown"
        return Checked(version=version, containers=containers, clock_offset_s=self._session.clock_offset_s)

    def list_containers(self) -> list[Container]:
        """Return the projects that the user may read."""
        table = self._session.table(Query("/data/projects", ("ID", "name")))
        return sorted(
            (Container(row["id"], row.get("name") or row["id"]) for row in table.rows),
            key=lambda known: known.id,
        )

    def snapshot(self, container: str) -> Snapshot:
        """Return all scans of a project, its own and those shared into it, from two table calls.

        One is joined, with one row per scan and resource; the other lists the sessions, so that one which the join
        lost is found and read by itself.
        """
        project = quote(container, safe="")
        # The experiments table answers an unknown project with no rows; only the project's own address says 404.
        self._session.get(f"/data/projects/{project}", {"format": "json"})
        joined = self._session.table(
            Query(
                "/data/experiments",
                ("ID", f"{_SCAN}/ID", *_VERSION_COLUMNS, f"{_SCAN}/file/label"),
                needed=("id", _SCAN_ID),
                key=("id", _SCAN_ID, _LABEL),
                filters=(("project", container), ("xsiType", "xnat:imageSessionData")),
            )
        )
        listed = self._session.table(
            Query(f"/data/projects/{project}/experiments", ("ID", "xsiType"), needed=("id", "xsitype"))
        )
        scans: dict[str, list[Row]] = {}
        for row in joined.rows:
            label = row.get(_LABEL, "DICOM")
            if row[_SCAN_ID] and label.upper() in IMAGE_RESOURCES:
                scans.setdefault(f"{row['id']}/{row[_SCAN_ID]}/{label}", []).append(row)
        items = [Item(local_id, _version(of), _files(of)) for local_id, of in scans.items()]
        sessions = {row["id"] for row in listed.rows if row["xsitype"].lower().endswith("sessiondata")}
        for lost in sorted(sessions - {row["id"] for row in joined.rows}):
            items += self._lost(lost)
        whole = joined.whole and listed.whole
        return Snapshot(container, tuple(sorted(items, key=lambda item: item.local_id)), whole)

    def describe(self, container: str, items: Sequence[Item]) -> Iterator[Described]:
        """Yield what the archive says of each scan, from one call per session and one per project."""
        subjects = self._subjects(container)
        left = Counter(item.local_id.split("/", 1)[0] for item in items)
        read: dict[str, SessionItem | HarvestError] = {}
        for item in items:
            session = item.local_id.split("/", 1)[0]
            if session not in read:
                read[session] = self._session_or_error(container, session)
            found = read[session]
            left[session] -= 1
            if not left[session]:
                del read[session]
            yield self._described(container, item, found, subjects)

    def fetch(self, container: str, item: Item, into: Path) -> Iterator[Instance]:
        """Yield the files of a scan, which comes as one ZIP and is deleted as soon as it is unpacked."""
        session, scan, label = (quote(part, safe="") for part in item.local_id.split("/", 2))
        packed = into / "scan.zip"
        path = f"/data/experiments/{session}/scans/{scan}/resources/{label}/files"
        try:
            self._session.download(path, {"format": "zip"}, to=packed)
            names = self._unpacked(packed, item, into)
        finally:
            packed.unlink(missing_ok=True)
        for target, name in names:
            yield Instance(target, Sensitive(name, reference="a file"))

    def deid_facts(self, container: str) -> ArchiveDeid | None:
        """Return which anonymisation scripts the archive applies to a project, None if it does not tell."""
        project = quote(container, safe="")
        self._session.get(f"/data/projects/{project}", {"format": "json"})
        scripts = enabled_scripts(project, self._session.content)
        return None if scripts is None else archive_deid(scripts)

    def accessibility(self, container: str) -> str:
        """Return who may read a project: public, protected or private; `unknown` for another word."""
        word = (
            self._session.get(f"/data/projects/{quote(container, safe='')}/accessibility")
            .text.strip()
            .lower()
        )
        return word if word in ("public", "protected", "private") else "unknown"

    def waiting(self, container: str) -> int:
        """Return how many sessions of a project wait in the prearchive: not anonymised yet, and never read."""
        path = f"/data/prearchive/projects/{quote(container, safe='')}"
        return self._session.ask(
            path, {"format": "json"}, lambda answer: len(_json(answer)["ResultSet"]["Result"])
        )

    def custom_variables(self, container: str) -> Iterator[SubjectVariables]:
        """Yield the custom variables and the answers of custom forms of each subject, from two calls per subject."""
        project = quote(container, safe="")
        for identity, known in sorted(self._subjects(container, needed=True).items()):
            below = f"projects/{project}/subjects/{quote(identity, safe='')}"
            item = self._session.ask(f"/data/{below}", {"format": "json"}, _first_item)
            values = custom_variables(item)
            with contextlib.suppress(NotInSource):
                # Custom forms came with XNAT 1.8.
                answers = self._session.ask(f"/xapi/custom-fields/{below}/fields", {}, _json_or_none)
                values = form_answers(answers) | values
            sessions = [each["data_fields"] for each in children(item, "experiments/experiment")]
            patient = next((str(each["dcmPatientId"]) for each in sessions if each.get("dcmPatientId")), "")
            subject = self._subject_of(patient, known.label)
            yield SubjectVariables(
                Sensitive(subject, reference="a subject"), Sensitive(values, reference="its variables")
            )

    def close(self) -> None:
        """End the session at the archive."""
        self._session.close()

    def _lost(self, session: str) -> list[Item]:
        """Return the scans of a session that the joined table does not know; most such sessions have none."""
        try:
            found = self._session_item(session)
        except NotInSource:
            return []
        return [
            Item(
                f"{session}/{scan.id}/{label}",
                hashlib.sha256(f"{scan.stamps}\0{count}".encode()).hexdigest(),
                count,
            )
            for scan in found.scans.values()
            for label, count in scan.files.items()
        ]

    def _described(
        self,
        container: str,
        item: Item,
        found: SessionItem | HarvestError,
        subjects: dict[str, _SubjectRow],
    ) -> Described:
        if isinstance(found, HarvestError):
            return Described(item, None, found)
        scan = found.scans.get(item.local_id.split("/", 2)[1])
        if scan is None:
            return Described(item, None, self._gone())
        try:
            return Described(item, self._description(container, item, found, scan, subjects))
        except UnreadableHeader as err:
            return Described(item, None, err)

    def _description(
        self,
        container: str,
        item: Item,
        session: SessionItem,
        scan: ScanItem,
        subjects: dict[str, _SubjectRow],
    ) -> SeriesDescription:
        known = subjects.get(session.subject, _SubjectRow("", ""))
        scan.header.PatientID = self._subject_of(session.patient_id, known.label)
        if known.sex:
            scan.header.PatientSex = known.sex
        if self._marks is Marks.HEADER:
            self._add_marks(container, session, item, scan)
        files = item.files or sum(scan.files.values())
        recorder = Recorder("harvest", self._machine.clock.now(), f"fairbank {__version__}")
        described = describe_datasets([scan.header], recorder=recorder, expected_instances=files or None)
        return replace(
            described,
            facts=replace(described.facts, instances=files, frames=max(scan.frames or 0, files)),
            mark=replace(described.mark, identifying=scan.identifying),
            archive_quality=scan.quality,
            archive_validation=scan.validation,
            shared=session.owner != container,
        )

    def _add_marks(self, container: str, session: SessionItem, item: Item, scan: ScanItem) -> None:
        """Add to a scan's header what the first of its images says of its de-identification, if the archive tells."""
        below = (container, session.subject, *item.local_id.split("/")[:2])
        src = "/archive/projects/{}/subjects/{}/experiments/{}/scans/{}".format(*below)
        fields = "".join(f"&field={tag[1:5]}{tag[6:10]}" for tag in MARKS)
        # Written out, because one name stands in it several times.
        path = f"/data/services/dicomdump?src={quote(src, safe='')}{fields}&format=json"
        try:
            found = self._session.ask(path, {}, lambda answer: header_marks(_json(answer)))
        except (NotInSource, SourceForbidden, SourceFailed):
            return
        with quiet_pydicom():
            for keyword, text in found.items():
                setattr(scan.header, keyword, text)

    def _subject_of(self, patient_id: str, label: str) -> str:
        return label if self._subject is SubjectName.LABEL else patient_id

    def _subjects(self, container: str, *, needed: bool = False) -> dict[str, _SubjectRow]:
        """Return label and sex of a project's subjects by XNAT's id: the label only where it names the subject."""
        names = ("label",) if self._subject is SubjectName.LABEL else ()
        path = f"/data/projects/{quote(container, safe='')}/subjects"
        try:
            table = self._session.table(Query(path, ("ID", *names, "gender"), needed=("id", *names)))
        except SourceFailed:
            if needed or names:
                raise
            return {}
        return {
            row["id"]: _SubjectRow(row.get("label", ""), sex_of(row.get("gender", ""))) for row in table.rows
        }

    def _session_or_error(self, container: str, session: str) -> SessionItem | HarvestError:
        """Return a session's item, or why it cannot be had; a project that was closed is no matter of one session."""
        try:
            return self._session_item(session)
        except (NotInSource, SourceForbidden) as err:
            self._session.get(f"/data/projects/{quote(container, safe='')}", {"format": "json"})
            return err
        except SourceFailed as err:
            return err

    def _session_item(self, session: str) -> SessionItem:
        path = f"/data/experiments/{quote(session, safe='')}"
        return self._session.ask(path, {"format": "json"}, lambda answer: session_item(_json(answer)))

    def _unpacked(self, packed: Path, item: Item, into: Path) -> list[tuple[Path, str]]:
        try:
            with zipfile.ZipFile(packed) as opened:
                members = sorted((m for m in opened.infolist() if not m.is_dir()), key=lambda m: m.filename)
                if item.files is not None and len(members) < item.files:
                    raise self._broken("it sent fewer files of a scan than it lists")
                names = []
                for number, member in enumerate(members):
                    # Our own names: a member's name may identify a person, or climb out of the folder.
                    target = into / f"{number:06d}.dcm"
                    with opened.open(member) as source, target.open("wb") as copied:
                        shutil.copyfileobj(source, copied)
                    names.append((target, member.filename))
        except _BROKEN_ZIP:
            # Without its cause: the library quotes names of files, and those may identify a person.
            raise self._broken("a scan did not come as a whole ZIP file") from None
        return names

    def _gone(self) -> NotInSource:
        return NotInSource(
            f"The archive {self._name} no longer has a scan that it listed.",
            why="It was deleted, renamed or replaced between two requests.",
            todo="Run the harvest again.",
        )

    def _broken(self, reason: str) -> SourceFailed:
        return SourceFailed(
            f"The archive {self._name} failed: {reason}.",
            why="Nothing of this answer was used, and nothing was lost.",
            todo="Look at the archive's own log, and run the harvest again: it goes on where it stopped.",
        )


def _version_of(answer: Answer) -> str:
    try:
        return str(_json(answer)["version"])
    except (ValueError, KeyError, TypeError):
        return "unknown"


def _json(answer: Answer) -> Any:
    return json.loads(answer.content)


def _json_or_none(answer: Answer) -> Any:
    return json.loads(answer.content) if answer.content.strip() else None


def _first_item(answer: Answer) -> Any:
    item = _json(answer)["items"][0]
    dict(item["data_fields"])
    return item


def _version(rows: list[Row]) -> str:
    lines = sorted("\0".join(row.get(column.lower(), "") for column in _VERSION_COLUMNS) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _files(rows: list[Row]) -> int | None:
    counts = [row.get(_COUNT, "") for row in rows]
    return sum(int(count) for count in counts) if all(count.isdecimal() for count in counts) else None
