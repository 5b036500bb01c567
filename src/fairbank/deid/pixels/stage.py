"""What is done with the pixels of one file before it is cleaned: left alone, blanked, or held.

Which files are looked at is decided by tags (`kinds.py`); whatever looks is imported only then.
"""

from __future__ import annotations

import subprocess
from dataclasses import replace

from pydicom.dataset import Dataset

from fairbank.deid.decisions import Decisions, Verdict
from fairbank.deid.elements import words_of
from fairbank.deid.errors import TextToolsMissing
from fairbank.deid.groups import group_of
from fairbank.deid.identifiers import Identifiers
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason, Refused
from fairbank.deid.pixels.kinds import Look, carries_text, look_at
from fairbank.deid.pixels.work import UNTOUCHED, Box, PixelWork

_BURNED_IN = 0x00280301
PERSON = "person"


def treat(dataset: Dataset, *, method: Method, decisions: Decisions, identifiers: Identifiers) -> PixelWork:
    """Clean the pixels of a dataset in place as far as they need it; return what was done.

    Text that is located is blanked. The file goes without a person having looked only if a rule or region of its own
    device told where text is, nothing was found elsewhere, and a second look finds nothing. Otherwise a curator decides
    of its group, or of the very file, and may name areas to blank in it; what Tesseract reads after blanking must not
    be the subject's own name or number whatever was decided.

    Args:
        dataset: as it came in, not cleaned yet.
        method: how the collection is de-identified.
        decisions: what a curator has decided of groups of files.
        identifiers: the subject's own, for text that is recognised.

    Raises:
        Refused: if the file has to be held, such as until a person has looked at it.
    """
    look, areas = look_at(dataset, method), _areas(decisions)
    if areas:
        look = Look.FULL
    if look is Look.NOT:
        return UNTOUCHED
    try:
        return _looked_at(dataset, look, method, decisions, identifiers, areas)
    except (TextToolsMissing, ImportError, subprocess.SubprocessError) as err:
        # A spot check of a file that says nothing of text is left out; a file that must be looked at is held.
        if look is Look.SAMPLE:
            return UNTOUCHED
        raise Refused(Reason.TEXT_TOOLS_MISSING) from err


def _looked_at(
    dataset: Dataset,
    look: Look,
    method: Method,
    decisions: Decisions,
    identifiers: Identifiers,
    areas: tuple[Box, ...],
) -> PixelWork:
    from fairbank.deid.pixels.blanking import blank, put_back, reads_identifier  # numpy, scipy
    from fairbank.deid.pixels.frames import frames_of
    from fairbank.deid.pixels.known_places import known_places

    frames = frames_of(dataset)
    site_rules = () if method.recipe is None else method.recipe.pixel_rules
    known = known_places(dataset, frames.form.rows, frames.form.columns, site_rules)
    if areas:
        known = replace(known, boxes=(*known.boxes, *areas), found_by=(*known.found_by, PERSON))
    review = group_of(dataset, Reason.PIXELS_REVIEW)
    undecided = not areas and decisions.of(review) is not Verdict.RELEASE
    done = blank(frames, known, light=look is not Look.FULL, tell_only=undecided)
    if undecided and done.found_more:
        # Blanking all of it would change nothing as long as nobody has decided.
        raise Refused(Reason.PIXELS_REVIEW, group=review)
    if not done.is_clear:
        raise Refused(Reason.TEXT_REMAINS, group=group_of(dataset, Reason.TEXT_REMAINS))
    if reads_identifier(done.words, identifiers):
        raise Refused(Reason.IDENTIFIER_IN_PIXELS)
    if areas and decisions.one is not None:
        # The person has seen this very file, and what is blanked in it.
        put_back(frames, dataset)
        return PixelWork(done.boxes, done.found_by, decisions.one.group, cleaned=True, burned_in="NO")
    proven = known.is_evidence and not done.found_more
    reason = None if proven else _doubt(dataset, method, blanked=bool(done.boxes))
    group = None if reason is None else _released(dataset, reason, decisions)
    if not done.boxes:
        return UNTOUCHED if reason is None else PixelWork(group=group, burned_in=_as_decided(dataset))
    put_back(frames, dataset)
    return PixelWork(done.boxes, done.found_by, group, cleaned=True, burned_in="NO")


def _areas(decisions: Decisions) -> tuple[Box, ...]:
    """Return what a person wants to have blanked in this very file, if it may go so."""
    one = decisions.one
    return one.areas if one is not None and one.verdict is Verdict.RELEASE else ()


def _doubt(dataset: Dataset, method: Method, *, blanked: bool) -> Reason | None:
    """Return why a person has to look."""
    if blanked:
        return Reason.PIXELS_REVIEW
    if words_of(dataset, _BURNED_IN) == "YES":
        return Reason.BURNED_IN
    stated = words_of(dataset, _BURNED_IN) == "NO"
    return Reason.PIXELS_UNVERIFIED if not stated and carries_text(dataset, method.trust) else None


def _released(dataset: Dataset, reason: Reason, decisions: Decisions) -> str:
    """Return the file's group if a person has let it go.

    Raises:
        Refused: if nobody has.
    """
    group = group_of(dataset, reason)
    if decisions.of(group) is not Verdict.RELEASE:
        raise Refused(reason, group=group)
    return group


def _as_decided(dataset: Dataset) -> str | None:
    """Return NO where a person has overruled a YES; what was not said stays unsaid."""
    return "NO" if words_of(dataset, _BURNED_IN) == "YES" else None
