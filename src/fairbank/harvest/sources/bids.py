"""A BIDS dataset as a source: described by its sidecars and tables; there is no DICOM in it to fetch.

Read are dataset_description.json, participants.tsv with its JSON, the *_scans.tsv of sessions, and the sidecars of
images by the inheritance principle. Derivatives and source data are left alone.

Source: Brain Imaging Data Structure 1.10, "Common principles" and "Modality agnostic files".
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fairbank.harvest.errors import BadRow, HarvestError, NotAFolder, NotInSource
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
from fairbank.harvest.sources.stated import Stated, date_of, described, no_images

DESCRIPTION: Final = "dataset_description.json"
_HERE: Final = "."
_MODALITIES: Final = {
    "anat": "MR",
    "func": "MR",
    "dwi": "MR",
    "fmap": "MR",
    "perf": "MR",
    "pet": "PT",
    "micr": "SM",
}
_IMAGE: Final = re.compile(r"(sub-[A-Za-z0-9+]+_.+)\.(nii(\.gz)?|json|ome\.tif)")
_NOT_KNOWN: Final = frozenset({"", "n/a", "N/A", "NA", "nan"})
# Dates up to this year were moved, says BIDS; they are no acquisition dates.
_LAST_MOVED_YEAR: Final = 1925
_VERSION: Final = re.compile(r"[0-9A-Za-z._-]{1,40}")
_LARGEST_BYTES: Final = 16 * 2**20
# What a sidecar says, by the keyword that DICOM has for it.
_SIDECAR: Final = {
    "Modality": "Modality",
    "BodyPart": "BodyPartExamined",
    "BodyPartExamined": "BodyPartExamined",
    "Manufacturer": "Manufacturer",
    "ManufacturersModelName": "ManufacturerModelName",
    "MagneticFieldStrength": "MagneticFieldStrength",
    "SliceThickness": "SliceThickness",
    "SpacingBetweenSlices": "SpacingBetweenSlices",
    "ConvolutionKernel": "ConvolutionKernel",
    "PatientIdentityRemoved": "PatientIdentityRemoved",
}
_IN_YEARS: Final = {
    "year": 1.0,
    "years": 1.0,
    "month": 1 / 12,
    "months": 1 / 12,
    "week": 7 / 365.25,
    "weeks": 7 / 365.25,
}


@dataclass(slots=True)
class _Dataset:
    """What is read once of a dataset: people by label, dates by file, shared sidecars by folder."""

    root: Path
    people: dict[str, dict[str, str]] = field(default_factory=dict)
    dates: dict[str, str] = field(default_factory=dict)
    files: dict[str, list[Path]] = field(default_factory=dict)


class BidsSource:
    """A folder with one BIDS dataset, or with several in its subfolders; each is a container."""

    kind = SourceKind.BIDS
    capabilities = frozenset({Capability.DESCRIBES, Capability.STABLE_ORDER, Capability.TOTAL_COUNT})

    def __init__(self, root: Path, *, name: str = "bids", issuer: str = "") -> None:
        self._root = root
        self._name = name
        self._issuer = issuer
        self._read: dict[str, _Dataset] = {}

    def check(self) -> Checked:
        """Say which version of BIDS the datasets follow, where they agree."""
        containers = self.list_containers()
        versions = {self._about(self._folder(one.id)).get("BIDSVersion") for one in containers}
        version = versions.pop() if len(versions) == 1 else None
        # It becomes part of a published record.
        stated = isinstance(version, str) and _VERSION.fullmatch(version) is not None
        return Checked(version=str(version) if stated else "unknown", containers=len(containers))

    def list_containers(self) -> list[Container]:
        """Return the dataset of the folder, or those of its subfolders."""
        if (self._root / DESCRIPTION).is_file():
            return [self._container(_HERE)]
        try:
            found = sorted(entry.name for entry in self._root.iterdir() if (entry / DESCRIPTION).is_file())
        except OSError as err:
            raise NotAFolder(
                f"The source {self._name} is not a readable folder.",
                why="It has been moved, or the node's user may not read it.",
                todo="Check the path and its permissions, and add the source again.",
            ) from err
        return [self._container(one) for one in found]

    def snapshot(self, container: str) -> Snapshot:
        """Return the images of a dataset; the version of each changes with any file that it is described by."""
        if container not in [known.id for known in self.list_containers()]:
            raise NotInSource(
                f"The source {self._name} has no BIDS dataset of this name.",
                todo="List its containers; a dataset has a file dataset_description.json.",
            )
        dataset = self._open(container)
        common = _stamp([dataset.root / "participants.tsv", dataset.root / "participants.json"])
        items = []
        for local_id, files in sorted(dataset.files.items()):
            shared = [*_inherited(dataset.root, local_id), *_scans_of(dataset.root, local_id)]
            items.append(Item(local_id, _digest(common, _stamp([*files, *shared]))))
        return Snapshot(container, tuple(items), complete=True)

    def describe(self, container: str, items: Sequence[Item]) -> Iterator[Described]:
        """Yield what sidecars and tables say; a broken sidecar leaves out its own image only."""
        dataset = self._read.get(container) or self._open(container)
        numbers = {local_id: number for number, local_id in enumerate(sorted(dataset.files), start=1)}
        for item in items:
            try:
                if item.local_id not in dataset.files:
                    raise NotInSource(
                        f"An image of the source {self._name} has gone.", todo="Run the harvest again."
                    )
                where = f"Image {numbers[item.local_id]} of the BIDS dataset {self._name}"
                yield Described(item, described(self._stated(dataset, item.local_id, where)))
            except HarvestError as err:
                yield Described(item, None, err)

    def fetch(self, container: str, item: Item, into: Path) -> Iterator[Instance]:
        """Refuse: a BIDS dataset holds no DICOM."""
        return no_images(self._name, container, item, into)

    def close(self) -> None:
        """Forget what was read."""
        self._read.clear()

    def _container(self, name: str) -> Container:
        title = self._about(self._folder(name)).get("Name")
        return Container(name, title if isinstance(title, str) and title else name)

    def _folder(self, container: str) -> Path:
        return self._root if container == _HERE else self._root / container

    def _about(self, folder: Path) -> dict[str, Any]:
        try:
            return _json(folder / DESCRIPTION)
        except ValueError:
            return {}

    def _open(self, container: str) -> _Dataset:
        root = self._folder(container)
        dataset = _Dataset(root, people=_people(root))
        for folder in sorted(root.glob("sub-*")):
            sessions = [one for one in sorted(folder.glob("ses-*")) if one.is_dir()] or [folder]
            for session in (*sessions, *([folder] if sessions != [folder] else [])):
                dataset.dates |= _dates(root, session)
            for session in sessions:
                for kind in sorted(
                    one for one in session.glob("*") if one.name in _MODALITIES and one.is_dir()
                ):
                    for path in sorted(kind.iterdir()):
                        if named := _IMAGE.fullmatch(path.name):
                            local_id = (kind / named[1]).relative_to(root).as_posix()
                            dataset.files.setdefault(local_id, []).append(path)
        self._read = {container: dataset}
        return dataset

    def _stated(self, dataset: _Dataset, local_id: str, where: str) -> Stated:
        parts = local_id.split("/")
        label = parts[0].removeprefix("sub-")
        sidecars = [*_inherited(dataset.root, local_id), dataset.root / f"{local_id}.json"]
        said: dict[str, Any] = {}
        for path in sidecars:
            try:
                said |= _json(path)
            except ValueError:
                raise BadRow(
                    f"{where} describes no series: a sidecar of it is no JSON.",
                    why="It is left out; the others are not affected.",
                    todo="Correct the sidecar (the BIDS validator names it), and run again.",
                ) from None
        values = {"Modality": _MODALITIES[parts[-2]]}
        values |= {
            keyword: _plain(said[name]) for name, keyword in _SIDECAR.items() if _plain(said.get(name)) != ""
        }
        values |= _contrast(said, parts[-1]) | _person(dataset.people.get(label, {}))
        if methods := said.get("DeidentificationMethod"):
            values["DeidentificationMethod"] = _plain(methods[0] if isinstance(methods, list) else methods)
        if day := dataset.dates.get(local_id):
            values["StudyDate"] = day
        return Stated(
            where=where,
            subject=label,
            study="/".join(parts[:-2]),
            series=local_id,
            values=values,
            instances=sum(path.suffix != ".json" for path in dataset.files[local_id]),
            issuer=self._issuer,
        )


def _people(root: Path) -> dict[str, dict[str, str]]:
    """Return the rows of participants.tsv by label, with words for the levels that its JSON explains."""
    try:
        about = _json(root / "participants.json")
    except ValueError:
        about = {}
    people = {}
    for row in _table(root / "participants.tsv"):
        levels = {
            name: _levels(about, name).get(value, value)
            for name, value in row.items()
            if value not in _NOT_KNOWN
        }
        unit = _described(about, "age").get("Units", "years")
        label = row.get("participant_id", "").removeprefix("sub-")
        people[label] = {name.lower(): value for name, value in levels.items()} | {
            "age unit": str(unit).lower()
        }
    return people


def _levels(about: Mapping[str, Any], name: str) -> dict[str, str]:
    levels = _described(about, name).get("Levels")
    if not isinstance(levels, dict):
        return {}
    words = {
        key: value.get("Description") if isinstance(value, dict) else value for key, value in levels.items()
    }
    return {key: word for key, word in words.items() if isinstance(word, str)}


def _described(about: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = next((value for key, value in about.items() if key.lower() == name.lower()), None)
    return found if isinstance(found, dict) else {}


def _person(row: Mapping[str, str]) -> dict[str, str]:
    values = {}
    if said := row.get("sex", row.get("gender", "")):
        values["PatientSex"] = said.strip().upper()
    try:
        # BIDS writes 89+ where people are older than may be told.
        years = float(row.get("age", "").rstrip("+")) * _IN_YEARS[row.get("age unit", "years")]
    except (ValueError, KeyError):
        return values
    if 0 < years < 130:
        values["PatientAge"] = f"{int(years):03d}Y" if years >= 1 else f"{int(years * 12):03d}M"
    return values


def _contrast(said: Mapping[str, Any], name: str) -> dict[str, str]:
    stated = _plain(said.get("ContrastBolusIngredient"))
    if stated:
        return {"ContrastBolusAgent": "NONE" if stated.upper() == "NONE" else "given"}
    return {"ContrastBolusAgent": "given"} if "_ce-" in name else {}


def _dates(root: Path, session: Path) -> dict[str, str]:
    """Return the dates of *_scans.tsv by the id of the image, without those that were moved."""
    found = {}
    for path in sorted(session.glob("*_scans.tsv")):
        for row in _table(path):
            day = date_of(row.get("acq_time", ""))
            name = _IMAGE.fullmatch(row.get("filename", "").rpartition("/")[2])
            if day is not None and name is not None and int(day[:4]) > _LAST_MOVED_YEAR:
                kind = row["filename"].rpartition("/")[0]
                found[(session / kind / name[1]).relative_to(root).as_posix()] = day
    return found


def _inherited(root: Path, local_id: str) -> list[Path]:
    """Return the shared sidecars of an image, the most general first: same suffix, and no entity that it has not."""
    *folders, name = local_id.split("/")
    *entities, suffix = name.split("_")
    found = []
    for depth in range(len(folders) + 1):
        folder = root.joinpath(*folders[:depth])
        for path in sorted(folder.glob(f"*{suffix}.json")):
            *shared, of = path.stem.split("_")
            if of == suffix and path.stem != name and set(shared) <= set(entities):
                found.append(path)
    return found


def _scans_of(root: Path, local_id: str) -> list[Path]:
    folders = local_id.split("/")[:-2]
    return [
        path
        for depth in range(1, len(folders) + 1)
        for path in root.joinpath(*folders[:depth]).glob("*_scans.tsv")
    ]


def _table(path: Path) -> list[dict[str, str]]:
    if path.is_symlink() or not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE, restval="")
            return [{key: value for key, value in row.items() if isinstance(key, str)} for row in rows]
    except (UnicodeDecodeError, csv.Error):
        return []


def _json(path: Path) -> dict[str, Any]:
    """Return what a file says, nothing if it is not there.

    Raises:
        ValueError: if it is no JSON object.
    """
    # A link could lead anywhere on this machine.
    if path.is_symlink() or not path.is_file():
        return {}
    if path.stat().st_size > _LARGEST_BYTES:
        raise ValueError("too large")
    try:
        said = json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError as err:
        raise ValueError("too deep") from err
    if not isinstance(said, dict):
        raise ValueError("no object")
    return said


def _plain(value: Any) -> str:
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _stamp(paths: Sequence[Path]) -> str:
    lines = []
    for path in paths:
        try:
            status = path.lstat()
        except OSError:
            continue
        lines.append(f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}")
    return "\n".join(lines)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1e".join(parts).encode(errors="surrogateescape")).hexdigest()
