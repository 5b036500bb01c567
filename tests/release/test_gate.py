from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from fairbank.ontology.counts import Count
from fairbank.ontology.data_use_limits import DataUseLimits
from fairbank.ontology.outputs import DoorClass, OutputClass
from fairbank.ontology.record import Activity, ActivityKind, DatasetRecord, Quality
from fairbank.ontology.signed_objects import Output
from fairbank.ontology.stewardship import Guideline, Organisation, Stewardship
from fairbank.release import gate
from fairbank.release.candidates import Candidate, Column, ColumnKind
from fairbank.release.control import ErrorReport
from fairbank.release.disclosure import suppress_record
from fairbank.release.gate import Policy, judge
from fairbank.release.tensors import TensorShape, form_of
from fairbank.signing import SigningKey

JOB = "01900000-0000-7000-8000-000000000001"
JSON = "application/json"
TENSORS = "application/vnd.safetensors"
KEY = SigningKey.generate()
POLICY = Policy("biobank-a", KEY.key_id, k=5, maximum_bytes=1 << 20)
COLUMNS = (
    Column("row", ColumnKind.ROW_ID),
    Column("mean", ColumnKind.NUMBER),
    Column("voxels", ColumnKind.INTEGER),
    Column("status", ColumnKind.WORD, ("ok", "impossible")),
)
OUTPUTS = {
    DoorClass.RESULT: ("table", OutputClass.MEASUREMENTS, JSON),
    DoorClass.COUNT: ("counts", OutputClass.AGGREGATE, JSON),
    DoorClass.UPDATE: ("update", OutputClass.MODEL_UPDATE, TENSORS),
}


def candidate(door_class: DoorClass, content: bytes, **changes: Any) -> Candidate:
    name, output_class, media_type = OUTPUTS[door_class]
    limits = Output(name=name, output_class=output_class, media_type=media_type, maximum_bytes=1 << 16)
    given_: dict[str, Any] = {
        "door_class": door_class, "output": name, "content": content, "media_type": media_type, "job": JOB,
        "limits": limits, "subjects": 7, "columns": COLUMNS if door_class is DoorClass.RESULT else None,
    }  # fmt: skip
    return Candidate(**{**given_, **changes})


def reasons(tmp_path: Path, made: Candidate, policy: Policy = POLICY) -> tuple[str, ...]:
    path = tmp_path / "candidate"
    assert isinstance(made.content, bytes)
    path.write_bytes(made.content)
    return judge(made, path, policy).reasons


def row(**changes: Any) -> dict[str, Any]:
    return {"row": "s000001-" + "abcdefgh" * 4, "mean": 1.5, "voxels": 3, "status": "ok", **changes}


def table(rows: list[dict[str, Any]], **changes: Any) -> bytes:
    return json.dumps({"schema": "rows/1", "tool": "t", "version": "1", "rows": rows, **changes}).encode()


def result(rows: list[dict[str, Any]], **changes: Any) -> Candidate:
    return candidate(DoorClass.RESULT, table(rows), **changes)


# -- what every class is asked ------------------------------------------------------------------------------------


def test_a_sound_result_may_leave(tmp_path: Path) -> None:
    assert reasons(tmp_path, result([row()] * 7)) == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"limits": None}, "does not declare"),
        ({"job": None}, "belongs to no job"),
        ({"output": "other"}, "another name"),
        ({"media_type": "text/csv"}, "another name or type"),
        ({"subjects": None}, "Nobody said on how many"),
        ({"subjects": 4}, "fewer than 5 subjects"),
        ({"columns": None}, "which columns"),
    ],
    ids=str,
)
def test_what_is_not_said_or_not_declared_is_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    assert said in reasons(tmp_path, result([row()] * 7, **changes))[0]


def test_an_output_of_another_class_than_declared_is_refused(tmp_path: Path) -> None:
    limits = Output(name="table", output_class=OutputClass.AGGREGATE, media_type=JSON, maximum_bytes=999)
    assert "another class" in reasons(tmp_path, result([row()] * 7, limits=limits))[0]


