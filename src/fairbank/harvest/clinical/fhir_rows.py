"""Rows of a FHIR server: one per patient, of the observations and conditions that a mapping names.

After the first import only patients are read again of whom something changed by `_lastUpdated`, or was deleted by
`_history`. A server without histories is read as a whole each time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from fairbank.errors import Sensitive
from fairbank.harvest.clinical import mapping as maps
from fairbank.harvest.clinical.fhir_columns import (
    FhirColumn,
    ResourceKind,
    Said,
    of_condition,
    of_observation,
    of_patient,
    parse,
)
from fairbank.harvest.clinical.mapping import Several, VariableRule
from fairbank.harvest.clinical.rows import Cell, Problem, SubjectRow
from fairbank.harvest.clinical.values import Fault
from fairbank.harvest.errors import NotInSource, SourceFailed, SourceForbidden
from fairbank.harvest.sources.fhir_server import FhirServer, Resource, hospital_number, reference_id
from fairbank.ontology.variables import VariableKind

_CHUNK = 50
# What each patient says for each column, in no order yet.
_Told = dict[str, dict[FhirColumn, list[Said]]]


class FhirRows:
    """The patients of a FHIR server.

    Args:
        since: the cursor of the import before; empty asks for everything.

    Raises:
        BadMapping: if a column means nothing that is read.
        SourceUnreachable, SourceLoginRefused, SourceFailed: as the server answers.
    """

    kind = "fhir"
    ignored: Collection[int] = ()

    def __init__(
        self, server: FhirServer, mapping: maps.Mapping, *, identifier_system: str = "", since: str = ""
    ) -> None:
        self._server = server
        self._mapping = mapping
        self._system = identifier_system
        self._columns = {name: parse(rule.column, name) for name, rule in mapping.variables.items()}
        self._references = {
            name: parse(rule.reference, name) for name, rule in mapping.variables.items() if rule.reference
        }
        self.version = server.version()
        self.cursor = server.now()
        self._touched = self._touched_since(since) if since else None
        self.complete = self._touched is None

    def rows(self) -> Iterator[SubjectRow]:
        """Yield one row per patient; of one who is no longer there, nothing is known but an id of the server."""
        if self._touched is not None and not self._touched:
            return
        patients = {str(one.get("id")): one for one in self._found(ResourceKind.PATIENT, {}, by="_id")}
        told: _Told = defaultdict(lambda: defaultdict(list))
        for kind in (ResourceKind.OBSERVATION, ResourceKind.CONDITION):
            for params in self._searches(kind):
                for resource in self._found(kind, params, by="patient"):
                    self._take(told, resource, kind)
        for number, (local_id, patient) in enumerate(sorted(patients.items()), start=1):
            yield self._row(number, patient, told.get(local_id, {}))

    def _row(self, number: int, patient: Resource, told: Mapping[FhirColumn, list[Said]]) -> SubjectRow:
        subject = hospital_number(patient, self._system)
        if subject is None:
            return SubjectRow(number, None, problems=(Problem(number, 1, Fault.NO_SUBJECT),))
        cells, problems = {}, []
        for place, (name, rule) in enumerate(self._mapping.variables.items(), start=1):
            said = _chosen(patient, self._columns[name], told, rule.several)
            if said is None:
                continue
            if said.fault is not None:
                problems.append(Problem(number, place, said.fault))
                continue
            reference = self._references.get(name)
            at = _chosen(patient, reference, told, Several.LAST) if reference else None
            is_number = rule.kind in (VariableKind.QUANTITY, VariableKind.INTEGER)
            cells[name] = Cell(said.text, place, reference=at.text if at else "", typed=is_number)
        whole = self._touched is not None
        return SubjectRow(
            number, Sensitive(subject, reference="a subject"), cells, tuple(problems), whole=whole
        )

    def _take(self, told: _Told, resource: Resource, kind: ResourceKind) -> None:
        patient = reference_id(resource.get("subject"), "Patient")
        if patient is None:
            return
        read = of_observation if kind is ResourceKind.OBSERVATION else of_condition
        for column, rule in self._used():
            if column.kind is kind and (said := read(resource, column, rule)) is not None:
                told[patient][column].append(said)

    def _used(self) -> Iterator[tuple[FhirColumn, VariableRule]]:
        for columns in (self._columns, self._references):
            for name, column in columns.items():
                yield column, self._mapping.variables[name]

    def _searches(self, kind: ResourceKind) -> list[dict[str, str]]:
        if kind is ResourceKind.PATIENT:
            return [{}]
        tokens = dict.fromkeys(
            f"{column.system}|{column.code}" for column, _ in self._used() if column.kind is kind
        )
        return [{"code": token} for token in tokens]

    def _found(self, kind: ResourceKind, params: dict[str, str], *, by: str) -> Iterator[Resource]:
        """Yield what a search finds, of those patients only of whom something changed."""
        touched = None if self._touched is None else sorted(self._touched)
        chunks = (
            [params]
            if touched is None
            else [
                {**params, by: ",".join(touched[at : at + _CHUNK])} for at in range(0, len(touched), _CHUNK)
            ]
        )
        for chunk in chunks:
            for resource in self._server.search(kind.value, chunk):
                if resource.get("resourceType") == kind.value:
                    yield resource

    def _touched_since(self, since: str) -> set[str] | None:
        """Return the patients of whom something changed, None if the server cannot tell."""
        touched: set[str] = set()
        kinds = {column.kind for column, _ in self._used()} | {ResourceKind.PATIENT}
        try:
            for kind in sorted(kinds):
                for params in self._searches(kind):
                    for resource in self._server.search(kind.value, {**params, "_lastUpdated": f"ge{since}"}):
                        touched |= _patients_of(resource)
                touched |= self._deleted(kind, since)
        except (NotInSource, SourceFailed, SourceForbidden):
            return None
        return touched

    def _deleted(self, kind: ResourceKind, since: str) -> set[str]:
        touched: set[str] = set()
        for entry in self._server.history(kind.value, since=since):
            request = entry.get("request")
            if not isinstance(request, dict) or request.get("method") != "DELETE":
                continue
            local_id = reference_id({"reference": request.get("url")}, kind.value)
            if local_id is None or kind is ResourceKind.PATIENT:
                # Whose values these were, the hospital number would tell, and that has gone: all are read again.
                raise NotInSource("A patient of the FHIR server was deleted.")
            for before in self._server.history(f"{kind.value}/{local_id}"):
                if isinstance(before.get("resource"), dict):
                    touched |= _patients_of(before["resource"])
        return touched


def _chosen(
    patient: Resource, column: FhirColumn, told: Mapping[FhirColumn, list[Said]], several: Several
) -> Said | None:
    """Return the first or last by date of what is said for a column."""
    if column.kind is ResourceKind.PATIENT:
        return of_patient(patient, column)
    listed = sorted(told.get(column, ()), key=lambda said: said.at)
    return listed[0 if several is Several.FIRST else -1] if listed else None


def _patients_of(resource: Resource) -> set[str]:
    if resource.get("resourceType") == "Patient":
        return {str(resource.get("id"))}
    patient = reference_id(resource.get("subject"), "Patient")
    return {patient} if patient else set()
