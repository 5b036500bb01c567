"""The tool `statistics`: one row of columns per series, which stays at the site; sums over subjects leave instead.

Columns come of the headers, of what the site knows beside them, and, where the question asks for it, of another tool
that measures each series. The sums are made by `fairbank.analysis.statistics` in the node's own process, outside the
sandbox: no code of a job says how many subjects there are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, ValidationError, field_validator, model_validator

from fairbank.analysis.acquisition import acquisition_of
from fairbank.analysis.contract import (
    FRAME_REASONS,
    Column,
    ColumnType,
    Contract,
    Row,
    RowStatus,
    Value,
    identity_columns,
    number_column,
)
from fairbank.analysis.dicom_frames import functional_value, read_headers
from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.image_quality import TOOL as IMAGE_QUALITY
from fairbank.analysis.intensity_geometry import TOOL as INTENSITY_GEOMETRY
from fairbank.analysis.lung_densitometry import TOOL as LUNG_DENSITOMETRY
from fairbank.analysis.staged import StagedSeries
from fairbank.analysis.statistics.question import Question
from fairbank.analysis.tool import Desk, Tool, ToolParameters, tool_named
from fairbank.deid.facts import Contrast, KernelClass, RespiratoryPhase, age_band
from fairbank.ontology.attributes import AGE_BANDS
from fairbank.ontology.sex_and_side import Sex, sex
from fairbank.ontology.vocabulary import (
    MANUFACTURERS,
    MODALITIES,
    OTHER_MANUFACTURER,
    normalise_manufacturer,
)

SUBJECT = "subject"
# A clinical variable of the site's own mapping; which ones there are, each site's record says.
CLINICAL = "clinical_"
# Words that say that nothing is known: such a subject has no value.
UNKNOWN = frozenset({"unknown"})
_BANDS = tuple(word for word in AGE_BANDS if word not in UNKNOWN)


class StatisticsParameters(Question, ToolParameters):
    """Parameters of `statistics`: the question, and what is measured before it is asked.

    Names that begin with `clinical_` are clinical variables of the sites' datasets, with `_` for `-`.

    Args:
        measure: the tool that measures each series; its columns of numbers and words can be named then.
        measure_with: parameters of that tool.
    """

    measure: Literal["none", "image-quality", "intensity-geometry", "lung-densitometry"] = "none"
    measure_with: Annotated[dict[str, JsonValue], Field(max_length=20)] = {}

    @field_validator("measure_with", mode="before")
    @classmethod
    def _options(cls, given: object) -> object:
        """Take options that are given as one text of JSON."""
        return json.loads(given) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _columns_are_there(self) -> Self:
        columns = {column.name: column for column in columns_of(self)}
        for name in self.columns:
            column, _, word = name.partition("=")
            if column.startswith(CLINICAL):
                continue
            kind = ColumnType.WORD if word else ColumnType.NUMBER
            if column not in columns or not _is(columns[column], kind):
                raise ValueError(
                    f"there is no {kind.value} column {column!r}; there are {_names(columns, kind)}"
                )
            if word and word not in columns[column].words:
                raise ValueError(
                    f"{column!r} has no word {word!r}; it has {', '.join(columns[column].words)}"
                )
        for name in self.groups:
            if name.startswith(CLINICAL):
                continue
            if name not in columns or not _is(columns[name], ColumnType.WORD):
                raise ValueError(
                    f"there is no word column {name!r}; there are {_names(columns, ColumnType.WORD)}"
                )
        return self


@dataclass(frozen=True, slots=True)
class Statistics:
    """Gathers the columns of one series."""

    name: str = "statistics"
    version: str = "1.0.0"
    modules: tuple[str, ...] = (
        "fairbank.analysis.statistics_tool",
        "fairbank.analysis.statistics.counted",
        "fairbank.analysis.statistics.grouped",
        "fairbank.analysis.statistics.hub_part",
        "fairbank.analysis.statistics.iterated",
        "fairbank.analysis.statistics.moments",
        "fairbank.analysis.statistics.question",
        "fairbank.analysis.statistics.site_part",
        "fairbank.analysis.statistics.site_rows",
        "fairbank.analysis.statistics.site_table",
        "fairbank.analysis.statistics.sums",
        "fairbank.analysis.statistics.survived",
        "fairbank.analysis.statistics.tails",
        *dict.fromkeys(
            (
                "fairbank.analysis.acquisition",
                *IMAGE_QUALITY.modules,
                *INTENSITY_GEOMETRY.modules,
                *LUNG_DENSITOMETRY.modules,
            )
        ),
    )
    parameters: type[ToolParameters] = StatisticsParameters
    reasons: tuple[str, ...] = FRAME_REASONS

    def contract(self, parameters: StatisticsParameters) -> Contract:
        """Return the columns of the rows, which stay at the site."""
        source = _source(parameters)
        reasons = tuple(dict.fromkeys((*FRAME_REASONS, *(source.reasons if source else ()))))
        subject = Column(SUBJECT, ColumnType.ROW_ID, None, "Pseudonym of the subject, of this job only.")
        return Contract((*identity_columns(reasons), subject, *columns_of(parameters)))

    def measure(self, item: StagedSeries, parameters: StatisticsParameters, desk: Desk) -> Sequence[Row]:
        """Return the row of a series; where it cannot be measured, what is known of it stays."""
        row: dict[str, Value] = {
            "row": item.unit,
            SUBJECT: item.subject,
            "status": RowStatus.OK.value,
            **_known(item),
        }
        source = _source(parameters)
        if source is None:
            return [row]
        own = {column.name for column in columns_of(parameters)}
        try:
            measured = source.measure(item, _checked(source, parameters.measure_with), desk)
        except ItemImpossible as fault:
            return [row | {"status": RowStatus.IMPOSSIBLE.value, "reason": fault.reason}]
        first = {name: value for name, value in measured[0].items() if name in own and name not in row}
        return [row | first | {"status": measured[0]["status"], "reason": measured[0].get("reason")}]


def columns_of(parameters: StatisticsParameters) -> tuple[Column, ...]:
    """Return the columns that a question may name: what is known of every series, and what is measured."""
    source = _source(parameters)
    if source is None:
        return _ALWAYS
    measured = source.contract(_checked(source, parameters.measure_with)).columns
    taken = {column.name for column in _ALWAYS} | {"row", "status", "reason", SUBJECT}
    return (*_ALWAYS, *(column for column in measured if column.name not in taken))


def _source(parameters: StatisticsParameters) -> Tool | None:
    return None if parameters.measure == "none" else tool_named(parameters.measure)


def _checked(source: Tool, values: dict[str, JsonValue]) -> ToolParameters:
    try:
        return source.parameters.model_validate_json(json.dumps(values))
    except ValidationError as err:
        places = ", ".join(".".join(map(str, fault["loc"])) for fault in err.errors())
        raise ValueError(f"measure_with does not fit {source.name}: {places}") from err


def _known(item: StagedSeries) -> dict[str, Value]:
    """Return what headers and site say of a series, as words of the columns; nothing where they say nothing."""
    header = read_headers(item.files)[0]
    dataset = header.dataset
    made = acquisition_of(item, header)
    modality = str(dataset.get("Modality") or "").upper()
    thickness = functional_value(dataset, 0, "PixelMeasuresSequence", "SliceThickness")
    found: dict[str, Value] = {
        "modality": modality if modality in MODALITIES else None,
        "manufacturer": normalise_manufacturer(str(dataset.get("Manufacturer") or "")),
        "kernel": made.kernel.value,
        "contrast": made.contrast.value,
        "phase": made.phase.value,
        "sex": sex(str(dataset.get("PatientSex") or "")).value,
        "age_band": _age(str(dataset.get("PatientAge") or "")),
        "slice_thickness_mm": _number(thickness),
    }
    words = {column.name: column.words for column in _ALWAYS if column.type is ColumnType.WORD}
    return {
        name: None if name in words and value not in words[name] else value for name, value in found.items()
    }


def _age(text: str) -> str | None:
    """Return the band of an age as DICOM writes it (PS3.5, section 6.2, AS), None if it is none.

    >>> _age("062Y"), _age("018M"), _age("")
    ('60-64', '0-4', None)
    """
    per_year = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}
    if len(text) != 4 or not text[:3].isdigit() or text[3] not in per_year:
        return None
    return age_band(int(text[:3]) / per_year[text[3]])


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _is(column: Column, kind: ColumnType) -> bool:
    return column.type is kind or (kind is ColumnType.NUMBER and column.type is ColumnType.INTEGER)


def _names(columns: dict[str, Column], kind: ColumnType) -> str:
    return ", ".join(name for name, column in columns.items() if _is(column, kind)) or "none"


def _word(name: str, words: tuple[str, ...], meaning: str) -> Column:
    return Column(name, ColumnType.WORD, None, meaning, tuple(word for word in words if word not in UNKNOWN))


_ALWAYS = (
    _word("sex", tuple(Sex), "Sex of the subject, as DICOM says it."),
    _word("age_band", _BANDS, "Age at the study, in bands of five years."),
    _word("modality", tuple(MODALITIES), "DICOM modality."),
    _word("manufacturer", (*MANUFACTURERS, OTHER_MANUFACTURER), "Who made the scanner."),
    _word("kernel", tuple(KernelClass), "Class of the reconstruction kernel."),
    _word("contrast", tuple(Contrast), "Whether there was a contrast agent."),
    _word("phase", tuple(RespiratoryPhase), "Phase of breathing."),
    number_column("slice_thickness_mm", "mm", "Thickness of the slices."),
)

TOOL = Statistics()