@pytest.mark.parametrize(("asked", "refused"), [(2, False), (7, False), (8, True)])
def test_a_manifest_can_ask_for_more_subjects_but_never_for_fewer(
    tmp_path: Path, asked: int, refused: bool
) -> None:
    limits = Output(
        name="table",
        output_class=OutputClass.MEASUREMENTS,
        media_type=JSON,
        maximum_bytes=9999,
        minimum_count=asked,
    )
    assert bool(reasons(tmp_path, result([row()] * 8, limits=limits))) is refused
    assert reasons(tmp_path, result([row()] * 8, limits=limits, subjects=4)) != ()


def test_an_output_larger_than_its_limit_is_refused(tmp_path: Path) -> None:
    assert "bytes" in reasons(tmp_path, result([row()] * 2000))[0]
    assert (
        "bytes" in reasons(tmp_path, result([row()] * 7), Policy("a", KEY.key_id, k=5, maximum_bytes=10))[0]
    )


def test_nothing_is_refused_too(tmp_path: Path) -> None:
    assert "empty" in reasons(tmp_path, candidate(DoorClass.RESULT, b""))[0]


def test_a_reason_says_no_count_and_no_value(tmp_path: Path) -> None:
    said = reasons(tmp_path, result([row()] * 7, subjects=3))[0]
    assert "3" not in said
    assert "DOE" not in " ".join(reasons(tmp_path, result([row(status="DOE^JANE")] * 7)))


