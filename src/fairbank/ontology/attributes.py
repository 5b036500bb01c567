"""The attributes of a record's distributions: what each is called, what it counts, and which words it may have.

An attribute that is not here may occur in a record of another fairbank; it is shown by its own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fairbank.ontology import annotation_labels, equipment, follow_up
from fairbank.ontology.record import UNKNOWN
from fairbank.ontology.sex_and_side import Side
from fairbank.ontology.vocabulary import THICKNESS_BANDS

LATERALITIES: Final[tuple[str, ...]] = tuple(each.value for each in Side)
CONTRASTS: Final[tuple[str, ...]] = ("yes", "no", UNKNOWN)
KERNELS: Final[tuple[str, ...]] = ("sharp", "soft", UNKNOWN)
ANNOTATION_METHODS: Final[tuple[str, ...]] = ("automatic", "semiautomatic", "manual", UNKNOWN)
ANNOTATION_RATERS: Final[tuple[str, ...]] = ("one", "several", UNKNOWN)
SIGNAL_TO_NOISE: Final = "signal-to-noise"
SIGNAL_TO_NOISE_BANDS: Final[tuple[str, ...]] = ("<10", "10-20", "20-50", "50-100", ">=100", UNKNOWN)
AGE_BANDS: Final = (*(f"{low}-{low + 4}" for low in range(0, 90, 5)), "90+", UNKNOWN)


@dataclass(frozen=True, slots=True)
class Attribute:
    """What is known of one attribute.

    Attributes:
        label: what people read.
        source: the DICOM attributes that it comes from, or how it is worked out.
        words: its values in the order in which they are shown; none where they are an open series, such as years.
        value_labels: what people read for values that need it.
        modalities: whose series are counted; all images if there are none. The rows then tell about these cells only.
        one_per_subject: whether each subject has exactly one value, so that the rows add up to all subjects.
    """

    label: str
    source: str
    words: tuple[str, ...] = ()
    value_labels: Mapping[str, str] = field(default_factory=dict)
    modalities: tuple[str, ...] = ()
    one_per_subject: bool = False


ATTRIBUTES: Final[dict[str, Attribute]] = {
    "sex": Attribute(
        "Sex",
        "(0010,0040), from the fact sheet",
        ("F", "M", "O", UNKNOWN),
        {"F": "female", "M": "male", "O": "other"},
        one_per_subject=True,
    ),
    "age-band": Attribute("Age", "(0010,1010), or birth date and study date, from the fact sheet", AGE_BANDS),
    "acquisition-year": Attribute("Year", "dates of acquisition, from the fact sheet"),
    "model": Attribute(
        "Scanner model",
        "(0008,1090) by the table of the manufacturer (0008,0070)",
        (*equipment.MODEL_NAMES, equipment.OTHER, UNKNOWN),
    ),
    "field-strength": Attribute(
        "Field strength",
        "(0018,0087), MR only",
        equipment.FIELD_STRENGTHS,
        {"<1": "below 1 T", **{word: f"{word} T" for word in ("1", "1.5", "3", "7")}},
        modalities=("MR",),
    ),
    "kernel": Attribute("Kernel", "(0018,1210) by the makers' naming, CT only", KERNELS, modalities=("CT",)),
    "slice-spacing": Attribute(
        "Slice spacing",
        "computed from (0020,0032) and (0020,0037) of all slices",
        THICKNESS_BANDS,
        {word: f"{word} mm" for word in THICKNESS_BANDS if word != UNKNOWN},
    ),
    "contrast": Attribute(
        "Contrast agent",
        "(0018,0010), (0018,0012), from the fact sheet",
        CONTRASTS,
        {"yes": "given", "no": "not given"},
    ),
    SIGNAL_TO_NOISE: Attribute(
        "Signal to noise",
        "measured in the pixels by the tool image-quality, CT and MR only",
        SIGNAL_TO_NOISE_BANDS,
        modalities=("CT", "MR"),
    ),
    "laterality": Attribute("Laterality", "(0020,0060), (0020,0062), (0020,9072)", LATERALITIES),
    "annotation-label": Attribute(
        "Annotated structure",
        "(0062,000F) of segmentations; (3006,0086), (3006,0026), (3006,00A4) of structure sets",
        (*sorted(annotation_labels.LABELS), annotation_labels.OTHER, UNKNOWN),
        {
            "GTV": "gross tumour volume (GTV)",
            "CTV": "clinical target volume (CTV)",
            "PTV": "planning target volume (PTV)",
            "ITV": "internal target volume (ITV)",
        },
        modalities=("SEG", "RTSTRUCT"),
    ),
    "annotation-method": Attribute(
        "Annotation method",
        "(0062,0008) of segmentations, (3006,0036) of structure sets, (006A,0007) of microscopy annotations",
        ANNOTATION_METHODS,
        {"semiautomatic": "partly automatic", "manual": "by hand"},
        modalities=("ANN", "RTSTRUCT", "SEG"),
    ),
    "annotation-raters": Attribute(
        "Raters per series",
        "different observers of the annotations of one series, worked out from (0070,0084), (3006,00A6), (0008,1070) "
        "and the observer context of reports",
        ANNOTATION_RATERS,
        {"several": "two and more"},
        modalities=("ANN", "PR", "RTSTRUCT", "SEG", "SR"),
    ),
    "time-points": Attribute(
        "Time points", "different days of study, (0008,0020)", follow_up.TIME_POINTS, one_per_subject=True
    ),
    "follow-up": Attribute(
        "Follow-up",
        "time between first and last day of study, (0008,0020)",
        follow_up.FOLLOW_UP,
        {
            "<1y": "less than 1 year",
            "1-2y": "1 to 2 years",
            "2-5y": "2 to 5 years",
            ">=5y": "5 years and more",
        },
        one_per_subject=True,
    ),
}  # fmt: skip

# Two rows of different attributes that count the same subjects by what they mean: imaged on one day, no follow-up.
SAME_SUBJECTS: Final[tuple[tuple[tuple[str, str], tuple[str, str]], ...]] = (
    (("time-points", "1"), ("follow-up", follow_up.NO_FOLLOW_UP)),
    (("time-points", UNKNOWN), ("follow-up", UNKNOWN)),
)


def attribute_label(attribute: str) -> str:
    """Return what people read for an attribute; its own name if it is not known.

    >>> attribute_label("field-strength"), attribute_label("tracer")
    ('Field strength', 'tracer')
    """
    known = ATTRIBUTES.get(attribute)
    return known.label if known else attribute


def value_label(attribute: str, value: str) -> str:
    """Return what people read for a value of an attribute.

    >>> value_label("field-strength", "3"), value_label("sex", "F"), value_label("model", "Aquilion")
    ('3 T', 'female', 'Aquilion')
    """
    known = ATTRIBUTES.get(attribute)
    return known.value_labels.get(value, value) if known else value


def signal_to_noise_band(ratio: float | None) -> str:
    """Return the band of a signal to noise ratio, lower edge included.

    >>> signal_to_noise_band(20.0), signal_to_noise_band(240.0), signal_to_noise_band(None)
    ('20-50', '>=100', 'unknown')
    """
    if ratio is None:
        return UNKNOWN
    return SIGNAL_TO_NOISE_BANDS[sum(ratio >= edge for edge in (10, 20, 50, 100))]


def is_word_of(attribute: str, value: str) -> bool:
    """Return whether an attribute may have a value; any, where its values are open or it is not known."""
    known = ATTRIBUTES.get(attribute)
    return known is None or not known.words or value in known.words
