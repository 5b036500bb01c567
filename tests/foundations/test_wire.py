"""Bodies and signed objects: strict, frozen, each with its schema, nothing unknown let through."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fairbank.ontology.counts import Count, CountKind
from fairbank.ontology.errors import MalformedObject
from fairbank.ontology.outputs import DOOR_OF_OUTPUT, OutputClass
from fairbank.ontology.record import (
    Activity,
    ActivityKind,
    CollectionKind,
    DatasetRecord,
    Distribution,
    HowKnown,
    Quality,
    Stratum,
    Totals,
)
from fairbank.ontology.signed_objects import (
    Code,
    GrantedDataset,
    Manifest,
    Output,
    Pick,
    Plan,
    PlanName,
    Purpose,
    Request,
    Selector,
    SignedObject,
    SiteApproval,
    Unit,
    Visa,
    VisaDataset,
    narrows,
)
from fairbank.ontology.wire import Decimal, ShortText, Wire
from fairbank.signing import BadEnvelope, SigningKey

ID = "01890a5d-ac96-774b-bcce-b302099a8057"
NOW = "2026-01-15T12:00:00.000Z"
LATER = "2026-07-15T12:00:00.000Z"
DIGEST = "sha256:" + "ab" * 32
DATASET = "https://hub.example.org/datasets/north/ct-chest"
KEY = SigningKey.generate()
PURPOSE = Purpose(data_use=("DUO:0000042",), statement="Measure slice geometry.")


def request() -> Request:
    return Request(
        id=ID,
        requester_key=KEY.key_id,
        requester_account="rosa",
        organisation="Institute",
        title="Slice geometry",
        datasets=(DATASET,),
        purpose=PURPOSE,
        output_classes=(OutputClass.MEASUREMENTS,),
        until=LATER,
        created=NOW,
    )


def visa() -> Visa:
    return Visa(
        id=ID,
        hub="https://hub.example.org",
        request=DIGEST,
        requester_key=KEY.key_id,
        datasets=(
            GrantedDataset(
                iri=DATASET,
                selector=Selector(modality=("CT",)),
                output_classes=(OutputClass.MEASUREMENTS,),
                tool_families=("intensity-geometry",),
                conditions=("Cite the collection.",),
                maximum_runs=5,
                expires=LATER,
            ),
        ),
        purpose=PURPOSE,
        not_before=NOW,
        created=NOW,
    )


def manifest() -> Manifest:
    return Manifest(
        id=ID,
        visa=DIGEST,
        requester_key=KEY.key_id,
        title="Measure",
        datasets=(VisaDataset(iri=DATASET, selector=Selector()),),
        code=Code(name="intensity-geometry", family="intensity-geometry", version="1", digest=DIGEST),
        parameters={"bins": 32, "rate": "0.01", "nested": {"list": [1, "a", None, True]}},
        outputs=(
            Output(
                name="table",
                output_class=OutputClass.MEASUREMENTS,
                media_type="text/csv",
                maximum_bytes=1_000_000,
                minimum_count=2,
            ),
        ),
        plan=Plan(name=PlanName.SINGLE_PASS, aggregator="collect", quorum=1, approval_deadline=LATER),
        seed="18446744073709551615",
        created=NOW,
    )


def approval() -> SiteApproval:
    return SiteApproval(
        id=ID,
        node="north",
        request=DIGEST,
        visa=DIGEST,
        manifest=DIGEST,
        cohort_digest="hmac-sha256:" + "cd" * 32,
        cohort_size=12,
        approved_by="curator",
        maximum_runs=1,
        expires=LATER,
        created=NOW,
    )


def record() -> DatasetRecord:
    count = Count.exact(12)
    return DatasetRecord(
        node="north",
        dataset="ct-chest",
        version=1,
        title="Chest CT",
        description="Test files.",
        publisher="North biobank",
        collection_kind=CollectionKind.TEST,
        minimum_count=10,
        totals=Totals(subjects=count, studies=count, series=count, instances=Count.exact(120)),
        cube=(
            Stratum(
                modality="CT",
                body_part="CHEST",
                manufacturer="unknown",
                slice_thickness="1-1.5",
                series=count,
                studies=count,
                subjects=Count.below(10),
            ),
        ),
        distributions=(
            Distribution(attribute="sex", value="F", how_known=HowKnown.HEADER, subjects=Count.below(10)),
        ),
        provenance=(
            Activity(
                kind=ActivityKind.HARVEST,
                tool="fairbank",
                tool_version="0.1.0",
                agent="north",
                started=NOW,
                ended=NOW,
            ),
        ),
        quality=(Quality(aspect="missing-slices", assessed=False),),
        created=NOW,
    )


MAKERS = [request, visa, manifest, approval, record]
each_object = pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)


# The signed objects


@each_object
def test_a_signed_object_survives_being_sealed_and_opened(make: Any) -> None:
    made: SignedObject = make()
    opened, sealed = type(made).open(made.seal(KEY), trusted=[KEY.key_id])
    assert opened == made
    assert sealed.signer == KEY.key_id
    assert sealed.payload["schema"] == made.schema_name


@each_object
def test_a_signed_object_is_not_taken_from_a_stranger(make: Any) -> None:
    made = make()
    with pytest.raises(BadEnvelope):
        type(made).open(made.seal(SigningKey.generate()), trusted=[KEY.key_id])


@each_object
def test_a_signed_object_is_not_taken_for_another_kind(make: Any) -> None:
    made = make()
    other = next(kind for kind in (Request, Visa) if kind is not type(made))
    with pytest.raises(BadEnvelope):
        other.open(made.seal(KEY), trusted=[KEY.key_id])


@each_object
def test_an_unknown_key_is_refused_at_the_top(make: Any) -> None:
    made = make()
    with pytest.raises(MalformedObject, match="extra"):
        type(made).parse({**made.payload(), "extra": 1})


@each_object
def test_every_required_key_is_missed(make: Any) -> None:
    made = make()
    required = [name for name, field in type(made).model_fields.items() if field.is_required()]
    for name in required:
        without = {key: value for key, value in made.payload().items() if key != name}
        with pytest.raises(MalformedObject, match=name):
            type(made).parse(without)


@each_object
def test_an_object_cannot_be_changed_once_made(make: Any) -> None:
    made = make()
    with pytest.raises(ValidationError):
        made.created = LATER


@pytest.mark.parametrize(
    ("make", "path", "value"),
    [
        (manifest, ("plan", "rounds"), 0),
        (manifest, ("plan", "rounds"), "3"),
        (manifest, ("plan", "rounds"), True),
        (manifest, ("plan", "quorum"), -1),
        (manifest, ("plan", "name"), "swarm"),
        (manifest, ("plan", "extra"), 1),
        (manifest, ("code", "digest"), "md5:abc"),
        (manifest, ("seed",), 42),
        (manifest, ("seed",), "-1"),
        (manifest, ("outputs",), []),
        (manifest, ("created",), "2026-01-15 12:00"),
        (manifest, ("created",), "2026-01-15T12:00:00Z"),
        (manifest, ("id",), "01890a5d-ac96-474b-bcce-b302099a8057"),
        (manifest, ("resources", "memory_bytes"), 1),
        (visa, ("datasets",), []),
        (visa, ("datasets", 0, "iri"), "file:///etc/passwd"),
        (visa, ("datasets", 0, "selector", "unit"), "patient"),
        (visa, ("datasets", 0, "selector", "colour"), "red"),
        (visa, ("datasets", 0, "output_classes"), ["images"]),
        (visa, ("datasets", 0, "maximum_runs"), 0),
        (visa, ("requester_key",), "ed25519:short"),
        (request, ("purpose", "data_use"), []),
        (request, ("purpose", "data_use"), ["anything"]),
        (request, ("title",), ""),
        (approval, ("node",), "North Biobank"),
        (approval, ("cohort_digest",), DIGEST),
        (approval, ("cohort_size",), -1),
        (record, ("totals", "subjects"), 12),
        (record, ("totals", "subjects"), {"kind": "exact"}),
        (record, ("totals", "subjects"), {"kind": "below-k", "value": 3, "k": 10}),
        (record, ("acquired_from",), 20260115),
        (record, ("minimum_count",), 0),
    ],
)
def test_a_value_out_of_range_is_refused_and_its_place_named(
    make: Any, path: tuple[str | int, ...], value: object
) -> None:
    made = make()
    payload = json.loads(json.dumps(made.payload()))
    place: Any = payload
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(MalformedObject) as refusal:
        type(made).parse(payload)
    assert str(path[0]) in str(refusal.value)


def test_a_refusal_does_not_repeat_the_value() -> None:
    with pytest.raises(MalformedObject) as refusal:
        Request.parse({**request().payload(), "title": ["DOE^JANE"], "organisation": 19600101})
    assert "DOE" not in str(refusal.value)
    assert "1960" not in str(refusal.value)


def test_two_outputs_with_one_name_are_refused() -> None:
    payload = manifest().payload()
    payload["outputs"] = payload["outputs"] * 2
    with pytest.raises(MalformedObject, match="same name"):
        Manifest.parse(payload)


# Bodies


class Weather(Wire):
    schema_name = "weather/1"

    place: ShortText
    degrees: Decimal
    days: int = 1


@given(
    place=st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=200
    ),
    degrees=st.from_regex(r"\A-?(0|[1-9][0-9]{0,5})(\.[0-9]{1,5})?\Z", alphabet=string.digits + "-."),
    days=st.integers(0, 2**53 - 1),
)
def test_a_body_survives_the_wire(place: str, degrees: str, days: int) -> None:
    sent = Weather(place=place, degrees=degrees, days=days)
    assert Weather.parse(sent.to_bytes()) == sent
    assert Weather.parse(sent.payload()) == sent


def test_text_with_a_nul_is_refused() -> None:
    # PostgreSQL cannot keep it, and no text of a person holds it.
    with pytest.raises(ValidationError):
        Weather(place="a\0b", degrees="1")


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"7", b"null", b"\xff\xfe", b'{"place":"x","degrees":"1"}',
     b'{"schema":"weather/2","place":"x","degrees":"1"}', b'{"schema":"visa/1","place":"x","degrees":"1"}',
     b'{"schema":"weather/1","place":"x","degrees":1}', b'{"schema":"weather/1","place":"x","degrees":"1","days":"2"}',
     b'{"schema":"weather/1","place":"x","degrees":"1","days":1.5}', b"[" * 100_000],
)  # fmt: skip
def test_a_body_of_another_form_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedObject):
        Weather.parse(raw)


@given(st.binary(max_size=100))
def test_no_bytes_crash_the_reader_of_bodies(raw: bytes) -> None:
    with pytest.raises(MalformedObject):
        Weather.parse(raw)


@pytest.mark.parametrize("text", ["0.01", "1e-4", "-3", "0", "12.50"])
def test_decimals_are_text(text: str) -> None:
    assert Weather(place="x", degrees=text).degrees == text


@pytest.mark.parametrize("text", ["1,5", ".5", "5.", "NaN", "inf", "0x10", "01", "+1", "1e9999", "", " 1"])
def test_text_that_is_no_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Weather(place="x", degrees=text)


# Counts


@pytest.mark.parametrize(
    "count",
    [Count.exact(0), Count.exact(12), Count.below(10), Count(kind=CountKind.NOT_COUNTABLE),
     Count(kind=CountKind.WAITING), Count(kind=CountKind.DECLINED)],
    ids=str,
)  # fmt: skip
def test_a_count_survives_json(count: Count) -> None:
    assert Count.model_validate_json(count.model_dump_json()) == count
    assert Count.model_validate(count.model_dump(mode="json")) == count


@pytest.mark.parametrize(
    "parts",
    [{"kind": "exact"}, {"kind": "exact", "value": -1}, {"kind": "exact", "value": 3, "k": 10}, {"kind": "below-k"},
     {"kind": "below-k", "k": 10, "value": 3}, {"kind": "waiting", "value": 3}, {"kind": "exact", "value": "3"}],
)  # fmt: skip
def test_a_count_that_contradicts_itself_is_refused(parts: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Count.model_validate(parts)


def test_a_withheld_count_shows_its_bound_only() -> None:
    assert str(Count.below(10)) == "<10"
    assert Count.below(10).at_least == 0
    assert Count.exact(12).at_least == 12


def test_every_output_class_has_its_class_at_the_door() -> None:
    assert set(DOOR_OF_OUTPUT) == set(OutputClass) - {OutputClass.DOWNLOAD}


def test_no_job_hands_out_what_only_the_site_itself_may() -> None:
    output = manifest().outputs[0].model_dump(mode="json") | {"output_class": "download"}
    with pytest.raises(ValidationError, match="by the site itself"):
        Output.model_validate_json(json.dumps(output))


# Selectors

VALUES = st.lists(st.sampled_from(["CT", "MR", "PT"]), unique=True, max_size=3).map(tuple)
SELECTORS = st.builds(
    Selector,
    unit=st.sampled_from(Unit),
    pick=st.sampled_from(Pick),
    modality=VALUES,
    body_part=VALUES,
    manufacturer=VALUES,
    minimum_instances=st.integers(1, 5),
    slice_thickness_min_mm=st.sampled_from([None, "0.5", "1", "1.0"]),
    slice_thickness_max_mm=st.sampled_from([None, "1.5", "2", "10"]),
    contrast=st.sampled_from([None, ("no",), ("no", "unknown"), ("yes",)]),
    acquired_from=st.sampled_from([None, 2010, 2015]),
    acquired_to=st.sampled_from([None, 2015, 2020]),
)


@given(SELECTORS)
def test_a_selector_is_within_itself_and_within_everything(selector: Selector) -> None:
    assert narrows(selector, selector)
    assert narrows(selector, Selector())


@given(SELECTORS, SELECTORS, SELECTORS)
def test_narrowing_is_transitive(one: Selector, two: Selector, three: Selector) -> None:
    if narrows(one, two) and narrows(two, three):
        assert narrows(one, three)


@given(inner=SELECTORS, outer=SELECTORS, axis=st.sampled_from(["modality", "body_part", "manufacturer"]))
def test_a_narrower_selector_never_names_a_value_that_the_wider_lacks(
    inner: Selector, outer: Selector, axis: str
) -> None:
    if narrows(inner, outer) and getattr(outer, axis):
        assert getattr(inner, axis)
        assert set(getattr(inner, axis)) <= set(getattr(outer, axis))


def test_any_modality_does_not_fit_a_visa_for_one() -> None:
    assert not narrows(Selector(), Selector(modality=("CT",)))
    assert not narrows(Selector(minimum_instances=1), Selector(minimum_instances=5))
    assert not narrows(Selector(pick=Pick.ALL), Selector(pick=Pick.MOST_INSTANCES))


def test_of_what_is_picked_a_filter_may_pick_another_series() -> None:
    largest = Selector(unit=Unit.STUDY, pick=Pick.MOST_INSTANCES)
    assert narrows(largest, largest)
    # In a study whose largest series is MR, this takes a CT series that the other never takes.
    assert not narrows(largest.model_copy(update={"modality": ("CT",)}), largest)
    assert not narrows(largest.model_copy(update={"minimum_instances": 9}), largest)
