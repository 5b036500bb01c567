"""Presentation states: geometry stays, text is cleaned, layers lose their names, planes go."""

from __future__ import annotations

from io import BytesIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests.deid.conftest import as_file, ct_dataset

from fairbank.deid.cleaning import Cleaned, Held, Order, clean_file
from fairbank.deid.facts import Recorder
from fairbank.deid.identity import IdentityStore
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason
from fairbank.deid.profiles import Profile
from fairbank.deid.rules import Option

GRAYSCALE_STATE = "1.2.840.10008.5.1.4.1.1.11.1"


def cleaned(source: Dataset, identity: IdentityStore, recorder: Recorder, *options: Option) -> Cleaned | Held:
    order = Order("lung", Method(Profile.RESEARCH, frozenset(options)))
    return clean_file(as_file(source), order, identity=identity, recorder=recorder)


def presentation_state() -> Dataset:
    dataset = ct_dataset()
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        del dataset[keyword]
    for keyword in ("PixelData", "SamplesPerPixel", "PhotometricInterpretation"):
        del dataset[keyword]
    dataset.SOPClassUID, dataset.Modality = GRAYSCALE_STATE, "PR"
    layer, annotation, text, shape, reference = (Dataset() for _ in range(5))
    layer.GraphicLayer, layer.GraphicLayerOrder = "DR QUIRK", 1
    layer.GraphicLayerDescription = "marks of Quirk on lung"
    dataset.GraphicLayerSequence = Sequence([layer])
    text.UnformattedTextValue = "Lesion seen by Quirk"
    text.AnchorPoint = [10.0, 20.0]
    shape.GraphicType, shape.GraphicData = "POLYLINE", [1.0, 2.0, 3.0, 4.0]
    shape.GraphicAnnotationUnits = "PIXEL"
    reference.ReferencedSOPClassUID = ct_dataset().SOPClassUID
    reference.ReferencedSOPInstanceUID = ct_dataset().SOPInstanceUID
    annotation.GraphicLayer = "DR QUIRK"
    annotation.ReferencedImageSequence = Sequence([reference])
    annotation.TextObjectSequence, annotation.GraphicObjectSequence = Sequence([text]), Sequence([shape])
    dataset.GraphicAnnotationSequence = Sequence([annotation])
    dataset.ContentLabel, dataset.ContentDescription = "QUIRK", "Quirk lung"
    dataset.ContentCreatorName = "Quirk^Zebulon"
    dataset.add_new(0x60000010, "US", 4)
    dataset.add_new(0x60000022, "LO", "Quirk")
    dataset.add_new(0x60003000, "OW", b"QUIRKS")
    dataset.add_new(0x60004000, "LT", "Quirk")
    return dataset


def test_presentation_states_are_held_without_the_option(identity: IdentityStore, recorder: Recorder) -> None:
    result = cleaned(presentation_state(), identity, recorder)
    assert isinstance(result, Held)
    assert result.reason is Reason.UNKNOWN_SOP_CLASS


def test_geometry_stays_and_text_is_cleaned(identity: IdentityStore, recorder: Recorder) -> None:
    result = cleaned(presentation_state(), identity, recorder, Option.CLEAN_GRAPHICS)
    assert isinstance(result, Cleaned)
    assert b"QUIRK" not in result.content.upper()
    dataset = pydicom.dcmread(BytesIO(result.content))
    (annotation,) = dataset.GraphicAnnotationSequence
    assert list(annotation.GraphicObjectSequence[0].GraphicData) == [1.0, 2.0, 3.0, 4.0]
    assert annotation.TextObjectSequence[0].UnformattedTextValue == "Lesion * by *"
    assert list(annotation.TextObjectSequence[0].AnchorPoint) == [10.0, 20.0]
    assert "113103" in [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence]


def test_layers_are_named_alike_wherever_they_are_named(identity: IdentityStore, recorder: Recorder) -> None:
    result = cleaned(presentation_state(), identity, recorder, Option.CLEAN_GRAPHICS)
    assert isinstance(result, Cleaned)
    dataset = pydicom.dcmread(BytesIO(result.content))
    names = [dataset.GraphicLayerSequence[0].GraphicLayer, dataset.GraphicAnnotationSequence[0].GraphicLayer]
    assert names == ["LAYER1", "LAYER1"]


def test_references_of_a_presentation_state_resolve(identity: IdentityStore, recorder: Recorder) -> None:
    state = cleaned(presentation_state(), identity, recorder, Option.CLEAN_GRAPHICS)
    image = cleaned(ct_dataset(), identity, recorder)
    assert isinstance(state, Cleaned)
    assert isinstance(image, Cleaned)
    (annotation,) = pydicom.dcmread(BytesIO(state.content)).GraphicAnnotationSequence
    assert annotation.ReferencedImageSequence[0].ReferencedSOPInstanceUID == image.sop_uid


def test_planes_go_with_the_option_too(identity: IdentityStore, recorder: Recorder) -> None:
    for options in ((), (Option.CLEAN_GRAPHICS,)):
        source = ct_dataset()
        source.add_new(0x60000010, "US", 4)
        source.add_new(0x60003000, "OW", b"QUIRKS")
        source.add_new(0x50003000, "OW", b"QUIRKS")
        result = cleaned(source, identity, recorder, *options)
        assert isinstance(result, Cleaned)
        assert b"QUIRK" not in result.content
