"""DicomEdit scripts explained: what each rule of the table loses, and what a script leaves, tag by tag."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from fairbank.cli.main import app
from fairbank.deid.errors import BadScript
from fairbank.deid.recipes.coverage import Covered, Left, covered_by, summary, unsafe_retained
from fairbank.deid.recipes.dicomedit import Effect, parsed, read_script

SCRIPT = """version "6.6"
// what a site has
(0010,0010) := subject
(0010,0020) := session // label
project != "Unassigned" ? (0008,1030) := project
(0010,0030) := ""
-(0008,0080)
- */(0008,0081)
(0008,0090) := "none // of it"
(0020,000D) := hashUID[(0020,000D)]
*/(0008,1155) := hashUID[*/(0008,1155)]
(0008,0020) := shiftDateByIncrement[(0008,0020), "14"]
(0008,103E) := concatenate["S ", (0008,103E)]
(0008,1048) ?= "nobody"
-(50XX,XXXX)
-(60X@,3000)
-(0008,1140)/(0008,1150)
where := uppercase[(0008,1010)]
(0008,1010) := where
kind := "CT"
(0018,1000) := kind
(0008,0060) = "US" ? alterPixels["rectangle", "l=0, t=0, r=100, b=20", "solid", "v=0"]
(0008,0060) = "SR" ? -(0040,A123) : -(0040,A075)
retainPrivateTags[
  (0019,{SIEMENS MR HEADER}0C),
  (0029,{SIEMENS CSA HEADER}10)
]
frobnicate[(0010,4000)]
(0010,2180) := mystery[(0010,2180)]
this is nonsense
"""


def rows(text: str = SCRIPT) -> dict[str, Covered]:
    return {row.tag: row for row in covered_by(parsed(text))}


@pytest.mark.parametrize(
    ("tag", "top", "nested", "left"),
    [
        ("00100010", Effect.LABEL, "", Left.NESTED),
        ("00100020", Effect.LABEL, "", Left.NESTED),
        ("00081030", "", "", Left.SOMETIMES),
        ("00100030", Effect.BLANKED, "", Left.NESTED),
        ("00080080", Effect.REMOVED, "", Left.NESTED),
        ("00080081", Effect.REMOVED, Effect.REMOVED, Left.NOTHING),
        ("00080090", Effect.CONSTANT, "", Left.NESTED),
        ("0020000D", Effect.NEW_UID, "", Left.NESTED),
        ("00081155", Effect.NEW_UID, Effect.NEW_UID, Left.NOTHING),
        ("00080020", Effect.SHIFTED, "", Left.MOVED),
        ("0008103E", Effect.DERIVED, "", Left.ALL),
        ("00081048", Effect.CONSTANT, "", Left.NESTED),
        ("50xxxxxx", Effect.REMOVED, "", Left.NESTED),
        ("60xx3000", Effect.REMOVED, "", Left.NESTED),
        ("60xx4000", "", "", Left.ALL),
        ("00081010", Effect.DERIVED, "", Left.ALL),
        ("00181000", Effect.CONSTANT, "", Left.NESTED),
        ("0040A123", "", "", Left.SOMETIMES),
        ("0040A075", "", "", Left.SOMETIMES),
        ("00104000", "", "", Left.ALL),
        ("00102180", "", "", Left.ALL),
        ("PRIVATE", "removed but what is retained", "removed but what is retained", Left.SOMETIMES),
    ],
)
def test_each_rule_is_told_apart(tag: str, top: str, nested: str, left: Left) -> None:
    row = rows()[tag]
    assert (row.top, row.nested, row.left) == (top, nested, left)


def test_every_rule_is_accounted_for() -> None:
    found = covered_by(parsed(SCRIPT))
    assert len(found) == 657
    assert sum(summary(found).values()) == 657


def test_lines_that_are_not_understood_are_named() -> None:
    assert parsed(SCRIPT).not_understood == [28, 29, 30]


def test_lines_are_where_they_begin() -> None:
    assert rows()["00080081"].lines == (8,)
    script = parsed(SCRIPT)
    assert (script.removes_private, script.alters_pixels) == ([24], [22])
    assert len(script.retained_private) == 2
    assert unsafe_retained(script) == 1


def test_a_bracket_that_is_never_closed_is_named() -> None:
    assert parsed("-(0010,0010)\nretainPrivateTags[\n(0019,{X}0C)").not_understood == [2]


def test_an_empty_script_leaves_everything() -> None:
    assert {row.left for row in covered_by(parsed("// nothing\n"))} == {Left.ALL}


def test_one_line_for_all_depths_leaves_nothing() -> None:
    text = "\n".join(
        f"- */({row[:4]},{row[4:]})"
        for row in rows()
        if row.isalnum() and "x" not in row and row != "PRIVATE"
    )
    text += "\nremoveAllPrivateTags\n- */(50XX,XXXX)\n- */(60X@,3000)\n- */(60XX,4000)"
    assert {row.left for row in covered_by(parsed(text))} == {Left.NOTHING}


@pytest.mark.parametrize("path", [".", "+", "(0008,1140)"])
def test_what_does_not_reach_the_top_does_not_count_there(path: str) -> None:
    assert rows(f"- {path}/(0010,0010)")["00100010"].left is Left.ALL


def test_digits_that_miss_a_group_do_not_cover_the_pattern() -> None:
    assert rows("-(60@@,3000)")["60xx3000"].left is Left.ALL  # groups 6010 to 601E are missing


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "doe").write_bytes(b"\xff\xfe\0")
    for path in (tmp_path / "doe", tmp_path / "missing"):
        with pytest.raises(BadScript) as caught:
            read_script(path)
        assert "doe" not in str(caught.value)


def test_the_command_explains_a_script(tmp_path: Path) -> None:
    path = tmp_path / "site.das"
    path.write_text(SCRIPT, "utf-8")
    result = CliRunner().invoke(app, ["deid", "explain", str(path), "--format", "json"])
    assert result.exit_code == 0, result.output
    assert '"tag": "00080081"' in result.stdout
    assert "lines 28, 29, 30" in result.stderr
    assert "fairbank deid verify" in result.stderr


def test_the_command_shows_only_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "site.das"
    path.write_text(SCRIPT, "utf-8")
    result = CliRunner().invoke(app, ["deid", "explain", str(path), "--open", "--format", "csv"])
    assert "00080081" not in result.stdout
    assert "00104000" in result.stdout


def test_the_command_explains_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "site.deid"
    path.write_text("# ours\nFORMAT dicom\n%header\nREMOVE StationName\nBLANK PatientAge\n", "utf-8")
    result = CliRunner().invoke(app, ["deid", "explain", str(path), "--open", "--format", "csv"])
    assert result.exit_code == 0, result.output
    assert "00081010,Station Name,X/Z/D,keep-if-not-own,remove,4" in result.stdout
    assert "00101010,Patient's Age,X,cap-age,empty,5" in result.stdout
    assert result.stdout.count("\n") == 3


def test_the_command_refuses_options_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "site.deid"
    path.write_text("FORMAT dicom\n%header\nREMOVE KVP\n", "utf-8")
    for extra in (["--profile", "lax"], ["--option", "retain_everything"]):
        assert CliRunner().invoke(app, ["deid", "explain", str(path), *extra]).exit_code == 2