# -- results --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        {"row": "1.2.840.113619.2.55.3"}, {"row": "19580412"}, {"row": "/home/x"}, {"row": "C:\\x"},
        {"row": "DOE JANE"}, {"row": ""}, {"row": None}, {"row": 7}, {"row": "x" * 81},
        {"row": "s000001-JaneDoe"}, {"row": "jane-doe"}, {"row": "s19580412-" + "a" * 32}, {"mean": 10**400},
        {"mean": "1.5"}, {"mean": True}, {"mean": [1.5]}, {"voxels": 1.5}, {"voxels": 2**60},
        {"status": "anything"}, {"status": ["ok"]}, {"status": 1}, {"extra": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_value_that_the_columns_do_not_allow_is_refused(tmp_path: Path, value: dict[str, Any]) -> None:
    assert reasons(tmp_path, result([row()] * 6 + [row(**value)])) != ()


def test_a_missing_column_is_refused(tmp_path: Path) -> None:
    incomplete = {name: value for name, value in row().items() if name != "mean"}
    assert "columns" in reasons(tmp_path, result([row()] * 6 + [incomplete]))[0]


def test_a_value_that_could_not_be_measured_may_be_missing(tmp_path: Path) -> None:
    assert reasons(tmp_path, result([row(mean=None, voxels=None)] * 7)) == ()


def test_fewer_rows_than_k_are_refused(tmp_path: Path) -> None:
    assert "fewer than 5 rows" in reasons(tmp_path, result([row()] * 4))[0]


@pytest.mark.parametrize(
    "content",
    [
        b"not json", b"[]", b"null", b"{}", b'{"rows": []}', b'{"schema":"rows/1","schema":"rows/1"}', b"\x00" * 9,
        table([row()] * 7, note="free text"), table([row()] * 7, version="1.2.840.113619.2.55"),
        table([row()] * 7, tool="/etc/passwd"), table([row()] * 7).replace(b"1.5", b"NaN"),
        table([row()] * 7).replace(b"1.5", b"Infinity"), b"[" * 100_000,
    ],
    ids=range(13),
)  # fmt: skip
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    limits = Output(
        name="table", output_class=OutputClass.MEASUREMENTS, media_type=JSON, maximum_bytes=1 << 20
    )
    assert reasons(tmp_path, candidate(DoorClass.RESULT, content, limits=limits)) != ()


# -- counts ----------------------------------------------------------------------------------------------------------


def counts(*rows: tuple[list[str], Count]) -> bytes:
    listed = [{"group": group, "count": count.model_dump(mode="json")} for group, count in rows]
    return json.dumps({"schema": "counts/1", "counts": listed}).encode()


def test_a_table_of_counts_may_leave(tmp_path: Path) -> None:
    content = counts((["CT", "1-1.5"], Count.exact(5)), (["MR"], Count.below(5)), (["PT"], Count.below(5)))
    assert reasons(tmp_path, candidate(DoorClass.COUNT, content)) == ()


@pytest.mark.parametrize(
    "content",
    [
        counts((["CT"], Count.exact(4))), counts((["1.2.840.113619.2.55.3"], Count.exact(9))), counts(),
        counts((["20240131"], Count.exact(9))), b'{"schema":"counts/1","counts":[{"group":[],"count":9}]}',
        b'{"schema":"counts/1","counts":[9]}', b'{"schema":"counts/1","counts":[],"more":1}',
        counts((["CT"], Count.exact(50)), (["MR"], Count.below(5))),
    ],
    ids=range(8),
)  # fmt: skip
def test_a_small_or_wordy_table_of_counts_is_refused(tmp_path: Path, content: bytes) -> None:
    assert reasons(tmp_path, candidate(DoorClass.COUNT, content)) != ()


# -- updates ---------------------------------------------------------------------------------------------------------

WEIGHTS = {"layer.0.weight": np.ones((4, 3), np.float32), "layer.0.bias": np.zeros(4, np.float16)}
SHAPES = {"layer.0.weight": TensorShape("F32", (4, 3)), "layer.0.bias": TensorShape("F16", (4,))}


def update(content: bytes, **changes: Any) -> Candidate:
    return candidate(DoorClass.UPDATE, content, **changes)


def by_hand(header: dict[str, Any], data: bytes) -> bytes:
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


def test_a_sound_update_may_leave(tmp_path: Path) -> None:
    content = save(WEIGHTS, metadata={"n_train": "120", "after_loss": "0.25", "before_psnr_db": "-1e-3"})
    assert reasons(tmp_path, update(content, tensors=SHAPES)) == ()
    assert reasons(tmp_path, update(content)) == ()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_a_number_that_is_not_finite_is_refused(tmp_path: Path, value: float, dtype: type) -> None:
    weights = np.ones(9, dtype)
    weights[8] = value
    assert "not finite" in reasons(tmp_path, update(save({"w": weights})))[0]


def test_a_short_float_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    header = {"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    assert reasons(tmp_path, update(by_hand(header, b"\x80\x3f\x80\x3f"))) == ()
    assert "not finite" in reasons(tmp_path, update(by_hand(header, b"\x80\x3f\x80\x7f")))[0]


@pytest.mark.parametrize(
    "tensors",
    [
        {"layer.0.weight": WEIGHTS["layer.0.weight"]}, {**WEIGHTS, "more": np.ones(2, np.float32)},
        {**WEIGHTS, "layer.0.bias": np.zeros(5, np.float16)}, {**WEIGHTS, "layer.0.bias": np.zeros(4, np.float32)},
    ],
    ids=["missing", "extra", "shape", "type"],
)  # fmt: skip
def test_other_tensors_than_the_model_s_are_refused(tmp_path: Path, tensors: dict[str, Any]) -> None:
    assert reasons(tmp_path, update(save(tensors), tensors=SHAPES)) != ()


@pytest.mark.parametrize(
    "metadata",
    [
        {"note": "patient Jane Doe"}, {"path": "/data/archive"}, {"uid": "1.2.840.113619.2.55.3"},
        {"Bad Key": "1"}, {"n_train": "9" * 40}, {"format": "pt"}, {"n_train": "jane-doe"}, {"note": "jane-doe"},
        {"jane_doe": "1"}, {"after_19580412": "1"}, {"n_train": "1e999"}, {"n_train": "sha256:" + "0" * 64},
        {str(n): "1" for n in range(70)},
    ],
    ids=str,
)  # fmt: skip
def test_text_in_the_metadata_is_refused(tmp_path: Path, metadata: dict[str, str]) -> None:
    assert "metadata" in reasons(tmp_path, update(save(WEIGHTS, metadata=metadata)))[0]


@pytest.mark.parametrize(
    "name",
    [
        "jane doe", "DOE^JANE", "1.2.840.113619.2.55.3", "w1.2.840.10008.5", "w.1.2.840.10.5", "p19580412",
        "w1958_04_12", "mrn_123456", "a..b", ".w", "w.", "Müller", "w-x", "x" * 256, "w\n",
    ],
    ids=str,
)  # fmt: skip
def test_a_tensor_name_that_is_no_parameter_s_is_refused(tmp_path: Path, name: str) -> None:
    assert "plain name" in reasons(tmp_path, update(save({name: np.ones(2, np.float32)})))[0]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int32, np.int64, np.uint64, np.bool_])
