"""A node takes files in by series: judged as one, stored at once, done again by another method."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.deid.conftest import MemoryInstance, as_file, ct_dataset

from fairbank.database import reading, writing
from fairbank.deid.admitted import EVERYBODY, Admitted
from fairbank.deid.cleaning import Order
from fairbank.deid.decisions import Decisions, Verdict
from fairbank.deid.errors import NoSuchGroup, NotForAPerson, UidsTangled
from fairbank.deid.faces.policy_store import may_leave
from fairbank.deid.faces.stage import NO_HEAD, FaceWork
from fairbank.deid.faces.store import FaceSeriesRow
from fairbank.deid.faces.stored_series import look_at_stored
from fairbank.deid.folder_groups import groups_under
from fairbank.deid.identity import IdentityStore
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Outcome, Reason, Refused, Status
from fairbank.deid.pipeline import Group, Site, deidentify_series
from fairbank.deid.policies import FacePolicy
from fairbank.deid.profiles import Profile
from fairbank.deid.project_review import decide_for_project, project_groups
from fairbank.deid.project_samples import (
    draw_of_project,
    record_look_of_project,
    sampling_of_project,
    take_back_of_project,
)
from fairbank.deid.pseudonyms import subject_value
from fairbank.deid.reports.project import project_summary
from fairbank.deid.reports.writing import write_report
from fairbank.deid.rules import Option
from fairbank.deid.running import series_work
from fairbank.deid.running.verdicts import Decision
from fairbank.deid.store import ItemRow, delete_subject, item_of
from fairbank.deid.verification.output import Output
from fairbank.deid.verification.uid_graph import Links
from fairbank.deid.withdrawal import forget, keepers
from fairbank.deid.work_rows import LookRow, SampledRow, SeriesWorkRow

ORDER = Order("lung", Method())


def series(patient: str = "PATIENT-A", number: int = 1, count: int = 3) -> list[bytes]:
    return [as_file(ct_dataset(patient, 1, number, instance)) for instance in range(1, count + 1)]


def run(
    site: Site,
    groups: list[list[bytes]],
    order: Order = ORDER,
    *,
    workers: int = 1,
    admitted: Admitted = EVERYBODY,
) -> list[Outcome]:
    number = iter(range(1, 1000))
    made = (Group([MemoryInstance(content, next(number)) for content in group]) for group in groups)
    return list(
        deidentify_series(made, order, site=site, agent="curator", admitted=admitted, workers=workers)
    )


def stored(site: Site) -> dict[str, bytes]:
    root = site.store.root
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.dcm"))}


def left_over(site: Site) -> list[Path]:
    return list(site.store.staging.iterdir()) if site.store.staging.exists() else []


def test_a_face_holds_the_series_and_nothing_of_it_is_stored(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def hold(files: list[Path], **kwargs: object) -> None:
        seen.append(len(files))
        raise Refused(Reason.PIXELS_UNVERIFIED, group="face|CT")

    monkeypatch.setattr(series_work, "treat_series", hold)
    outcomes = run(site, [series(), series("PATIENT-B")])
    assert seen == [3, 3]
    assert {outcome.reason for outcome in outcomes} == {Reason.PIXELS_UNVERIFIED}
    assert stored(site) == {} and left_over(site) == []
    assert {outcome.quarantine for outcome in outcomes} == {f"q-{number:06d}" for number in range(1, 7)}


def test_two_patients_in_one_series_are_held_and_others_of_the_group_are_not(site: Site) -> None:
    first, second = ct_dataset("PATIENT-A"), ct_dataset("PATIENT-B", 1, 1, 2)
    second.SeriesInstanceUID = first.SeriesInstanceUID
    other = ct_dataset("PATIENT-A", 1, 2)
    outcomes = run(site, [[as_file(first), as_file(second), as_file(other)]])
    assert [outcome.reason for outcome in outcomes] == [Reason.MIXED_SUBJECTS] * 2 + [None]
    assert len(stored(site)) == 1


def test_of_a_subject_who_may_not_come_in_nothing_is_noted_in_a_mixed_series_either(site: Site) -> None:
    first, second = ct_dataset("PATIENT-A"), ct_dataset("PATIENT-B", 1, 1, 2)
    second.SeriesInstanceUID = first.SeriesInstanceUID
    admitted = Admitted(frozenset({site.identity.consent_key(subject_value("PATIENT-A"))}), named_only=True)
    outcomes = run(site, [[as_file(first), as_file(second)]], admitted=admitted)
    assert [outcome.reason for outcome in outcomes] == [Reason.MIXED_SUBJECTS, Reason.NO_CONSENT]
    with reading(site.database) as session:
        assert session.query(ItemRow).count() == 1
    assert stored(site) == {}


def test_the_same_bytes_twice_in_a_series_are_done_once(site: Site) -> None:
    one = series(count=1)[0]
    outcomes = run(site, [[one, one]])
    assert [outcome.reason for outcome in outcomes] == [None, Reason.ALREADY_DONE]
    assert outcomes[0].path == outcomes[1].path is not None
    bad = b"junk" * 100
    assert [outcome.reason for outcome in run(site, [[bad, bad]])] == [Reason.NOT_DICOM] * 2


def test_a_new_slice_is_stored_and_the_others_are_already_done(site: Site) -> None:
    run(site, [series(count=2)])
    before = stored(site)
    outcomes = run(site, [series(count=3)])
    assert [outcome.reason for outcome in outcomes] == [Reason.ALREADY_DONE] * 2 + [None]
    assert before.items() <= stored(site).items() and len(stored(site)) == 3


def test_another_method_cleans_again_although_the_profile_is_the_same(site: Site) -> None:
    run(site, [series()])
    assert {one.reason for one in run(site, [series()])} == {Reason.ALREADY_DONE}
    other = Order("lung", Method(faces=FacePolicy.DEFACE))
    assert {one.status for one in run(site, [series()], other)} == {Status.OK}
    with reading(site.database) as session:
        methods = {row.method for row in session.query(ItemRow)}
    assert methods == {other.method.digest}


def test_an_item_of_an_older_version_without_a_method_is_done_again(site: Site) -> None:
    run(site, [series(count=1)])
    with writing(site.database) as session:
        for row in session.query(ItemRow):
            row.method = None
    assert [outcome.reason for outcome in run(site, [series(count=1)])] == [None]


def test_a_group_is_let_go_once_however_the_run_ends(site: Site) -> None:
    done: list[int] = []

    def groups():  # type: ignore[no-untyped-def]
        for number in (1, 2):
            sources = [MemoryInstance(content) for content in series(number=number)]
            yield Group(sources, lambda number=number: done.append(number))
        raise ConnectionError("the archive has gone")

    with pytest.raises(ConnectionError):
        list(deidentify_series(groups(), ORDER, site=site, agent="curator", admitted=EVERYBODY))
    assert done == [1, 2]
    assert len(stored(site)) == 6 and left_over(site) == []


def test_two_processes_give_the_same_store(site: Site) -> None:
    groups = [series("PATIENT-A"), series("PATIENT-B"), series("PATIENT-A", 2)]
    run(site, groups)
    before = stored(site)
    for path in site.store.root.rglob("*.dcm"):
        path.unlink()
    outcomes = run(site, groups, workers=2)
    assert {outcome.status for outcome in outcomes} == {Status.OK}
    assert [outcome.item for outcome in outcomes] == [f"file #{number}" for number in range(1, 10)]
    assert stored(site) == before


def test_a_decision_at_a_node_holds_for_files_to_come_and_can_be_taken_back(site: Site) -> None:
    def screen(instance: int) -> bytes:
        dataset = ct_dataset("PATIENT-A", 1, 1, instance)
        dataset.Modality = "US"
        return as_file(dataset)

    run(site, [[screen(1), screen(2)]])
    (found,) = project_groups(site.database, "lung")
    assert (found.files, found.verdict) == (2, None)

    def decide(group: str, verdict: Verdict) -> int:
        decision = Decision(group, verdict, "no text", "dr-who")
        return decide_for_project(site.database, "lung", decision, site.clock)

    assert decide(found.group, Verdict.RELEASE) == 2
    assert {one.status for one in run(site, [[screen(1), screen(2), screen(3)]])} == {Status.OK}
    assert project_groups(site.database, "lung") == []
    with pytest.raises(NoSuchGroup):
        decide("pixels-unverified|XX", Verdict.RELEASE)
    with pytest.raises(NoSuchGroup):
        decide_for_project(
            site.database, "brain", Decision(found.group, Verdict.RELEASE, "", "dr-who"), site.clock
        )
    broken = ct_dataset("PATIENT-A", 1, 3)
    del broken.PixelData
    run(site, [[as_file(broken)]])
    (other,) = project_groups(site.database, "lung")
    with pytest.raises(NotForAPerson):
        decide(other.group, Verdict.RELEASE)


def test_files_of_a_folder_come_by_series(tmp_path: Path, identity: IdentityStore) -> None:
    folder = tmp_path / "doe_jane"
    folder.mkdir()
    for number, content in enumerate([*series(number=1), *series(number=2)]):
        (folder / f"{number % 2}-{number}.dcm").write_bytes(content)
    (folder / "notes.txt").write_bytes(b"not an image")
    groups = list(groups_under(folder, identity))
    assert sorted(len(group.sources) for group in groups) == [1, 3, 3]
    numbers = [str(source.reference) for group in groups for source in group.sources]
    assert numbers == [f"file #{number}" for number in range(1, 8)]
    assert "doe" not in repr(groups)
    ((only,),) = [group.sources for group in groups_under(folder / "notes.txt", identity)]
    assert only.read() == b"not an image"


def test_the_report_of_a_project_counts_what_was_done_and_names_nobody(site: Site, tmp_path: Path) -> None:
    held = ct_dataset("PATIENT-B")
    held.BurnedInAnnotation = "YES"
    run(site, [series(), [as_file(held)], [b"junk" * 100]])
    summary = project_summary(site.database, "lung")
    assert summary.went_out == {"subjects": 1, "series": 1, "files": 3}
    assert summary.by_state == {"ok": 3, "impossible: burned-in-annotation": 1, "error: not-dicom": 1}
    assert [(line.reason, line.files) for line in summary.held] == [("burned-in-annotation", 1)]
    for path in write_report(summary, tmp_path / "report"):
        content = path.read_bytes()
        assert not any(secret in content for secret in (b"PATIENT-", b"Quarzfeld", b"doe_jane"))


def test_what_is_held_can_be_forgotten_with_its_subject(site: Site) -> None:
    first, second = ct_dataset("PATIENT-A"), ct_dataset("PATIENT-B", 1, 1, 2)
    second.SeriesInstanceUID = first.SeriesInstanceUID
    (one, _) = run(site, [[as_file(first), as_file(second)]])
    assert one.quarantine is not None and site.identity.reference("lung", one.quarantine) is not None
    departure = site.identity.leave(subject_value("PATIENT-A"), clock=site.clock)
    assert sum(forget(departure, keepers(site.store, site.database)).values()) >= 1
    site.identity.gone(departure)
    assert site.identity.reference("lung", one.quarantine) is None
    with reading(site.database) as session:
        assert item_of(session, "lung", "nothing") is None


def leaving(site: Site) -> dict[str, bool]:
    """Return which stored series may leave, by their pseudonymous UIDs."""
    with reading(site.database) as session:
        series = {str(uid) for (uid,) in session.query(ItemRow.series_uid) if uid}
        return {uid: may_leave(session, "lung", uid) for uid in series}


def test_of_each_series_of_a_group_its_own_face_is_remembered(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = {1: FaceWork(head=True, in_situ=True), 2: NO_HEAD, 3: FaceWork(head=True, defaced=True)}
    uids: dict[int, str] = {}

    def treat(files: list[Path], **kwargs: object) -> FaceWork:
        number = len(files)
        uids[number] = files[0].parent.name
        return works[number]

    monkeypatch.setattr(series_work, "treat_series", treat)
    run(site, [[file for number in works for file in series(number=number, count=number)]])
    assert leaving(site) == {uids[1]: False, uids[2]: True, uids[3]: True}
    with reading(site.database) as session:
        rows = {row.series_uid: row for row in session.query(FaceSeriesRow)}
    assert {uid: (row.head, row.defaced, row.in_situ) for uid, row in rows.items()} == {
        uids[1]: (True, False, True),
        uids[2]: (False, False, False),
        uids[3]: (True, True, False),
    }


def test_a_part_of_a_series_tells_nothing_of_the_whole(site: Site) -> None:
    run(site, [series(count=4)[:2]])
    assert list(leaving(site).values()) == [True]
    run(site, [series(count=4)[2:]])
    assert list(leaving(site).values()) == [False]
    assert len(list(look_at_stored(site.database, site.store, "lung", clock=site.clock))) == 1
    assert list(leaving(site).values()) == [True]


def test_a_face_that_was_seen_in_a_part_stays_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    works = iter([FaceWork(head=True, in_situ=True), NO_HEAD])
    monkeypatch.setattr(series_work, "treat_series", lambda files, **kwargs: next(works))
    run(site, [series(count=4)[:2]])
    run(site, [series(count=4)[2:]])
    assert list(leaving(site).values()) == [False]
    assert list(look_at_stored(site.database, site.store, "lung", clock=site.clock)) == []


def test_a_released_head_goes_until_the_release_is_taken_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def treat(files: list[Path], *, method: Method, decisions: Decisions) -> FaceWork:
        if decisions.of("face|CT") is Verdict.RELEASE:
            return FaceWork(group="face|CT")
        raise Refused(Reason.FACE, group="face|CT")

    monkeypatch.setattr(series_work, "treat_series", treat)
    assert {one.reason for one in run(site, [series()])} == {Reason.FACE}
    decide_for_project(
        site.database, "lung", Decision("face|CT", Verdict.RELEASE, "a phantom", "ada"), site.clock
    )
    assert {one.reason for one in run(site, [series()])} == {None}
    assert list(leaving(site).values()) == [True]
    assert {one.reason for one in run(site, [series()])} == {Reason.ALREADY_DONE}
    decide_for_project(
        site.database, "lung", Decision("face|CT", Verdict.KEEP_HELD, "no phantom", "ada"), site.clock
    )
    assert {one.reason for one in run(site, [series()])} == {Reason.FACE}


def test_a_name_that_one_file_lacks_is_sought_in_it_all_the_same(site: Site) -> None:
    named, lacking = ct_dataset(), ct_dataset(instance=2)
    named.PatientName = "Sequoia^Edeltraud"
    lacking.PatientName = ""
    lacking.ManufacturerModelName = "Sequoia"  # a word of devices, and this patient's name
    alone = run(site, [[as_file(lacking)]], Order("alone", Method()))
    assert [one.reason for one in alone] == [None]
    outcomes = run(site, [[as_file(named), as_file(lacking)]])
    assert [one.reason for one in outcomes] == [None, Reason.IDENTIFIER_FOUND]
    assert [path for path in stored(site) if path.startswith("lung/")] == [str(outcomes[0].path)]


def test_what_a_held_file_says_is_sought_in_the_others(site: Site) -> None:
    named, lacking = ct_dataset(), ct_dataset(instance=2)
    named.PatientName = "Sequoia^Edeltraud"
    named.SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"  # Encapsulated PDF
    lacking.PatientName = ""
    lacking.ManufacturerModelName = "Sequoia"
    outcomes = run(site, [[as_file(lacking), as_file(named)]])
    assert [one.reason for one in outcomes] == [Reason.IDENTIFIER_FOUND, Reason.ENCAPSULATED_DOCUMENT]


def test_names_of_another_subject_of_the_group_are_not_sought(site: Site) -> None:
    named, other = ct_dataset("PATIENT-A"), ct_dataset("PATIENT-B")
    named.PatientName = "Sequoia^Edeltraud"
    other.PatientName = ""
    other.ManufacturerModelName = "Sequoia"
    assert [one.reason for one in run(site, [[as_file(named), as_file(other)]])] == [None, None]


def test_a_broken_mapping_of_uids_stops_a_run_at_its_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    one = [file for number in (1, 2) for file in series(number=number, count=1)]

    def links(original: Output, output: Output, **kwargs: object) -> Links:
        before = original.text(0x00080018).encode()
        return Links(
            ((before, b"one for all"),), (before, output.text(0x00080018).encode()), frozenset(), frozenset()
        )

    monkeypatch.setattr(series_work, "links_of", links)
    with pytest.raises(UidsTangled):
        run(site, [one])


def take_back(site: Site, path: str) -> int:
    drawn = draw_of_project(site.database, "lung", "dr-who", site.clock)
    assert path in drawn
    record_look_of_project(site.database, "lung", [path], "dr-who", site.clock, clean=False)
    return take_back_of_project(site.database, site.store, "lung", [path], "dr-who", site.clock)


def test_what_was_seen_to_identify_leaves_the_store_with_its_series(site: Site) -> None:
    groups = [series(), series("PATIENT-B")]
    run(site, groups)
    before = stored(site)
    bad = next(iter(before))
    assert take_back(site, bad) == 3
    left = stored(site)
    assert len(left) == 3 and bad not in left and not (site.store.root / bad).parent.exists()
    sampling = sampling_of_project(site.database, "lung")
    assert sampling is not None and (sampling.looked_at, sampling.failed) == (1, 1)
    assert {outcome.reason for outcome in run(site, groups)} == {Reason.SEEN_IDENTIFYING, Reason.ALREADY_DONE}
    assert stored(site) == left, "a later run does not let it go"
    (held,) = project_groups(site.database, "lung")
    assert held.files == 3 and held.reason == "seen-identifying"
    decide_for_project(
        site.database, "lung", Decision(held.group, Verdict.RELEASE, "nothing there", "dr-who"), site.clock
    )
    run(site, groups)
    assert stored(site) == before


def test_a_withdrawal_finds_what_was_taken_back(site: Site) -> None:
    run(site, [series()])
    bad = next(iter(stored(site)))
    take_back(site, bad)
    with writing(site.database) as session:
        assert delete_subject(session, "lung", bad.split("/")[1]) == 3
        for table in (SampledRow, LookRow, SeriesWorkRow):
            assert session.query(table).count() == 0


def test_the_report_of_a_project_tells_method_elements_and_samples(site: Site, tmp_path: Path) -> None:
    method = Method(Profile.BASIC, more=frozenset({Option.RETAIN_UIDS}))
    run(site, [series(), series("PATIENT-B")], Order("lung", method))
    drawn = draw_of_project(site.database, "lung", "dr-who", site.clock)
    record_look_of_project(site.database, "lung", drawn, "dr-who", site.clock, clean=True)
    told = project_summary(site.database, "lung", store=site.store.root)
    assert told.method["digest"] == method.digest and "retain_uids" in told.method["options"]
    lines = {line.tag: line for line in told.tags}
    assert (lines["(0010,0010)"].before, lines["(0010,0010)"].replaced) == (6, 6)
    assert told.came_in["bytes"] == sum(map(len, [*series(), *series("PATIENT-B")]))
    assert told.sampling is not None and told.sampling.upper_bound == 0
    assert told.verification.passed == 6
    write_report(told, tmp_path / "report")
    assert "PATIENT-" not in (tmp_path / "report" / "report.html").read_text()


def test_files_that_come_one_by_one_are_counted_together_and_once(site: Site) -> None:
    one, two, three = series()
    run(site, [[one], [two]])
    run(site, [[one], [two], [three]])
    (line,) = (line for line in project_summary(site.database, "lung").tags if line.tag == "(0010,0010)")
    assert line.before == 3
