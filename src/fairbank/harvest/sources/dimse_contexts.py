"""Which presentation contexts an association offers when images are fetched: at most 128, and one syntax each.

A context that offers several transfer syntaxes gets one of them for all images of its class; an image that lies in
another would have to be converted, which many archives cannot. So each context offers a single one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)
from pynetdicom import (
    ALL_TRANSFER_SYNTAXES,
    AllStoragePresentationContexts,
    StoragePresentationContexts,
    build_context,
)
from pynetdicom.presentation import PresentationContext

# Context ids are the odd numbers up to 255 (DICOM PS3.8, section 9.3.2.2); one is for the request itself.
MOST_CONTEXTS: Final = 127
_UNCOMPRESSED: Final = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
_LIKELY: Final = (JPEGLosslessSV1, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless)
_REST: Final = tuple(
    syntax
    for syntax in (*map(UID, ALL_TRANSFER_SYNTAXES), DeflatedExplicitVRLittleEndian)
    if syntax not in _UNCOMPRESSED + _LIKELY
)
SYNTAXES: Final[tuple[str, ...]] = tuple(dict.fromkeys((*_UNCOMPRESSED, *_LIKELY, *_REST)))

Offer = list[PresentationContext]


def offers_for(classes: Sequence[str]) -> Iterator[Offer]:
    """Yield what to offer for images of known classes: each class in each transfer syntax."""
    yield from _in_parts([build_context(of, syntax) for syntax in SYNTAXES for of in dict.fromkeys(classes)])


def offers_one_by_one(accepted: Iterable[tuple[str, str]]) -> Iterator[Offer]:
    """Yield the compressed syntaxes alone that an archive has accepted, each pair a class and a syntax.

    Some archives take the first context of a class whatever syntax the image has, and fail where they cannot convert.
    """
    by_syntax: dict[str, list[str]] = {}
    for of, syntax in sorted(accepted):
        by_syntax.setdefault(syntax, []).append(of)
    for syntax in SYNTAXES:
        if syntax in by_syntax and syntax not in _UNCOMPRESSED:
            yield from _in_parts([build_context(of, syntax) for of in by_syntax[syntax]])


def offers_for_any() -> Iterator[Offer]:
    """Yield what to offer where an archive does not say which classes it will send: all that the standard has."""
    yield from _in_parts([build_context(of, [*_UNCOMPRESSED, *_LIKELY]) for of in storage_classes()])


def storage_classes() -> list[str]:
    """Return the storage SOP classes of the standard, images first and non-patient objects last."""
    contexts = [*StoragePresentationContexts, *AllStoragePresentationContexts]
    return list(dict.fromkeys(str(context.abstract_syntax) for context in contexts))


def _in_parts(contexts: Sequence[PresentationContext]) -> Iterator[Offer]:
    for start in range(0, len(contexts), MOST_CONTEXTS):
        yield list(contexts[start : start + MOST_CONTEXTS])