def test_whole_numbers_may_not_leave_as_weights(tmp_path: Path, dtype: type) -> None:
    content = save({**WEIGHTS, "layer.0.extra": np.ones(64, dtype)})
    assert "whole numbers" in reasons(tmp_path, update(content))[0]
    same = {**SHAPES, "layer.0.extra": tensors_of(tmp_path, content)["layer.0.extra"]}
    assert reasons(tmp_path, update(content, tensors=same)) != ()


def test_a_counter_of_batches_may_leave_and_nothing_else_under_its_name(tmp_path: Path) -> None:
    assert reasons(tmp_path, update(save({"norm.num_batches_tracked": np.array(7, np.int64)}))) == ()
    assert reasons(tmp_path, update(save({"norm.num_batches_tracked": np.ones(9, np.int64)}))) != ()


def test_a_tensor_without_values_is_refused(tmp_path: Path) -> None:
    assert "nothing" in reasons(tmp_path, update(save({**WEIGHTS, "jane_doe": np.ones(0, np.float32)})))[0]


def test_the_form_of_a_model_is_read_from_its_header(tmp_path: Path) -> None:
    assert tensors_of(tmp_path, save(WEIGHTS, metadata={"n_train": "1"})) == SHAPES
    assert tensors_of(tmp_path, b"PK\x03\x04") == {}


def tensors_of(tmp_path: Path, content: bytes) -> dict[str, TensorShape]:
    (tmp_path / "model").write_bytes(content)
    return form_of(tmp_path / "model")


F32 = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04", b"\x80\x04pickle", b"\x00" * 8, by_hand({}, b""), by_hand({"w": F32}, b"1234" + b"hidden"),
        by_hand({"w": {**F32, "data_offsets": [4, 8]}}, b"hide1234"), by_hand({"w": {**F32, "shape": [2]}}, b"1234"),
        by_hand({"w": {**F32, "dtype": "STR"}}, b"1234"), by_hand({"w": {**F32, "more": 1}}, b"1234"),
        by_hand({"w": {**F32, "shape": [-1]}}, b"1234"), by_hand({"w": F32, "v": F32}, b"1234"),
        by_hand({"../w": F32}, b"1234"), by_hand({"w": 1}, b"1234"), by_hand({"w": F32}, b"12"),
        by_hand({"w": {**F32, "shape": "x"}}, b"1234"), struct.pack("<Q", 2**63) + b"{}",
    ],
    ids=range(16),
)  # fmt: skip
def test_what_is_no_safetensors_or_hides_bytes_is_refused(tmp_path: Path, content: bytes) -> None:
    assert reasons(tmp_path, update(content)) != ()


@given(st.binary(min_size=1, max_size=300))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_are_refused_in_every_class(tmp_path: Path, content: bytes) -> None:
    for door_class in OUTPUTS:
        assert reasons(tmp_path, candidate(door_class, content)) != ()


# -- errors, control, records ---------------------------------------------------------------------------------------


def test_an_error_is_a_code(tmp_path: Path) -> None:
    made = Candidate(DoorClass.ERROR, "error", ErrorReport(code="FB-ANA-003").to_bytes(), JSON, job=JOB)
    assert reasons(tmp_path, made) == ()


@pytest.mark.parametrize(
    "content",
    [
        b'{"schema":"error/1","code":"file /data/x"}',
        b'{"schema":"error/1","code":"FB-ANA-003","text":"x"}',
        b"x",
    ],
)
def test_an_error_with_more_than_a_code_is_refused(tmp_path: Path, content: bytes) -> None:
    assert reasons(tmp_path, Candidate(DoorClass.ERROR, "error", content, JSON, job=JOB)) != ()


def test_a_control_message_is_never_staged(tmp_path: Path) -> None:
    assert reasons(tmp_path, Candidate(DoorClass.CONTROL, "claim", b"{}", JSON, job=JOB)) != ()


WHEN = "2026-01-31T12:00:00.000Z"
CELLS = [("CT", "CHEST", 90, 40, 30), ("MR", "BRAIN", 50, 30, 20)]
Make = Callable[..., DatasetRecord]


