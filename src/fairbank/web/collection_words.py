"""What pages say of collections: names of facets, values and rules of access in the reader's language."""

from __future__ import annotations

from typing import Final

from fairbank.catalogue.criteria import Sort
from fairbank.catalogue.holdings import condition_label
from fairbank.ontology.duo import TERMS
from fairbank.web.languages import Tongue, mark

# The facets that the page of collections has, in its order.
FACETS: Final[dict[str, str]] = {
    "modality": mark("Modality"),
    "body_part": mark("Body part"),
    "condition": mark("Condition"),
    "node": mark("Biobank"),
    "access_rights": mark("Access"),
    "data_use": mark("May be used for"),
    "manufacturer": mark("Manufacturer"),
    "sex": mark("Sex"),
}
# Facets that an address may name as well.
OTHERS: Final[dict[str, str]] = {
    "q": mark("Words"),
    "age_band": mark("Age"),
    "slice_thickness": mark("Slice thickness"),
    "licence": mark("Licence"),
    "collection_kind": mark("Kind of collection"),
    "quality": mark("Quality that was looked at"),
    "model": mark("Model of the scanner"),
    "field_strength": mark("Field strength"),
    "slice_spacing": mark("Slice spacing"),
    "kernel": mark("Kernel"),
    "contrast": mark("Contrast agent"),
    "laterality": mark("Side of the body"),
    "annotation_label": mark("Annotations"),
    "time_points": mark("Time points"),
    "follow_up": mark("Follow-up"),
    "holds": mark("Has"),
}
ACCESS: Final[dict[str, tuple[str, str]]] = {
    "PUBLIC": (mark("Open"), mark("Anyone may use it under its licence; analyses run where the images are.")),
    "RESTRICTED": (mark("Under conditions"), mark("A committee of the biobank decides about each request.")),
    "NON_PUBLIC": (
        mark("Not public"),
        mark("The images stay at the biobank. Its committee decides about each request."),
    ),
}
_NOT_SAID: Final = (mark("Not said"), mark("The biobank has not said who may use it; ask it."))
SEXES: Final[dict[str, str]] = {
    "F": mark("Female"),
    "M": mark("Male"),
    "O": mark("Other"),
    "unknown": mark("Not known"),
}
SORTS: Final[dict[Sort, str]] = {
    Sort.BEST: mark("Best match"),
    Sort.TITLE: mark("Title"),
    Sort.SUBJECTS: mark("Most subjects"),
    Sort.UPDATED: mark("Newest"),
}
MEASURES: Final[dict[str, str]] = {
    "subjects": mark("Subjects"),
    "studies": mark("Studies"),
    "series": mark("Series"),
    "instances": mark("Images"),
}
ACTIVITIES: Final[dict[str, str]] = {
    "acquisition": mark("Acquired"),
    "deidentification": mark("De-identified"),
    "harvest": mark("Harvested"),
}


def facet_word(tongue: Tongue, name: str) -> str:
    """Return what a facet is called."""
    return tongue.say(FACETS.get(name) or OTHERS.get(name) or name)


def access_word(tongue: Tongue, rights: str) -> tuple[str, str]:
    """Return a rule of access in a word and in a sentence."""
    word, sentence = ACCESS.get(rights, _NOT_SAID)
    return tongue.say(word), tongue.say(sentence)


def value_word(tongue: Tongue, facet: str, value: str) -> str:
    """Return what a value of a facet is called; one without a name of its own stands for itself."""
    if facet == "access_rights":
        return access_word(tongue, value)[0]
    if facet == "sex":
        return tongue.say(SEXES[value]) if value in SEXES else value
    if facet == "condition":
        return condition_label(value)
    if facet == "data_use":
        return use_word(value)
    return value


def use_word(code: str) -> str:
    """Return what a code of the Data Use Ontology means, as the ontology says it."""
    return TERMS[code].label if code in TERMS else code
