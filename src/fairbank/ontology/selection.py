"""The selection that an analysis starts from, and what a selector says in words."""

from __future__ import annotations

from typing import Any, Final

from fairbank.ontology.signed_objects import Pick, Selector, Unit

# One series per study: contiguous and thin, of a soft kernel, and not known to be with a contrast agent. Most archives
# do not say that no agent was given; where one says so, the pick rule prefers that series.
_DEFAULT: Final[dict[str, Any]] = {
    "unit": Unit.STUDY,
    "pick": Pick.THINNEST_CONTIGUOUS,
    "kernel": ("soft",),
    "contrast": ("no", "unknown"),
}
DEFAULT_FOR_ANALYSIS: Final = Selector(**_DEFAULT)
_OF_LISTS: Final = ("modality", "body_part", "manufacturer", "kernel", "contrast", "sex", "age_band")


def default_within(granted: Selector) -> Selector:
    """Return the default selection of an analysis within what was granted.

    What the grant says of kernel or contrast stands. Where it picks series, it is taken as it is: every other selection
    could take a series that it does not.

    >>> default_within(Selector(modality=("CT",), contrast=("yes",))).contrast
    ('yes',)
    """
    if granted.pick is not Pick.ALL:
        return granted
    changes = {name: value for name, value in _DEFAULT.items() if not getattr(granted, name)} | {
        "unit": Unit.STUDY,
        "pick": Pick.THINNEST_CONTIGUOUS,
    }
    return granted.model_copy(update=changes)


def in_words(selector: Selector) -> str:
    """Return what a selector takes, as a person reads it.

    >>> in_words(Selector(modality=("CT", "MR"), slice_thickness_max_mm="1.5"))
    'every series; modality CT or MR; slices up to 1.5 mm'
    >>> in_words(DEFAULT_FOR_ANALYSIS)
    'one series per study: the thinnest contiguous; kernel soft; contrast no or unknown'
    """
    parts = [_what(selector)]
    for name in _OF_LISTS:
        if words := getattr(selector, name):
            parts.append(f"{name.replace('_', ' ')} {' or '.join(words)}")
    if selector.minimum_instances > 1:
        parts.append(f"at least {selector.minimum_instances} instances")
    bounds = (
        ("slices", selector.slice_thickness_min_mm, selector.slice_thickness_max_mm, " mm"),
        ("acquired", selector.acquired_from, selector.acquired_to, ""),
    )
    for what, least, most, unit in bounds:
        said = [f"from {least}{unit}"] if least is not None else []
        said += [f"up to {most}{unit}"] if most is not None else []
        parts += [f"{what} {' '.join(said)}"] if said else []
    return "; ".join(parts)


def _what(selector: Selector) -> str:
    if selector.pick is Pick.ALL:
        return "every series"
    which = "the thinnest contiguous" if selector.pick is Pick.THINNEST_CONTIGUOUS else "the largest"
    each = "" if selector.unit is Unit.SERIES else f"one series per {selector.unit.value}: "
    return f"{each}{which}"
