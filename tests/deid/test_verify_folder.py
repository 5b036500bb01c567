"""A folder is verified whole: with originals and without, ours and another tool's, and the report names nobody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.deid.conftest import Clean, as_file, ct_dataset
from typer.testing import CliRunner

from fairbank.cli.main import app
from fairbank.deid.cleaning import Cleaned, Order, clean_file
from fairbank.deid.errors import NothingToVerify, ValidatorMissing
from fairbank.deid.facts import Recorder
from fairbank.deid.key_file import KeyFile
from fairbank.deid.method import Method
from fairbank.deid.profiles import Profile
from fairbank.deid.pseudonyms import subject_value
from fairbank.deid.verification import dciodvfy
from fairbank.deid.verification.folder import Conformance, FolderVerdict, Originals, verify_folder
from fairbank.deid.verification.known_subjects import OfKeyFile
from fairbank.deid.verification.problem import Fault
from fairbank.deid.verification.report import problem_rows, report
from fairbank.deid.verification.safe_harbor import PSEUDONYMISED, coverage
from fairbank.deid.verification.sampling import drawn, files_to_review, share_at_most

SECRET = b"0123456789abcdef0123456789abcdef"
IDENTIFYING = ("Quarzfeld", "Ottilie", "PAT-4711", "PAT-4712", "ACC99817", "20190412", "1.2.826")


@pytest.fixture
def folders(tmp_path: Path, recorder: Recorder) -> tuple[Path, Path]:
    """Return a folder of originals and one of what became of them."""
    before, after = tmp_path / "Quarzfeld" / "in", tmp_path / "out"
    before.mkdir(parents=True)
    after.mkdir()
    key_file = tmp_path / "key"
    key_file.write_bytes(SECRET)
    key_file.chmod(0o600)
    key = KeyFile.read(key_file)
    for patient in ("PAT-4711", "PAT-4712"):
        for instance in range(3):
            content = as_file(ct_dataset(patient, instance=instance))
            (before / f"{patient}_{instance}.dcm").write_bytes(content)
            made = clean_file(
                content, Order("default", Method(Profile.RESEARCH)), identity=key, recorder=recorder
            )
            assert isinstance(made, Cleaned)
            (after / f"{made.sop_uid}.dcm").write_bytes(made.content)
    return before, after


def matched(before: Path) -> Originals:
    return Originals(before, OfKeyFile(KeyFile.read(before.parent.parent / "key"), "default"))


def rules(found: FolderVerdict) -> set[str]:
    return {one.rule for one in found.problems}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_good_folder_is_found_good(folders: tuple[Path, Path], workers: int) -> None:
    before, after = folders
    found = verify_folder(after, originals=matched(before), conformance=Conformance.NONE, workers=workers)
    assert rules(found) == set()
    assert len(found.verdicts) == found.originals["matched"] == 6
    assert found.graph is not None and found.graph.summary()["files"] == 6


def test_originals_as_they_are_break_many_rules(folders: tuple[Path, Path]) -> None:
    found = verify_folder(folders[0], method=Method(Profile.BASIC), conformance=Conformance.NONE)
    assert {Fault.NOT_MARKED, Fault.MUST_GO, Fault.MUST_BE_NEW, Fault.NAME, Fault.META_ELEMENT} <= rules(
        found
    )
    assert {"Study Date", "Accession Number"} <= {row["element"] for row in problem_rows(found)}


def test_a_name_that_only_another_file_of_the_subject_states_is_found(folders: tuple[Path, Path]) -> None:
    before, after = folders
    married = ct_dataset(instance=77)
    married.PatientName = "Siebenstern^Ottilie"
    (before / "late.dcm").write_bytes(as_file(married))
    key = KeyFile.read(before.parent.parent / "key")
    pseudonyms = key.subject("default", subject_value("PAT-4711"))
    target = after / f"{pseudonyms.uid(str(ct_dataset(instance=1).SOPInstanceUID))}.dcm"
    content = target.read_bytes()
    target.write_bytes(content.replace(b"LO\x04\x00ACME", b"LO\x0c\x00SIEBENSTERN "))
    found = verify_folder(after, originals=matched(before), conformance=Conformance.NONE)
    assert [(one.rule, one.tag) for one in found.problems] == [(Fault.IDENTIFIER, "00080070")]
    assert rules(verify_folder(after, conformance=Conformance.NONE)) == set()


def test_without_the_key_it_says_what_was_not_compared(folders: tuple[Path, Path]) -> None:
    before, after = folders
    found = verify_folder(after, originals=Originals(before, None), conformance=Conformance.NONE)
    assert "by the key" in found.unmatched_because
    assert "not checked" in str(report(found, method=None)["summary"]["uid graph"])


def test_what_is_no_dicom_file_and_what_lies_in_quarantine_is_counted(folders: tuple[Path, Path]) -> None:
    _, after = folders
    (after / "readme.txt").write_text("nothing")
    (after / "quarantine").mkdir()
    (after / "quarantine" / "q-000001").write_bytes(b"x")
    found = verify_folder(after, conformance=Conformance.NONE)
    assert [verdict.problems for verdict in found.verdicts].count(None) == 1
    assert found.quarantined == 1


def test_a_damaged_file_stops_nothing(folders: tuple[Path, Path]) -> None:
    _, after = folders
    target = sorted(after.iterdir())[2]
    target.write_bytes(target.read_bytes()[:-5])
    found = verify_folder(after, conformance=Conformance.NONE)
    assert [bool(verdict.problems) for verdict in found.verdicts].count(True) == 1
    assert rules(found) == {Fault.UNREADABLE}


def test_a_large_file_is_read_as_it_is_looked_at(folders: tuple[Path, Path], monkeypatch) -> None:
    before, after = folders
    monkeypatch.setattr("fairbank.deid.verification.one_file._LARGE_BYTES", 0)
    assert rules(verify_folder(after, originals=matched(before), conformance=Conformance.NONE)) == set()
    target = sorted(after.iterdir())[0]
    target.write_bytes(target.read_bytes()[:-32] + b"..QUARZFELD^OTTILIE..".ljust(32))
    found = verify_folder(after, originals=matched(before), conformance=Conformance.NONE)
    assert rules(found) == {Fault.IDENTIFIER}


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NothingToVerify):
        verify_folder(tmp_path)


def test_asking_a_validator_that_is_not_there_is_an_error(folders: tuple[Path, Path], monkeypatch) -> None:
    monkeypatch.setattr("fairbank.deid.verification.folder.is_installed", lambda: False)
    with pytest.raises(ValidatorMissing):
        verify_folder(folders[1], conformance=Conformance.ALL)
    assert verify_folder(folders[1], conformance=Conformance.SAMPLE).standard is None


def test_the_report_names_nobody(folders: tuple[Path, Path]) -> None:
    before, after = folders
    (after / "Quarzfeld_Ottilie.dcm").write_bytes((before / "PAT-4711_0.dcm").read_bytes())
    found = verify_folder(after, originals=matched(before), conformance=Conformance.NONE)
    text = json.dumps(report(found, method=None))
    assert [word for word in (*IDENTIFYING, str(after)) if word in text] == []
    assert report(found, method=None)["statement"] == PSEUDONYMISED


def test_the_command_ends_with_one_if_anything_is_wrong(folders: tuple[Path, Path], tmp_path: Path) -> None:
    before, after = folders
    runner, target = CliRunner(), tmp_path / "r.json"
    command = ["deid", "verify", str(after), "--original", str(before), "--key-file", str(tmp_path / "key")]
    good = runner.invoke(app, [*command, "--report", str(target), "--dciodvfy", "none"])
    assert good.exit_code == 0, good.output
    assert json.loads(target.read_text())["summary"]["originals"] == {"read": 6, "matched": 6}
    bad = runner.invoke(app, ["deid", "verify", str(before), "--dciodvfy", "none", "--format", "json"])
    assert bad.exit_code == 1
    assert "Quarzfeld" not in bad.output
    assert runner.invoke(app, ["deid", "verify"]).exit_code == 2
    nowhere = runner.invoke(
        app, [*command, "--report", str(tmp_path / "no" / "r.json"), "--dciodvfy", "none"]
    )
    assert nowhere.exit_code == 1


needs_dciodvfy = pytest.mark.skipif(not dciodvfy.is_installed(), reason="dciodvfy is not installed")


@needs_dciodvfy
def test_only_errors_that_the_original_has_not_are_new(clean: Clean, tmp_path: Path) -> None:
    before = as_file(ct_dataset())
    content, _ = clean(before)

    def at(name: str, what: bytes) -> Path:
        (tmp_path / name).write_bytes(what)
        return tmp_path / name

    assert dciodvfy.new_errors(at("before", before), at("after", content)) == {}
    broken = content.replace(
        b"\x28\x00\x04\x00CS\x0c\x00MONOCHROME2 ", b"\x28\x00\x04\x00CS\x0c\x00QUARZFELD   "
    )
    new = dciodvfy.new_errors(tmp_path / "before", at("broken", broken))
    assert new
    assert "QUARZFELD" not in repr(new).upper()


@needs_dciodvfy
def test_a_sample_asks_once_per_series(folders: tuple[Path, Path]) -> None:
    before, after = folders
    found = verify_folder(after, originals=matched(before), conformance=Conformance.SAMPLE)
    assert found.standard_files == 2 and found.standard_compared
    assert rules(found) == set()
    everything = verify_folder(after, originals=matched(before), conformance=Conformance.ALL)
    assert everything.standard_files == 6


def test_a_validator_that_hangs_or_is_missing_says_nothing(monkeypatch) -> None:
    monkeypatch.setattr(dciodvfy, "PROGRAM", "no-such-program-4711")
    assert dciodvfy.errors_of(Path("x")) is None
    assert dciodvfy.new_errors(Path("x"), Path("y")) is None


def test_the_size_of_a_review_is_exact() -> None:
    assert files_to_review() == 299
    for population in (1, 7, 100, 299, 1000, 50_000):
        count = files_to_review(population)
        assert count <= min(population, 299)
    assert files_to_review(0) == 0
    assert share_at_most(299) <= 0.01 < share_at_most(298)
    for population in (100, 299, 1000, 50_000):
        count = files_to_review(population)
        assert share_at_most(count, population=population) <= 0.01
        assert share_at_most(count - 1, population=population) > 0.01
        assert share_at_most(count, bad=1, population=population) > 0.01


def test_the_draw_is_repeatable_and_depends_on_the_seed() -> None:
    names = [str(number) for number in range(1000)]
    assert drawn(names, 50, seed="a") == drawn(reversed(names), 50, seed="a") != drawn(names, 50, seed="b")
    assert len(set(drawn(names, 50, seed="a"))) == 50


@pytest.mark.parametrize("method", [Method(Profile.BASIC), Method(Profile.RESEARCH)])
def test_all_eighteen_identifiers_are_answered_for(method: Method) -> None:
    said = coverage(method)
    assert "".join(one.letter for one in said) == "ABCDEFGHIJKLMNOPQR"
    assert all(one.done and one.checked for one in said)
    assert "RETAINED" in next(one for one in coverage(Method(Profile.RESEARCH)) if one.letter == "M").done
