"""A FHIR server as a source: the series of its ImagingStudy resources, in the shapes of R4B and of R5.

Read are ids, modality, body site, laterality, counts and dates of a study, and sex and birth date of its patient; the
birth date makes an age band in memory. Names, descriptions and notes are not looked at.

Source: HL7 FHIR R4B and R5, ImagingStudy; the identifier of a study is `urn:oid:` and its UID.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fairbank.harvest.errors import (
    HarvestError,
    NotInSource,
    SourceFailed,
    SourceForbidden,
    SourceLoginRefused,
    SourceUnreachable,
)
from fairbank.harvest.sources.fhir_server import (
    FhirServer,
    Resource,
    codings,
    dicts,
    hospital_number,
    reference_id,
)
from fairbank.harvest.sources.protocol import (
    Capability,
    Changes,
    Checked,
    Container,
    Described,
    Instance,
    Item,
    Snapshot,
    SourceKind,
)
from fairbank.harvest.sources.stated import Stated, date_of, described, no_images
from fairbank.ontology.record import UNKNOWN
from fairbank.ontology.vocabulary import body_part_of_code

ALL: Final = "all"
STUDY: Final = "ImagingStudy"
_UID: Final = "urn:dicom:uid"
_SIDES: Final = {"7771000": "L", "24028007": "R", "51440002": "B"}
_SEXES: Final = {"male": "M", "female": "F", "other": "O"}


@dataclass(frozen=True, slots=True, repr=False)
class _Series:
    """What is kept of one series between a listing and its description; it has no repr, because it holds ids."""

    study: Resource
    series: Resource


class FhirSource:
    """The imaging studies of a FHIR server; containers are `all` and the tags that are named.

    Args:
        identifier_system: of the hospital number among a patient's identifiers; see `hospital_number`.
        tags: values of `meta.tag`, each of which makes a container.
        issuer: Issuer of Patient ID (0010,0021) that the images of the same patients have.
    """

    kind = SourceKind.FHIR
    capabilities = frozenset({Capability.DESCRIBES, Capability.CHANGE_FEED, Capability.TOMBSTONES})

    def __init__(
        self,
        server: FhirServer,
        *,
        name: str = "fhir",
        identifier_system: str = "",
        tags: Sequence[str] = (),
        issuer: str = "",
    ) -> None:
        self._server = server
        self._name = name
        self._system = identifier_system
        self._tags = tuple(tags)
        self._issuer = issuer
        self._known: dict[str, _Series] = {}
        self._patients: dict[str, Resource] = {}

    def check(self) -> Checked:
        """Ask which version of FHIR the server speaks."""
        version = self._server.version()
        return Checked(version, len(self.list_containers()), self._server.clock_offset_s)

    def list_containers(self) -> list[Container]:
        """Return `all`, and one for each tag."""
        return [Container(one, one) for one in sorted({ALL, *self._tags})]

    def snapshot(self, container: str) -> Snapshot:
        """Return all series of the studies of a container."""
        items = self._items(self._params(container))
        return Snapshot(container, tuple(sorted(items, key=lambda item: item.local_id)), complete=True)

    def describe(self, container: str, items: Sequence[Item]) -> Iterator[Described]:
        """Yield what the server says of each series; one that was deleted meanwhile (410) is told as gone."""
        for number, item in enumerate(items, start=1):
            try:
                yield Described(item, described(self._stated(item, number)))
            except (SourceUnreachable, SourceLoginRefused):
                raise
            except HarvestError as err:
                yield Described(item, None, err)

    def changes(self, container: str, cursor: str) -> Changes:
        """Return what changed by `_lastUpdated`, and what was deleted by `_history`.

        A server without histories cannot tell what was deleted, so that its feed is not complete.
        """
        params = self._params(container)
        following = self._server.now()
        if not cursor:
            return Changes((), (), following, complete=True)
        items = self._items({**params, "_lastUpdated": f"ge{cursor}"})
        try:
            gone = self._gone(container, cursor, {item.local_id for item in items})
        except (NotInSource, SourceFailed, SourceForbidden):
            return Changes(items, (), following, complete=False)
        return Changes(items, gone, following, complete=True)

    def fetch(self, container: str, item: Item, into: Path) -> Iterator[Instance]:
        """Refuse: a FHIR server says where images are, and holds none."""
        return no_images(self._name, container, item, into)

    def close(self) -> None:
        """Close the connections."""
        self._known.clear()
        self._patients.clear()
        self._server.close()

    def _params(self, container: str) -> dict[str, str]:
        if container not in {ALL, *self._tags}:
            raise NotInSource(
                f"The source {self._name} has no container of this name.",
                why="Its containers are 'all' and the tags that it was added with.",
                todo="List its containers, and check the spelling.",
            )
        return {} if container == ALL else {"_tag": container}

    def _items(self, params: dict[str, str]) -> tuple[Item, ...]:
        studies: dict[str, Resource] = {}
        for resource in self._server.search(STUDY, {**params, "_include": f"{STUDY}:subject"}):
            if resource.get("resourceType") == "Patient":
                self._patients[str(resource.get("id"))] = _of_patient(resource)
            elif resource.get("resourceType") == STUDY and resource.get("status") not in _NO_STUDY:
                studies[str(resource.get("id"))] = resource
        items = []
        for study in studies.values():
            for local_id, one in self._series_of(study):
                self._known[local_id] = one
                items.append(Item(local_id, self._version(one), _instances(one.series)))
        return tuple(items)

    def _series_of(self, study: Resource) -> Iterator[tuple[str, _Series]]:
        kept = _of_study(study)
        for one in dicts(study.get("series")):
            yield f"{study.get('id')}/{one.get('uid')}", _Series(kept, _of_series(one))

    def _version(self, one: _Series) -> str:
        patient = self._patients.get(reference_id(one.study.get("subject"), "Patient") or "", {})
        text = json.dumps([one.study, one.series, patient], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _gone(self, container: str, cursor: str, listed: set[str]) -> tuple[str, ...]:
        """Return the series of studies that were deleted, and those that a changed study has no longer."""
        touched = {local_id.partition("/")[0] for local_id in listed}
        for entry in self._server.history(STUDY, since=cursor):
            request = entry.get("request")
            if isinstance(request, dict) and request.get("method") == "DELETE":
                deleted = reference_id({"reference": request.get("url")}, STUDY)
                if deleted is not None:
                    touched.add(deleted)
        gone: set[str] = set()
        for study in touched:
            for entry in self._server.history(f"{STUDY}/{study}"):
                resource = entry.get("resource")
                if isinstance(resource, dict) and (container == ALL or container in _tags(resource)):
                    gone |= {local_id for local_id, _ in self._series_of(resource)}
        return tuple(sorted(gone - listed))

    def _stated(self, item: Item, number: int) -> Stated:
        one = self._known.get(item.local_id) or self._fetched(item.local_id)
        subject = reference_id(one.study.get("subject"), "Patient")
        patient = self._patient(subject) if subject else {}
        body = next((coded for coded in codings(one.series.get("bodySite")) if any(coded)), ("", "", ""))
        part = body_part_of_code(body[1])
        modality = next((code for _, code, _ in codings(one.series.get("modality")) if code), "")
        values = {
            "Modality": modality,
            "BodyPartExamined": body[2] if part == UNKNOWN else part,
            "Laterality": next(
                (_SIDES[code] for _, code, _ in codings(one.series.get("laterality")) if code in _SIDES), ""
            ),
            "PatientSex": _SEXES.get(str(patient.get("gender")), ""),
            "StudyDate": date_of(str(one.series.get("started") or one.study.get("started") or "")) or "",
            "PatientBirthDate": date_of(str(patient.get("birthDate") or "")) or "",
        }
        return Stated(
            where=f"Series {number} of the FHIR server {self._name}",
            subject=hospital_number(patient, self._system) or "",
            study=_study_uid(one.study),
            series=str(one.series.get("uid") or ""),
            values=values,
            instances=_instances(one.series),
            issuer=self._issuer,
        )

    def _fetched(self, local_id: str) -> _Series:
        study, _, uid = local_id.partition("/")
        for known, one in self._series_of(self._server.read(STUDY, study)):
            self._known[known] = one
        found = self._known.get(local_id)
        if found is None or not uid:
            raise NotInSource(f"A series of the source {self._name} has gone.", todo="Run the harvest again.")
        return found

    def _patient(self, local_id: str) -> Resource:
        if local_id not in self._patients:
            self._patients[local_id] = _of_patient(self._server.read("Patient", local_id))
        return self._patients[local_id]


_NO_STUDY: Final = frozenset({"entered-in-error", "cancelled"})


def _of_study(study: Resource) -> Resource:
    return {name: study[name] for name in ("id", "identifier", "subject", "started") if name in study}


def _of_series(series: Resource) -> Resource:
    kept = ("uid", "modality", "bodySite", "laterality", "numberOfInstances", "started")
    found = {name: series[name] for name in kept if name in series}
    if "numberOfInstances" not in found and isinstance(series.get("instance"), list):
        found["numberOfInstances"] = len(series["instance"])
    return found


def _of_patient(patient: Resource) -> Resource:
    return {name: patient[name] for name in ("id", "identifier", "gender", "birthDate") if name in patient}


def _instances(series: Resource) -> int | None:
    number: Any = series.get("numberOfInstances")
    return number if isinstance(number, int) and number >= 0 else None


def _study_uid(study: Resource) -> str:
    for one in dicts(study.get("identifier")):
        if one.get("system") == _UID and isinstance(one.get("value"), str):
            return str(one["value"]).removeprefix("urn:oid:")
    return str(study.get("id") or "")


def _tags(resource: Resource) -> list[str]:
    meta = resource.get("meta")
    return [str(one.get("code")) for one in dicts(meta.get("tag"))] if isinstance(meta, dict) else []