def sealed(record: DatasetRecord, key: SigningKey = KEY, name: str = "record-lungs") -> Candidate:
    return Candidate(DoorClass.RECORD, name, record.seal(key), JSON)


def test_a_suppressed_record_may_leave(tmp_path: Path, make_record: Make) -> None:
    record = suppress_record(make_record(CELLS, subjects=40, sex={"F": 20, "M": 18, "unknown": 2}), 5)
    assert reasons(tmp_path, sealed(record)) == ()


def test_a_record_that_was_not_suppressed_is_refused(tmp_path: Path, make_record: Make) -> None:
    record = make_record([*CELLS, ("PT", "CHEST", 3, 2, 1)], subjects=40)
    assert len(reasons(tmp_path, sealed(record))) >= 1


def test_a_record_under_another_key_or_name_or_node_is_refused(tmp_path: Path, make_record: Make) -> None:
    record = suppress_record(make_record(CELLS, subjects=40), 5)
    assert reasons(tmp_path, sealed(record, SigningKey.generate())) != ()
    assert reasons(tmp_path, sealed(record, name="record-other")) != ()
    other = suppress_record(make_record(CELLS, subjects=40, node="biobank-b"), 5)
    assert reasons(tmp_path, sealed(other)) != ()


@pytest.mark.parametrize(
    "changes",
    [
        {"modality": "CT of Jane"}, {"body_part": "Thorax of Jane"}, {"manufacturer": "Dr. Doe"},
        {"slice_thickness": "1.25"}, {"slice_thickness": "1.5-3"},
    ],
    ids=str,
)  # fmt: skip
def test_a_cell_with_words_of_its_own_is_refused(
    tmp_path: Path, make_record: Make, changes: dict[str, str]
) -> None:
    record = suppress_record(make_record(CELLS, subjects=40), 5)
    cube = (record.cube[0].model_copy(update=changes), record.cube[1])
    assert "vocabulary" in reasons(tmp_path, sealed(record.model_copy(update={"cube": cube})))[0]


@pytest.mark.parametrize("field", ["title", "description", "publisher", "contact", "licence"])
@pytest.mark.parametrize("text", ["born 1958-04-12", "scan 19580412", "1.2.840.113619.2.55.3"])
def test_every_text_of_a_record_is_looked_at(
    tmp_path: Path, make_record: Make, field: str, text: str
) -> None:
    record = suppress_record(make_record(CELLS, subjects=40), 5)
    assert reasons(tmp_path, sealed(record.model_copy(update={"contact": "data@biobank.example"}))) == ()
    assert "date" in reasons(tmp_path, sealed(record.model_copy(update={field: text})))[0]


def identifying(field: str) -> Stewardship | None:
    """Return stewardship with an identifier in a field; None for a field that is a number or a duration."""
    uid = "1.2.840.113619.2.55.3"
    parts = (Organisation(name=uid), Guideline(title=uid), DataUseLimits(projects=(uid,)))
    for value in (f"Series {uid}", f"https://alpha.test/{uid}", f"{uid}@alpha.test", *parts):
        for filled in (value, (value,)):
            try:
                return Stewardship(**{field: filled})
            except ValueError:
                continue
    return None


# Fields whose form leaves no room for an identifier of DICOM.
_NO_ROOM = {
    "retained_from", "retained_until", "temporal_resolution", "omics_held", "health_records_held",
    "planned_time_points", "planned_follow_up", "conditions", "biomarkers",
}  # fmt: skip


@pytest.mark.parametrize("field", list(Stewardship.model_fields))
def test_every_text_that_a_curator_says_for_the_profiles_is_looked_at(
    tmp_path: Path, make_record: Make, field: str
) -> None:
    record = suppress_record(make_record(CELLS, subjects=40), 5)
    said = identifying(field)
    if said is None:
        assert field in _NO_ROOM
        return
    assert "identifier" in reasons(tmp_path, sealed(record.model_copy(update={"stewardship": said})))[0]


@pytest.mark.parametrize(
    "said", [Stewardship(conditions=("jane-doe",)), Stewardship(biomarkers=("suv", "jane-doe"))]
)
def test_a_condition_or_biomarker_that_is_in_no_list_does_not_leave(
    tmp_path: Path, make_record: Make, said: Stewardship
) -> None:
    record = suppress_record(make_record(CELLS, subjects=40), 5)
    known = Stewardship(conditions=("lung-cancer",), biomarkers=("suv",))
    assert reasons(tmp_path, sealed(record.model_copy(update={"stewardship": known}))) == ()
    assert "vocabulary" in reasons(tmp_path, sealed(record.model_copy(update={"stewardship": said})))[0]


