"""Clinical variables from tables: coded, under pseudonyms, with every trap of a spreadsheet told by row and column."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path

import openpyxl
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from fairbank.cli import variable_commands
from fairbank.database import reading, writing
from fairbank.deid.departures import Known
from fairbank.deid.identity import IDENTITY_FILE, IdentityStore
from fairbank.deid.pseudonyms import subject_value
from fairbank.harvest.clinical import store
from fairbank.harvest.clinical.importing import ImportReport, import_variables
from fairbank.harvest.clinical.mapping import Mapping, read_mapping
from fairbank.harvest.clinical.table_rows import TableRows
from fairbank.harvest.clinical.template import TEMPLATE
from fairbank.harvest.clinical.values import CellFault, Fault, value_of
from fairbank.harvest.consent import LegalBasis
from fairbank.harvest.consent_import import import_consents
from fairbank.harvest.consent_table import Reading, read_consents
from fairbank.harvest.consents import day_of
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.errors import BadMapping, BadTable, IdentifyingColumn, NoLegalBasis, VariableOfAnother
from fairbank.harvest.index import LIVE
from fairbank.harvest.legal_basis import record_basis
from fairbank.harvest.publishing import preview
from fairbank.harvest.series import Aspect
from fairbank.harvest.store import RunRow, SeriesRow
from fairbank.harvest.subject_withdrawal import forget_subject
from fairbank.ontology.record import CollectionKind
from fairbank.ontology.variables import VariableKind
from fairbank.release.node import Node

PROJECT = "thorax"
# Planted where an identifier stands; found anywhere else, it has leaked.
CANARY = "0012CANARY"
NUMBERS = (CANARY, "0013", "0014")
MAPPING = """
source = "registry"
[subject]
column = "Fallnummer"
[variables.sex]
column = "Geschlecht"
label = "Sex"
code = "LOINC:46098-0"
kind = "coded"
values = { "männlich" = "M", "weiblich" = "F" }
[variables.creatinine]
column = "Krea"
label = "Creatinine"
code = "LOINC:2160-0"
kind = "quantity"
unit = "mg/dL"
bands = [0.7, 1.2, 5]
decimal = ","
minimum = 0.1
maximum = 30
[variables.diagnosis-year]
column = "Erstdiagnose"
label = "Year of diagnosis"
code = "LOINC:63931-0"
kind = "year"
[variables.diagnosis-age]
column = "Geburtsdatum"
reference = "Erstdiagnose"
label = "Age at diagnosis"
code = "SNOMED-CT:423493009"
kind = "age-band"
[variables.diabetes]
column = "Diabetes"
label = "Diabetes mellitus"
code = "ICD-10:E14"
kind = "boolean"
values = { "ja" = "yes", "nein" = "no" }
"""
HEADER = "Fallnummer;Geschlecht;Krea;Erstdiagnose;Geburtsdatum;Diabetes;Bemerkung\n"
ROWS = (
    f'{CANARY};männlich;0,9;24.12.2015;01.02.1950;ja;"hat\nZeilen"\n'
    "0013;weiblich;<0,7;2016-03-01;1960-03-02;nein;\n"
    "9999;weiblich;1,5;2016-03-01;1960-03-02;nein;unbekannt hier\n"
)


@pytest.fixture
def pseudonyms(node: Node) -> dict[str, str]:
    """Let the project know three subjects, as a pull does."""
    identity = IdentityStore.open_or_create(node.settings.home / IDENTITY_FILE, clock=node.clock)
    known = {number: identity.subject(PROJECT, subject_value(number)).subject for number in NUMBERS}
    identity.close()
    return known


def file(tmp_path: Path, text: str, *, encoding: str = "utf-8") -> Path:
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode(encoding))
    return path


def taken(
    node: Node, path: Path, mapping: Mapping | None = None, *, dry_run: bool = False, take_in: bool = False
) -> ImportReport:
    mapping = mapping or read_mapping(MAPPING)
    return import_variables(
        node, PROJECT, mapping, TableRows(path, mapping), dry_run=dry_run, take_in=take_in
    )


def values(node: Node) -> dict[tuple[str, str], str]:
    with reading(node.engine) as session:
        rows = session.scalars(select(store.VariableRow)).all()
    return {(row.subject, row.variable): row.value for row in rows}


def test_cells_become_codes_and_bands_under_pseudonyms(
    node: Node, tmp_path: Path, pseudonyms: dict[str, str]
) -> None:
    report = taken(node, file(tmp_path, HEADER + ROWS))
    first, second = pseudonyms[CANARY], pseudonyms["0013"]
    assert values(node) == {
        (first, "sex"): "M",
        (first, "creatinine"): "0.7-1.2",
        (first, "diagnosis-year"): "2015",
        (first, "diagnosis-age"): "65-69",
        (first, "diabetes"): "yes",
        (second, "sex"): "F",
        (second, "creatinine"): "<0.7",
        (second, "diagnosis-year"): "2016",
        (second, "diagnosis-age"): "55-59",
        (second, "diabetes"): "no",
    }
    assert (report.rows, report.subjects, report.unknown, report.left_out) == (3, 2, 1, {})
    assert report.ignored == (7,)


def test_importing_the_same_again_changes_nothing(
    node: Node, tmp_path: Path, pseudonyms: dict[str, str]
) -> None:
    path = file(tmp_path, HEADER + ROWS)
    taken(node, path)
    before = values(node)
    again = taken(node, path).written
    assert (again.added, again.changed, again.unchanged, again.removed) == (0, 0, 10, 0)
    assert values(node) == before


def test_what_a_later_file_no_longer_says_goes_and_an_unusable_file_takes_nothing(
    node: Node, tmp_path: Path, pseudonyms: dict[str, str]
) -> None:
    taken(node, file(tmp_path, HEADER + ROWS))
    assert taken(node, file(tmp_path, HEADER)).written.removed == 0
    report = taken(node, file(tmp_path, HEADER + f"{CANARY};weiblich;;;;;\n"))
    assert values(node) == {(pseudonyms[CANARY], "sex"): "F"}
    assert (report.written.changed, report.written.removed) == (1, 9)


def test_a_rehearsal_keeps_nothing_and_takes_nobody_in(
    node: Node, tmp_path: Path, pseudonyms: dict[str, str]
) -> None:
    report = taken(node, file(tmp_path, HEADER + ROWS), dry_run=True, take_in=True)
    assert (report.subjects, report.written.added) == (3, 15)
    assert values(node) == {}
    identity = IdentityStore(node.settings.home / IDENTITY_FILE)
    assert identity.find(PROJECT, subject_value("9999")) is None
    identity.close()


def test_subjects_without_images_are_kept_only_where_that_is_asked_for(
    node: Node, tmp_path: Path, pseudonyms: dict[str, str]
) -> None:
    report = taken(node, file(tmp_path, HEADER + ROWS), take_in=True)
    assert (report.subjects, report.unknown) == (3, 0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
def test_encodings_and_delimiters_are_found_out(tmp_path: Path, encoding: str, delimiter: str) -> None:
    text = 'Fallnummer;Geschlecht;Krea\n1;männlich;"0,9"\n'.replace(";", delimiter)
    mapping = read_mapping(MAPPING.partition("[variables.diagnosis-year]")[0])
    rows = list(TableRows(file(tmp_path, text, encoding=encoding), mapping).rows())
    assert [(row.number, row.cells["sex"].text, row.cells["creatinine"].text) for row in rows] == [
        (2, "männlich", "0,9")
    ]


BAD_ROWS = [
    ("0013;divers;;;;;", 2, "value-not-in-the-mapping"),
    ("0013;;1.5;;;;", 3, "no-number"),
    ("0013;;31,0;;;;", 3, "outside-of-minimum-and-maximum"),
    ("0013;;<5;;;;", 3, "bound-that-fits-no-band"),
    ("0013;;;43101;;;", 4, "no-date"),
    ("0013;;;03/04/2015;;;", 4, "no-date"),
    ("0013;;;31.02.2015;;;", 4, "no-date"),
    ("0013;;;2015-01-01;2016-01-01;;", 5, "no-age-from-these-dates"),
    (";männlich;;;;;", 1, "no-subject"),
    ("0013;männlich", 1, "other-number-of-cells"),
]


def test_bad_rows_are_told_by_row_and_column_and_stop_nothing(
    node: Node, tmp_path: Path, pseudonyms: dict[str, str]
) -> None:
    rows = "\n".join(row for row, _, _ in BAD_ROWS)
    report = taken(node, file(tmp_path, f"{HEADER}{rows}\n0014;weiblich;;;;;\n"))
    wanted = [(number, column, fault) for number, (_, column, fault) in enumerate(BAD_ROWS, start=2)]
    assert [(one.row, one.column, one.fault.value) for one in report.problems] == wanted
    assert values(node)[pseudonyms["0014"], "sex"] == "F"


def test_the_last_of_several_rows_counts_and_empty_cells_do_not(
    node: Node, tmp_path: Path, pseudonyms: dict[str, str]
) -> None:
    taken(node, file(tmp_path, HEADER + "0013;männlich;1,0;;;;\n0013;weiblich;;;;;\n"))
    assert set(values(node).values()) == {"F", "0.7-1.2"}


def test_a_withdrawal_takes_the_values_and_keeps_them_out(
    node: Node, tmp_path: Path, pseudonyms: dict[str, str]
) -> None:
    path = file(tmp_path, HEADER + ROWS)
    taken(node, path)
    identity = IdentityStore(node.settings.home / IDENTITY_FILE)
    identity.forget(subject_value(CANARY), clock=node.clock)
    identity.close()
    with writing(node.engine) as session:
        forget_subject(session, [Known(PROJECT, pseudonyms[CANARY])])
    assert pseudonyms[CANARY] not in {subject for subject, _ in values(node)}
    assert taken(node, path).withdrawn == 1
    assert pseudonyms[CANARY] not in {subject for subject, _ in values(node)}


def test_who_has_not_consented_is_not_kept(bare_node: Node, tmp_path: Path) -> None:
    path = file(tmp_path, HEADER + ROWS)
    with pytest.raises(NoLegalBasis):
        taken(bare_node, path, take_in=True)
    record_basis(bare_node, PROJECT, LegalBasis.SCIENTIFIC_RESEARCH, note="a study", by="tests")
    table = f"patient,status,scope,recorded\n{CANARY},refused,*,2026-01-01\n"
    refusals = read_consents(table, Reading(), today=day_of(bare_node.clock.now()))
    import_consents(bare_node, refusals, by="curator")
    report = taken(bare_node, path, take_in=True)
    assert (report.no_consent, report.rows) == (1, 3)
    assert len({subject for subject, _ in values(bare_node)}) == 2


@pytest.mark.parametrize(
    "column", ["Nachname", "Patient Name", "E-Mail", "Telefon privat", "PLZ", "Geburtsdatum"]
)
def test_a_column_that_is_called_identifying_is_refused(tmp_path: Path, column: str) -> None:
    mapping = read_mapping(MAPPING.replace('column = "Geschlecht"', f'column = "{column}"'))
    header = HEADER.replace("Geschlecht", column) if column != "Geburtsdatum" else HEADER
    with pytest.raises(IdentifyingColumn):
        TableRows(file(tmp_path, header), mapping)


def test_the_subject_s_own_column_is_no_variable(tmp_path: Path) -> None:
    mapping = read_mapping(MAPPING.replace('column = "Geschlecht"', 'column = "Fallnummer"'))
    with pytest.raises(IdentifyingColumn):
        TableRows(file(tmp_path, HEADER), mapping)


def test_a_column_that_holds_what_identifies_is_refused_and_nothing_is_kept(
    node: Node, tmp_path: Path, pseudonyms: dict[str, str]
) -> None:
    for text in ("a{}@example.org", "+49 30 12345{:02d}", "19{:02d}-01-01", "free text {}"):
        rows = "".join(f"0013;{text.format(number)};;;;;\n" for number in range(40))
        with pytest.raises(IdentifyingColumn, match="column 2"):
            taken(node, file(tmp_path, HEADER + ROWS + rows))
        assert values(node) == {}


def test_a_variable_belongs_to_one_source(node: Node, tmp_path: Path, pseudonyms: dict[str, str]) -> None:
    path = file(tmp_path, HEADER + ROWS)
    taken(node, path)
    with pytest.raises(VariableOfAnother):
        taken(node, path, read_mapping(MAPPING.replace('"registry"', '"other"')))


def test_a_variable_that_a_mapping_drops_goes(node: Node, tmp_path: Path, pseudonyms: dict[str, str]) -> None:
    path = file(tmp_path, HEADER + ROWS)
    taken(node, path)
    taken(node, path, read_mapping(MAPPING.partition("[variables.diabetes]")[0]))
    with reading(node.engine) as session:
        assert "diabetes" not in {row.name for row in store.definitions(session, PROJECT)}
    assert "diabetes" not in {variable for _, variable in values(node)}


def test_no_identifier_is_kept_told_or_printed(
    node: Node, tmp_path: Path, pseudonyms: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    row = f"{CANARY};Fehler {CANARY};{CANARY};{CANARY};{CANARY};{CANARY};{CANARY}\n"
    rows = TableRows(file(tmp_path, HEADER + row), read_mapping(MAPPING))
    assert CANARY not in repr(next(iter(rows.rows())).subject)
    report = taken(node, file(tmp_path, HEADER + row + ROWS))
    with reading(node.engine) as session:
        runs = [run.counts for run in session.scalars(select(RunRow))]
    assert CANARY not in repr((report, runs, values(node))) + caplog.text
    for path in node.settings.home.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path.name


def test_a_record_lists_the_variables_of_its_own_subjects_and_withholds_few(
    node: Node, tmp_path: Path, pseudonyms: dict[str, str]
) -> None:
    taken(node, file(tmp_path, HEADER + ROWS + "0014;weiblich;;;;;\n"))
    text = Description(title="Chest", description="CT.", collection_kind=CollectionKind.CLINICAL)
    define_dataset(node, "thorax-ct", project=PROJECT, description=text)
    with writing(node.engine) as session:
        session.add_all(
            series(node, number, pseudonyms[name]) for number, name in enumerate(("0013", "0014"))
        )
    made = preview(node, "thorax-ct")
    assert {one.name: one.subjects.value for one in made.exact.variables} == {
        "sex": 2,
        "creatinine": 1,
        "diagnosis-year": 1,
        "diagnosis-age": 1,
        "diabetes": 1,
    }
    assert {one.name for one in made.record.variables if one.subjects.value is not None} == {"sex"}
    assert [value.code for value in made.record.variables[1].values] == ["<0.7", "0.7-1.2", "1.2-5", ">=5"]


def series(node: Node, number: int, subject: str) -> SeriesRow:
    texts = {
        column.name: "unknown" for column in SeriesRow.__table__.columns if column.type.python_type is str
    }
    known = {
        "project": PROJECT,
        "series_uid": f"2.25.{number}",
        "subject": subject,
        "state": LIVE,
        "run": "r",
    }
    unknown = {aspect.value: {"assessed": False, "at": "-"} for aspect in Aspect}
    nothing = {"held": None, "gone": None, "body_part_known": None}
    return SeriesRow(
        **(texts | known | nothing),
        instances=1,
        frames=1,
        annotations={},
        quality=unknown,
        seen=node.clock.now(),
    )


RULES = read_mapping(TEMPLATE).variables
CELLS = st.one_of(
    st.text("0123456789<>.,-+eE/ janeinNAT:²٣ß", max_size=12),
    st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 2999)).map(
        lambda d: f"{d[0]:02d}.{d[1]:02d}.{d[2]:04d}"
    ),
    st.integers(-(10**12), 10**12).map(str),
    st.dates().map(str),
    st.sampled_from(["ja", "NEIN", "<0,7", ">5", "Infinity", "NaN", "1e400"]),
)


@given(name=st.sampled_from(sorted(RULES)), cell=CELLS, reference=CELLS, typed=st.booleans())
def test_whatever_stands_in_a_cell_only_a_value_of_the_mapping_comes_of_it(
    name: str, cell: str, reference: str, typed: bool
) -> None:
    rule = RULES[name]
    try:
        value = value_of(rule, cell, reference=reference, typed=typed)
    except CellFault as fault:
        assert str(fault) in list(Fault)
        return
    if rule.kind is VariableKind.YEAR:
        assert re.fullmatch(r"(18|19|20)\d\d|[2-9]\d{3}", value)
    elif rule.kind is VariableKind.AGE_BAND:
        assert re.fullmatch(r"\d{1,2}-\d{1,2}|90\+", value)
    else:
        assert value in [one.code for one in rule.variable(name).values]


def test_the_command_tells_problems_by_row_and_column(
    node: Node, tmp_path: Path, pseudonyms: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.toml").write_text(MAPPING, encoding="utf-8")
    path = file(tmp_path, f"{HEADER}0013;{CANARY};;;;;\n" + ROWS)
    words = ["import", PROJECT, str(path), "--mapping", str(tmp_path / "m.toml"), "--format", "json"]
    context = {"home": str(node.settings.home)}
    for dry in ([], ["--dry-run"]):
        with pytest.raises(SystemExit) as ended:
            typer.main.get_command(variable_commands.app)([*words, *dry], obj=context)
        assert ended.value.code == 1
        shown = capsys.readouterr()
        said = json.loads(shown.out)
        assert (said["rows"], said["unknown"], said["left_out"]) == (4, 1, {"value-not-in-the-mapping": 1})
        assert "row 2, column 2: value-not-in-the-mapping" in shown.err
        assert CANARY not in shown.out + shown.err
    typer.main.get_command(variable_commands.app)(
        ["list", PROJECT, "--format", "json"], obj=context, standalone_mode=False
    )
    assert [row["subjects"] for row in json.loads(capsys.readouterr().out)] == [2, 2, 2, 2, 2]


# -- Excel -----------------------------------------------------------------------------------------------------------


def book(tmp_path: Path, *rows: tuple[object, ...]) -> tuple[openpyxl.Workbook, Path]:
    made = openpyxl.Workbook()
    sheet = made.active
    assert sheet is not None
    sheet.append(["Fallnummer", "Geschlecht", "Krea", "Erstdiagnose", "Geburtsdatum", "Diabetes"])
    for row in rows:
        sheet.append(row)
    return made, tmp_path / "table.xlsx"


def test_excel_is_read_as_it_is_typed(node: Node, tmp_path: Path, pseudonyms: dict[str, str]) -> None:
    made, path = book(
        tmp_path, (CANARY, "weiblich", 1.25, datetime.date(2015, 3, 1), datetime.date(1950, 3, 1), "ja")
    )
    made.save(path)
    report = taken(node, path)
    assert report.left_out == {}
    assert sorted(values(node).values()) == ["1.2-5", "2015", "65-69", "F", "yes"]


def test_numbers_that_may_have_lost_zeros_are_refused_unless_their_width_is_known(
    node: Node, tmp_path: Path, pseudonyms: dict[str, str]
) -> None:
    made, path = book(tmp_path, (13, "weiblich", None, None, None, None))
    made.save(path)
    report = taken(node, path)
    assert [one.fault.value for one in report.problems] == ["number-where-an-id-is-expected"]
    wide = MAPPING.replace('column = "Fallnummer"', 'column = "Fallnummer"\nwidth = 4')
    assert taken(node, path, read_mapping(wide)).subjects == 1


def test_a_date_that_excel_keeps_as_a_number_is_told(
    node: Node, tmp_path: Path, pseudonyms: dict[str, str]
) -> None:
    made, path = book(tmp_path, ("0013", "weiblich", None, 43101, None, None))
    made.save(path)
    assert [one.fault.value for one in taken(node, path).problems] == ["number-where-a-date-is-expected"]


def test_an_error_of_the_spreadsheet_is_told(node: Node, tmp_path: Path, pseudonyms: dict[str, str]) -> None:
    made, path = book(
        tmp_path, ("0013", "#N/A", None, None, None, None), ("#REF!", None, None, None, None, None)
    )
    made.save(path)
    found = [(one.row, one.column, one.fault.value) for one in taken(node, path).problems]
    assert found == [(2, 2, "error-of-the-spreadsheet"), (3, 1, "error-of-the-spreadsheet")]


def test_merged_cells_and_several_sheets_are_refused(tmp_path: Path) -> None:
    made, path = book(tmp_path, ("0013", "weiblich", None, None, None, None))
    made.create_sheet("Zweites")
    made.save(path)
    with pytest.raises(BadTable, match="2 sheets"):
        TableRows(path, read_mapping(MAPPING))
    made.worksheets[0].merge_cells("A2:A3")
    made.save(path)
    named = read_mapping(MAPPING.replace("[subject]", '[table]\nsheet = "Sheet"\n[subject]'))
    with pytest.raises(BadTable, match="row 2, column 1"):
        TableRows(path, named)


# -- files and mappings that cannot be used --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"Fallnummer;Geschlecht\n1;m\x81nnlich\n", "cp1252"),
        (b"\x00\x01\x02", "no table"),
        (b'Fallnummer;Geschlecht\n1;"offen\n', "row 2"),
        (b"Fallnummer;;Krea\n", "column 2"),
        (b"Krea;krea\n", "columns 1 and 2"),
        (b"", "no name"),
    ],
)
def test_a_file_that_is_no_table_is_told_clearly(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    mapping = read_mapping(MAPPING.partition("[variables.creatinine]")[0])
    with pytest.raises(BadTable, match=words):
        list(TableRows(path, mapping).rows())


def test_the_template_is_a_mapping() -> None:
    assert read_mapping(TEMPLATE).variables["creatinine"].unit == "mg/dL"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LOINC:2160-0", "LOINC:2160-1"),
        ("LOINC:2160-0", "creatinine"),
        ('unit = "mg/dL"', 'unit = "Milligramm pro dl"'),
        ('unit = "mg/dL"', ""),
        ("[0.7, 1.2, 5]", "[1.2, 0.7]"),
        ("bands = [0.7, 1.2, 5]", ""),
        ('kind = "year"', 'kind = "date"'),
        ('reference = "Erstdiagnose"', ""),
        ('"ja" = "yes"', '"ja" = "maybe"'),
        ('"männlich" = "M"', '"männlich" = "Jane Doe"'),
        ("[variables.sex]", "[variables.Sex]"),
        ("[subject]", "colour = 1\n[subject]"),
        ("[subject]", "[[["),
    ],
)
def test_a_mapping_that_cannot_be_right_is_refused(old: str, new: str) -> None:
    assert old in MAPPING
    with pytest.raises(BadMapping):
        read_mapping(MAPPING.replace(old, new))


def test_a_column_that_is_not_there_is_named_by_its_variable(tmp_path: Path) -> None:
    with pytest.raises(BadMapping, match="creatinine"):
        TableRows(file(tmp_path, HEADER.replace("Krea", "Kreatinin")), read_mapping(MAPPING))
