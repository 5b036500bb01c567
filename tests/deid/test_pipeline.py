"""Many files: results one by one, resumed, repeated, in parallel, and never half done."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from tests.deid.conftest import MemoryInstance, as_file, ct_dataset

from fairbank.database import reading
from fairbank.deid.admitted import EVERYBODY
from fairbank.deid.cleaning import Order
from fairbank.deid.departures import Departure
from fairbank.deid.errors import BadProjectName, StoreNotWritable
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Outcome, Reason, Status
from fairbank.deid.pipeline import Site, deidentify, summarise
from fairbank.deid.policies import PixelTrust
from fairbank.deid.profiles import Profile
from fairbank.deid.pseudonyms import subject_value
from fairbank.deid.source_files import files_under
from fairbank.deid.store import facts_of, quarantined
from fairbank.deid.withdrawal import forget, keepers
from fairbank.errors import Sensitive

ORDER = Order("lung", Method(Profile.RESEARCH))
# Bundled with pydicom: CT, MR in four encodings, RT plan and dose, ECG, segmentation, an image with overlays.
BUNDLED = [
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "JPEG2000-embedded-sequence-delimiter.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "SC_rgb_small_odd.dcm",
    "SC_rgb_rle_2frame.dcm",
    "image_dfl.dcm",
    "rtplan.dcm",
    "rtdose_1frame.dcm",
    "rtdose_rle_1frame.dcm",
    "liver_1frame.dcm",
    "liver_expb_1frame.dcm",
    "examples_overlay.dcm",
    "examples_palette.dcm",
    "waveform_ecg.dcm",
    "nested_priv_SQ.dcm",
    "reportsi.dcm",
    "MR_truncated.dcm",
    "no_meta.dcm",
]


class Unreadable:
    reference = Sensitive("/clinic/locked.dcm", reference="file #9")

    def read(self) -> bytes:
        raise PermissionError("/clinic/locked.dcm")


def run(site: Site, contents: list[bytes], order: Order = ORDER, workers: int = 1) -> list[Outcome]:
    sources = [MemoryInstance(content, number) for number, content in enumerate(contents, 1)]
    return list(deidentify(sources, order, site=site, agent="curator", admitted=EVERYBODY, workers=workers))


def stored(site: Site, project: str = "lung") -> dict[str, bytes]:
    return {str(path.relative_to(site.store.root)): path.read_bytes() for path in site.store.files(project)}


def three_series() -> list[bytes]:
    return [
        as_file(ct_dataset(patient, 1, series, instance))
        for patient, series in (("PATIENT-A", 1), ("PATIENT-A", 2), ("PATIENT-B", 1))
        for instance in (1, 2)
    ]


def test_files_go_where_their_pseudonyms_say(site: Site) -> None:
    outcomes = run(site, three_series())
    assert [outcome.status for outcome in outcomes] == [Status.OK] * 6
    assert len({outcome.subject for outcome in outcomes}) == 2
    assert len({outcome.series_uid for outcome in outcomes}) == 3
    for outcome in outcomes:
        assert outcome.path is not None
        dataset = pydicom.dcmread(site.store.root / outcome.path)
        parts = (dataset.PatientID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID)
        assert outcome.path.parts == ("lung", *parts, f"{dataset.SOPInstanceUID}.dcm")


def test_one_bad_file_never_stops_the_rest(site: Site) -> None:
    good = as_file(ct_dataset())
    sources = [
        MemoryInstance(b"junk" * 100, 1),
        Unreadable(),
        MemoryInstance(b"", 3),
        MemoryInstance(good, 4),
    ]
    outcomes = list(deidentify(sources, ORDER, site=site, agent="curator", admitted=EVERYBODY))
    assert [outcome.reason for outcome in outcomes] == [
        Reason.NOT_DICOM,
        Reason.UNREADABLE,
        Reason.EMPTY,
        None,
    ]
    summary = summarise(outcomes)
    assert summary.by_status == {Status.ERROR: 3, Status.OK: 1}
    assert summary.failed == 3


def test_a_second_run_does_nothing_and_changes_nothing(site: Site) -> None:
    run(site, three_series())
    before = stored(site)
    again = run(site, three_series())
    assert {outcome.reason for outcome in again} == {Reason.ALREADY_DONE}
    assert {outcome.status for outcome in again} == {Status.NOT_NEEDED}
    assert all(outcome.path is not None for outcome in again)
    assert stored(site) == before


def test_a_lost_file_or_row_is_made_again_with_the_same_bytes(site: Site) -> None:
    outcomes = run(site, three_series())
    before = stored(site)
    assert outcomes[0].path is not None
    (site.store.root / outcomes[0].path).unlink()
    assert [outcome.status for outcome in run(site, three_series())].count(Status.OK) == 1
    assert stored(site) == before


def test_neither_order_nor_time_nor_workers_enter_the_bytes(site: Site) -> None:
    run(site, three_series())
    before = stored(site)
    site.store.remove_subject("lung", next(iter(before)).split("/")[1])
    for path in list(site.store.files("lung")):
        path.unlink()
    site.clock.advance(86_400)  # type: ignore[attr-defined]  # a FixedClock
    outcomes = run(site, three_series()[::-1], workers=2)
    assert [outcome.item for outcome in outcomes] == [f"file #{number}" for number in range(1, 7)]
    assert stored(site) == before


def test_our_own_output_is_not_cleaned_twice(site: Site) -> None:
    run(site, three_series())
    for order in (ORDER, Order("lung", Method(Profile.BASIC)), Order("brain", Method(Profile.RESEARCH))):
        outcomes = run(site, list(stored(site).values()), order)
        assert {outcome.reason for outcome in outcomes} == {Reason.ALREADY_DEIDENTIFIED}


def test_a_file_that_only_says_it_is_clean_is_cleaned(site: Site) -> None:
    source = ct_dataset()
    source.PatientIdentityRemoved = "YES"
    source.DeidentificationMethod = "fairbank"
    assert [outcome.status for outcome in run(site, [as_file(source)])] == [Status.OK]


def test_another_profile_replaces_the_file(site: Site) -> None:
    run(site, three_series())
    before = stored(site)
    outcomes = run(site, three_series(), Order("lung", Method(Profile.BASIC)))
    assert {outcome.status for outcome in outcomes} == {Status.OK}
    after = stored(site)
    assert after.keys() == before.keys()
    assert all(after[name] != before[name] for name in before)


def test_a_second_file_with_the_same_instance_uid_is_held(site: Site) -> None:
    other = ct_dataset()
    other.InstanceNumber = 99
    outcomes = run(site, [as_file(ct_dataset()), as_file(other)])
    assert [outcome.reason for outcome in outcomes] == [None, Reason.DUPLICATE_INSTANCE]
    assert len(stored(site)) == 1


def test_held_files_have_neutral_names_and_are_not_copied(site: Site) -> None:
    source = ct_dataset()
    source.BurnedInAnnotation = "YES"
    outcomes = [run(site, [as_file(source)])[0] for _ in range(2)]
    assert {outcome.quarantine for outcome in outcomes} == {"q-000001"}
    with reading(site.database) as session:
        rows = quarantined(session, "lung")
    assert [(row.quarantine, row.reason) for row in rows] == [("q-000001", "burned-in-annotation")]
    found = site.identity.reference("lung", "q-000001")
    assert found is not None and found.reveal() == "/clinic/doe_jane/1.dcm"
    assert stored(site) == {}
    assert not list(site.store.root.rglob("*.dcm"))


def test_nothing_that_stays_at_the_node_names_a_subject(site: Site) -> None:
    source = ct_dataset("PATIENT-A")
    held = ct_dataset("PATIENT-A", instance=2)
    held.BurnedInAnnotation = "YES"
    outcomes = run(site, [as_file(source), as_file(held)])
    site.database.dispose()
    everything = b"".join(path.read_bytes() for path in site.identity.path.parent.glob("node.db*"))
    everything += b"".join(stored(site).values()) + repr(outcomes).encode()
    for secret in (
        b"PATIENT-A",
        b"Quarzfeld",
        b"ACC99817",
        b"doe_jane",
        str(source.StudyInstanceUID).encode(),
    ):
        assert secret not in everything
    assert b"PATIENT-A" not in site.identity.path.read_bytes()


def test_a_full_disk_leaves_no_part_of_a_file(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreNotWritable):
        run(site, three_series())
    assert [path for path in site.store.root.rglob("*") if path.is_file()] == []
    monkeypatch.undo()
    assert {outcome.status for outcome in run(site, three_series())} == {Status.OK}


def test_a_project_that_is_no_folder_name_is_refused(site: Site) -> None:
    with pytest.raises(BadProjectName):
        run(site, three_series(), Order("../lung", Method(Profile.BASIC)))


def withdraw(departure: Departure, site: Site) -> dict[str, int]:
    gone = forget(departure, keepers(site.store, site.database))
    site.identity.gone(departure)
    return gone


def test_withdrawal_removes_a_subject_everywhere_and_for_good(site: Site) -> None:
    outcomes = run(site, three_series())
    run(site, three_series(), Order("brain", Method(Profile.BASIC)))
    departure = site.identity.leave(subject_value("PATIENT-A"), clock=site.clock)
    assert {one.project for one in departure.known} == {"lung", "brain"}
    gone = withdraw(departure, site)
    assert list(gone.values()) == [8, 8]
    assert {name.split("/")[1] for name in stored(site)} == {outcomes[-1].subject}
    with reading(site.database) as session:
        assert {sheet.subject for sheet in facts_of(session, "lung").values()} == {outcomes[-1].subject}
    again = run(site, three_series())
    assert [outcome.reason for outcome in again] == [Reason.WITHDRAWN] * 4 + [Reason.ALREADY_DONE] * 2


def test_a_subject_withdrawn_while_files_are_cleaned_is_not_stored(site: Site) -> None:
    def sources():  # type: ignore[no-untyped-def]
        for number, content in enumerate(three_series(), 1):
            if number == 6:
                # Both workers have cleaned some of the subject's files that are not stored yet.
                withdraw(site.identity.leave(subject_value("PATIENT-A"), clock=site.clock), site)
            yield MemoryInstance(content, number)

    outcomes = list(deidentify(sources(), ORDER, site=site, agent="curator", admitted=EVERYBODY, workers=2))
    assert [outcome.reason for outcome in outcomes] == [Reason.WITHDRAWN] * 4 + [None] * 2
    assert {name.split("/")[1] for name in stored(site)} == {outcomes[-1].subject}


def test_withdrawal_by_pseudonym_does_the_same(site: Site) -> None:
    outcomes = run(site, three_series())
    assert outcomes[0].subject is not None
    gone = withdraw(site.identity.leave_pseudonym("lung", outcomes[0].subject, clock=site.clock), site)
    assert gone["files of the research store"] == 4
    assert run(site, three_series())[0].reason is Reason.WITHDRAWN


@pytest.mark.parametrize("profile", list(Profile))
def test_bundled_files_of_pydicom_go_through_or_say_why(profile: Profile, site: Site) -> None:
    contents = [Path(str(get_testdata_file(name))).read_bytes() for name in BUNDLED]
    outcomes = dict(
        zip(
            BUNDLED,
            run(site, contents, Order("demo", Method(profile, trust=PixelTrust.REVIEWED))),
            strict=True,
        )
    )
    held = {name: outcome.reason for name, outcome in outcomes.items() if outcome.status is not Status.OK}
    assert held == {
        # One instance in several encodings: the first is kept.
        "MR_small_RLE.dcm": Reason.DUPLICATE_INSTANCE,
        "MR_small_bigendian.dcm": Reason.DUPLICATE_INSTANCE,
        "MR_small_implicit.dcm": Reason.DUPLICATE_INSTANCE,
        "rtdose_rle_1frame.dcm": Reason.DUPLICATE_INSTANCE,
        "liver_expb_1frame.dcm": Reason.DUPLICATE_INSTANCE,
        "nested_priv_SQ.dcm": Reason.UNKNOWN_SOP_CLASS,
        "reportsi.dcm": Reason.STRUCTURED_REPORT,
        "MR_truncated.dcm": Reason.TRUNCATED,
        "no_meta.dcm": Reason.NOT_DICOM,
    }
    for name, content in zip(BUNDLED, contents, strict=True):
        path = outcomes[name].path
        if name in held or path is None:
            continue
        before, after = (
            pydicom.dcmread(BytesIO(one)) for one in (content, (site.store.root / path).read_bytes())
        )
        assert sum(1 for _ in after.iterall()) > 10
        if before.file_meta.TransferSyntaxUID.is_encapsulated:  # comments go: tests/deid/test_codestreams.py
            assert len(after.PixelData) <= len(before.PixelData) + 1, name
        else:
            assert after.get("PixelData") == before.get("PixelData"), name
        assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
        if len(str(before.PatientName)) > 4:
            assert str(before.PatientName) != str(after.PatientName)


def test_files_of_a_folder_come_in_order_and_print_as_numbers(tmp_path: Path, site: Site) -> None:
    folder = tmp_path / "incoming" / "doe_jane"
    folder.mkdir(parents=True)
    for name, content in zip(("b.dcm", "a.dcm"), three_series()[:2], strict=True):
        (folder / name).write_bytes(content)
    (folder / "away").symlink_to(tmp_path)
    found = list(files_under(tmp_path / "incoming"))
    assert [one.path.name for one in found] == ["a.dcm", "b.dcm"]
    assert "doe" not in repr(found) and str(found[0].reference) == "file #1"
    outcomes = list(deidentify(found, ORDER, site=site, agent="curator", admitted=EVERYBODY))
    assert [(outcome.item, outcome.status) for outcome in outcomes] == [
        ("file #1", Status.OK),
        ("file #2", Status.OK),
    ]
    assert next(iter(files_under(folder / "a.dcm"))).number == 1
