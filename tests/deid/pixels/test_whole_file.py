"""A compressed file with burned-in text, from bytes to bytes."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pydicom
from pydicom.uid import RLELossless
from tests.deid.conftest import as_file
from tests.deid.pixels.pictures import black, image_file, planted

from fairbank.deid.cleaning import Cleaned, Held, Order, clean_file
from fairbank.deid.decisions import DecisionTable, Verdict
from fairbank.deid.facts import Recorder
from fairbank.deid.identity import IdentityStore
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason


def test_a_released_file_comes_out_blanked_and_truthfully_marked(
    identity: IdentityStore, recorder: Recorder
) -> None:
    picture, _ = planted(black(256), 16, 255, texts=("QUARZFELD OTTILIE", "12.03.1961"))
    plain = image_file(picture[None])
    plain.compress(RLELossless, generate_instance_uid=False)
    content = as_file(plain, RLELossless)
    order = Order("demo", Method())
    held = clean_file(content, order, identity=identity, recorder=recorder)
    assert isinstance(held, Held)
    assert held.reason is Reason.PIXELS_REVIEW
    decided = DecisionTable({str(held.group): Verdict.RELEASE})
    done = clean_file(content, order, identity=identity, recorder=recorder, decisions=decided)
    assert isinstance(done, Cleaned)
    written = pydicom.dcmread(BytesIO(done.content))
    assert written.file_meta.TransferSyntaxUID == RLELossless
    assert np.count_nonzero(written.pixel_array) == 0
    assert written.BurnedInAnnotation == "NO"
    assert "113101" in [item.CodeValue for item in written.DeidentificationMethodCodeSequence]
    assert written.DerivationCodeSequence[0].CodeValue == "113047"