def test_every_field_of_a_record_is_prose_unless_it_is_known_not_to_be() -> None:
    known = set(gate._OF_A_FORM)
    assert known < set(DatasetRecord.model_fields)
    prose = {"title", "description", "keywords", "publisher", "contact", "licence", "stewardship"}
    numbers = {"version", "minimum_count", "rounded_to", "acquired_from", "acquired_to"}
    assert set(DatasetRecord.model_fields) - known == prose | numbers


@pytest.mark.parametrize("field", ["tool", "tool_version", "profile", "source_system"])
@pytest.mark.parametrize("text", ["/data/xnat", "DOE^JANE", "1958-04-12", "1.2.840.113619.2.55.3"])
def test_a_step_of_provenance_is_told_in_words_only(
    tmp_path: Path, make_record: Make, field: str, text: str
) -> None:
    step = Activity(
        kind=ActivityKind.HARVEST, tool="fairbank deid", tool_version="1.9.2", agent="Biobank A",
        profile="DICOM PS3.15 2024b, profile research", started=WHEN, ended=WHEN,
    )  # fmt: skip
    record = suppress_record(make_record(CELLS, subjects=40), 5)
    sound = record.model_copy(update={"provenance": (step,)})
    assert reasons(tmp_path, sealed(sound)) == ()
    changed = sound.model_copy(update={"provenance": (step.model_copy(update={field: text}),)})
    assert "provenance" in reasons(tmp_path, sealed(changed))[0]


@pytest.mark.parametrize(
    ("attribute", "value", "sound"),
    [
        ("model", "SOMATOM Force", True), ("model", "Scanner of Jane", False), ("field-strength", "3", True),
        ("field-strength", "2.9", False), ("annotation-label", "Liver", True), ("annotation-label", "Jane", False),
        ("kernel", "sharp", True), ("kernel", "B70f", False), ("sex", "F", True), ("sex", "female", False),
        ("acquisition-year", "2019", True), ("tracer", "FDG", True),
    ],
)  # fmt: skip
def test_a_row_of_a_known_attribute_has_a_word_of_it(
    tmp_path: Path, make_record: Make, attribute: str, value: str, sound: bool
) -> None:
    record = suppress_record(make_record(CELLS, subjects=40, sex={"F": 20, "M": 20}), 5)
    rows = (record.distributions[0].model_copy(update={"attribute": attribute, "value": value}),)
    said = reasons(tmp_path, sealed(record.model_copy(update={"distributions": rows})))
    assert said == (() if sound else ("A row of a distribution holds a word that is not of the vocabulary.",))


def test_a_small_rest_of_quality_or_rows_is_refused_by_the_gate_too(
    tmp_path: Path, make_record: Make
) -> None:
    record = suppress_record(make_record(CELLS, subjects=40, sex={"F": 20, "M": 20}), 5)
    quality = (Quality(aspect="gaps", assessed=True, series_affected=Count.exact(138)),)
    assert "quality" in reasons(tmp_path, sealed(record.model_copy(update={"quality": quality})))[0]
    rows = [row.model_copy(update={"value": value, "subjects": count}) for row, value, count in zip(
        (record.distributions[0],) * 4, ("F", "M", "O", "unknown"),
        (Count.exact(20), Count.exact(18), Count.below(5), Count.below(5)), strict=True)]  # fmt: skip
    assert "sex" in reasons(tmp_path, sealed(record.model_copy(update={"distributions": tuple(rows)})))[0]


@pytest.mark.parametrize("text", ["1.2.840.113619.2.55.3.604688119", "Scans 1.2.840.10008.5.1.4.1 and more"])
def test_a_record_with_an_identifier_in_its_prose_is_refused(
    tmp_path: Path, make_record: Make, text: str
) -> None:
    record = suppress_record(make_record(CELLS, subjects=40), 5).model_copy(update={"description": text})
    assert "identifier" in reasons(tmp_path, sealed(record))[0]
