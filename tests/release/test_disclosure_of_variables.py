"""Clinical variables of a record: what is withheld, and what the gate refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.ontology.counts import Count, CountKind
from fairbank.ontology.outputs import DoorClass
from fairbank.ontology.record import Activity, ActivityKind, CollectionKind, DatasetRecord, Totals
from fairbank.ontology.variables import CodeSystem, Variable, VariableKind, VariableValue
from fairbank.release.candidates import Candidate
from fairbank.release.disclosure import faults, suppress_record
from fairbank.release.gate import Policy, judge
from fairbank.signing import SigningKey

MOMENT = "2026-01-01T10:00:00.000Z"


def variable(known: int, **changes: object) -> Variable:
    values: dict[str, object] = {
        "name": "smoking",
        "label": "Tobacco smoking status",
        "system": CodeSystem.LOINC,
        "code": "72166-2",
        "kind": VariableKind.CODED,
        "values": (VariableValue(code="never", label="Never smoked"),),
        "subjects": Count.exact(known),
    }
    return Variable(**(values | changes))  # type: ignore[arg-type]


def record(subjects: int, *variables: Variable, k: int = 10) -> DatasetRecord:
    total = Count.exact(subjects)
    return DatasetRecord(
        node="alpha",
        dataset="lungs",
        version=1,
        title="Lungs",
        description="CT.",
        publisher="Alpha",
        collection_kind=CollectionKind.CLINICAL,
        minimum_count=k,
        totals=Totals(subjects=total, studies=total, series=total, instances=total),
        cube=(),
        provenance=(
            Activity(
                kind=ActivityKind.HARVEST,
                tool="fairbank harvest",
                tool_version="0.1.0",
                agent="Alpha",
                started=MOMENT,
                ended=MOMENT,
            ),
        ),
        variables=variables,
        created=MOMENT,
    )


@given(st.integers(0, 80), st.lists(st.integers(0, 80), max_size=4), st.integers(2, 12))
def test_no_variable_tells_of_few_with_or_without_a_value(subjects: int, known: list[int], k: int) -> None:
    made = record(
        subjects, *(variable(min(each, subjects), name=f"v-{at}") for at, each in enumerate(known)), k=k
    )
    safe = suppress_record(made, k)
    assert faults(safe, k) == []
    for exact, each in zip(made.variables, safe.variables, strict=True):
        number = exact.subjects.value or 0
        if subjects >= k and number >= k and not 0 < subjects - number < k:
            assert each.subjects == exact.subjects
        else:
            assert each.subjects.kind is CountKind.BELOW_K


@pytest.mark.parametrize(("known", "word"), [(9, "below the smallest"), (55, "few subjects are without")])
def test_what_was_not_suppressed_is_a_fault(known: int, word: str) -> None:
    assert any(word in fault for fault in faults(record(60, variable(known)), 10))


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "72166-1"},
        {"label": "Of 1.2.840.113619.2.1"},
        {"label": "Since 2019-03-01"},
        {"unit": "mg/dL"},
        {"values": (VariableValue(code="Jane Doe"),)},
        {"values": (VariableValue(code="12345678"),)},
        {"values": (VariableValue(code="never", label="born 19500201"),)},
        {"value_system": CodeSystem.SNOMED_CT},
        {"kind": VariableKind.INTEGER},
    ],
)
def test_the_gate_refuses_a_variable_that_is_more_than_codes(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    key = SigningKey.generate()
    policy = Policy(node="alpha", key_id=key.key_id, k=10, maximum_bytes=1 << 20)
    path = tmp_path / "record"

    def reasons(made: Variable) -> tuple[str, ...]:
        path.write_bytes(record(60, made).seal(key))
        candidate = Candidate(
            door_class=DoorClass.RECORD,
            output="record-lungs",
            content=path.read_bytes(),
            media_type="application/vnd.fairbank.record.v1+json",
            round=1,
        )
        return judge(candidate, path, policy).reasons

    assert reasons(variable(40)) == ()
    assert len(reasons(variable(40, **changes))) == 1
