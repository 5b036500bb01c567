"""Values in places that nearly everybody leaks: beside the table, in texts, private look-alikes, reports, graphics."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests.deid.corpus.drawing import overlay_bits
from tests.deid.corpus.images import IMAGES, as_file, code, dataset_of
from tests.deid.corpus.people import Patient, identity_key, patient
from tests.deid.corpus.planted import CorpusFile, Expect, Planted
from tests.deid.corpus.values import Values

from fairbank.deid.elements import made

_GONE = (Expect.REMOVE, Expect.REMOVE)
# What people and devices write around an identifier; the first part must stay under Clean Descriptors, NAME, DATE and
# NUMBER must go. Words to keep are those of anybody's list of clinical words.
_TEXTS = (
    ("CHEST ROUTINE Dr. {name} {date} 3mm", ("CHEST", "ROUTINE", "3mm")),
    ("CT ABDOMEN PELVIS WITH CONTRAST {name}", ("CT", "ABDOMEN", "PELVIS", "CONTRAST")),
    ("AX T2 FLAIR {number} BRAIN", ("AX", "T2", "FLAIR", "BRAIN")),
    ("Thorax nativ, Pat. {name}, geb. {date}", ("Thorax", "nativ")),
    ("MRI LUMBAR SPINE for {name} ({number})", ("MRI", "LUMBAR", "SPINE")),
    ("SAG T1 post contrast tel {number}", ("SAG", "T1", "contrast")),
    ("{name} LIVER 5mm arterial phase", ("LIVER", "5mm", "arterial", "phase")),
    ("KNEE LEFT {name}^{other}", ("KNEE", "LEFT")),
    ("CHEST/ABDOMEN_{name}_{date}", ("CHEST", "ABDOMEN")),
    ("HEAD{name}NECK", ()),
    ("Ref {name}@hospital-{other}.example HEAD axial", ("HEAD", "axial")),
    ("b1000 DWI {name} ADC", ("b1000", "DWI", "ADC")),
)
_TEXT_PLACES = (
    (0x00081030, "LO"), (0x0008103E, "LO"), (0x00181030, "LO"), (0x00204000, "LT"), (0x00324000, "LT"),
    (0x00321060, "LO"), (0x00400254, "LO"), (0x00400280, "ST"), (0x001021B0, "LT"), (0x00104000, "LT"),
    (0x00081080, "LO"), (0x00180010, "LO"), (0x00185100, "CS"), (0x00189424, "LT"), (0x00082111, "ST"),
    (0x00284000, "LT"), (0x00400007, "LO"), (0x00380500, "LO"),
)  # fmt: skip
_DESCRIPTORS = (0x00081030, 0x0008103E, 0x00181030)
# (tag, VR, value with {cs} for a coded word, {sh} for a short text, {name} and {number}).
_LEAKY: tuple[tuple[int, str, str], ...] = (
    (0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL\\{cs}"), (0x00181160, "SH", "{sh}"), (0x00181210, "SH", "{sh}"),
    (0x00180015, "CS", "{cs}"), (0x00081090, "LO", "{name}"), (0x00281055, "LO", "{name}"), (0x00180024, "SH", "{sh}"),
    (0x00181020, "LO", "{name} {number}"), (0x00189998, "LO", "{name}"), (0x00189998, "UN", "{name}"),
    (0x00080068, "CS", "{cs}"), (0x00080070, "LO", "{name}"), (0x00080064, "CS", "{cs}"), (0x00180022, "CS", "{cs}"),
    (0x00185101, "CS", "{cs}"), (0x00200060, "CS", "{cs}"), (0x00200062, "CS", "{cs}"), (0x00180026, "SH", "{sh}"),
    (0x00280004, "CS", "MONOCHROME2\\{cs}"), (0x00281040, "CS", "{cs}"), (0x00281052, "DS", "{digits}"),
    (0x00181030, "SH", "{sh}"), (0x00201040, "LO", "{name}"), (0x00540081, "LO", "{name}"), (0x00089206, "CS", "{cs}"),
    (0x0008030D, "LO", "{name}"), (0x00122224, "LO", "{name} {number}"), (0x00102222, "SH", "{sh}"),
    (0x00089998, "PN", "{name}^{other}"), (0x00300010, "LO", "{name}"), (0x00769998, "UN", "{name} {number}"),
    (0x00081120, "UI", "{uid}"), (0x00289110, "LT", "{name}"), (0x00087777, "ST", "{name} {number}"),
    (0x60001500, "LO", "{name}"), (0x60000022, "LO", "{name}"), (0x60024000, "LT", "{name}"),
    (0x50002500, "LO", "{name}"), (0x60020022, "LO", "{name}"), (0x00080100, "SH", "{sh}"),
    (0x00189004, "CS", "{cs}"), (0x00280301, "CS", "{cs}"), (0x00181400, "LO", "{name}"), (0x00181401, "LO", "{name}"),
    (0x00189316, "CS", "{cs}"), (0x0018115E, "DS", "{digits}"), (0x00180090, "DS", "{digits}"),
    (0x00180060, "DS", "{name}"), (0x00200013, "IS", "{name}"), (0x00281054, "LO", "{name}"),
    (0x00080060, "CS", "{cs}"),
    (0x00201041, "DS", "{name}"), (0x00180050, "DS", "{number}"), (0x00400310, "ST", "{name}"),
    (0x00080005, "CS", "ISO_IR 100\\{cs}"), (0x00181316, "DS", "{name}"), (0x00280030, "DS", "{name}"),
    (0x0008002A, "DT", "{name}"), (0x00080032, "TM", "{name}"), (0x00100040, "CS", "{cs}"), (0x00101010, "AS", "{as}"),
    (0x00101030, "DS", "{name}"), (0x00101020, "DS", "{digits}"), (0x00020102, "OB", "{name}"),
    (0xFFFCFFFC, "OB", "{name}{number}"), (0x7FE00001, "OV", "{name}"), (0x00880200, "SQ", "{name}"),
    (0x00282000, "OB", "{name} icc profile {number}"), (0x00281201, "OW", "{name}{number}"),
    (0x00280120, "US", "{name}"), (0x54001010, "OW", "{name}{number}"), (0x00420011, "OB", "{name} {number}"),
)  # fmt: skip
# What the device options keep whatever it says; the rest of _LEAKY must go.
_NUMERIC_MAY_STAY = frozenset({0x00281052, 0x0018115E, 0x00180090, 0x00180050, 0x00101020})
_BINARY = frozenset({"OB", "OW", "UN", "OV", "US"})
_DEVICE = frozenset({0x00181020, 0x00181030})


def leaky_places(seed: int) -> Iterator[CorpusFile]:
    """Yield a file for each place outside the table, at the top and in a sequence."""
    for number, (tag, vr, form) in enumerate(_LEAKY):
        for nested in (False, True):
            values = Values(seed, f"place/{number}/{nested}")
            who, dataset = _start(values, values.rng.choice(IMAGES))
            level, place = dataset, ""
            if nested:
                level, place = code("113100", "DCM", "REGION"), "00082218.0/"
                dataset.AnatomicRegionSequence = Sequence([level])
            one = _leaky(values, level, place, tag, vr, form)
            key = [known for known in identity_key(dataset) if known.place != one.place]
            yield _file("place", f"{number:03d}-{int(nested)}-{tag:08X}", dataset, who, (*key, one))
    yield from _code_meanings(seed)


def free_texts(seed: int, rounds: int = 1) -> Iterator[CorpusFile]:
    """Yield files with texts of which clinical words may stay and the rest may not."""
    for number, (tag, vr) in enumerate(_TEXT_PLACES * rounds):
        values = Values(seed, f"text/{number}/{tag:08x}")
        who, dataset = _start(values, values.rng.choice(IMAGES))
        form, keep = _TEXTS[(number + seed) % len(_TEXTS)]
        if vr == "CS":
            form, keep = "{cs}", ()
        text, parts = _filled(values, form)
        dataset[tag] = DataElement(tag, vr, text)
        place = f"{tag:08X}"
        key = [*identity_key(dataset), Planted(place, text, Expect.REMOVE, Expect.MASK, _betrays(parts))]
        if tag in _DESCRIPTORS:
            key += [Planted(place, word, Expect.REMOVE, Expect.KEEP) for word in keep]
        yield _file("text", f"{number:03d}-{place}", dataset, who, tuple(key))


_CREATORS = (
    "SIEMENS MR HEADER", "GEMS_ACQU_01", "GEMS_PARM_01", "Philips Imaging DD 001", "Philips MR Imaging DD 001",
    "SIEMENS CSA HEADER", "Philips PET Private Group", "TOSHIBA_MEC_CT3", "HOLOGIC, Inc.", "ELSCINT1",
)  # fmt: skip
_SAFE = (
    (0x0019, 0x0C, "IS"),
    (0x0043, 0x39, "IS"),
    (0x2001, 0x03, "FL"),
    (0x7053, 0x00, "DS"),
    (0x0019, 0x0E, "FD"),
)


def private_look_alikes(seed: int) -> Iterator[CorpusFile]:
    """Yield files whose private elements resemble those that are known to be safe."""
    for number in range(4 * len(_CREATORS)):
        values = Values(seed, f"private/{number}")
        who, dataset = _start(values, values.rng.choice(("ct", "mr", "pt", "enhanced-mr")))
        creator = _CREATORS[number % len(_CREATORS)]
        group, low, vr = values.rng.choice(_SAFE)
        words, telling = values.words()
        tag = group << 16 | 0x1000 | low
        reservation = group << 16 | 0x0010
        way = number % 4
        level, prefix = dataset, ""
        if way == 0:  # the right creator, the right element, a value that is no number
            level[reservation] = DataElement(reservation, "LO", creator)
            level[tag] = DataElement(tag, "LO", words)
        elif way == 1:  # nobody reserved the block
            level[tag] = DataElement(tag, "LO", words)
        elif way == 2:  # the creator itself is a name
            level[reservation] = DataElement(reservation, "LO", words[:64])
            level[tag] = DataElement(tag, vr, 5 if vr in ("FL", "FD") else "5")
            tag = reservation
        else:  # in a sequence that a device wrote as UN, in implicit VR
            level[reservation] = DataElement(reservation, "LO", creator)
            level[tag] = DataElement(tag, "UN", _implicit_sequence(words))
        if values.rng.random() < 0.3:
            item = code("10200004", "SCT", "Liver")
            for each in [each for each in dataset if each.tag.is_private]:
                item[each.tag] = each
                del dataset[each.tag]
            dataset.AnatomicRegionSequence, prefix = Sequence([item]), "00082218.0/"
        one = Planted(f"{prefix}{tag:08X}", words, *_GONE, _betrays(telling))
        yield _file("private", f"{number:03d}", dataset, who, (*identity_key(dataset), one))


def reports(seed: int, count: int = 12) -> Iterator[CorpusFile]:
    """Yield structured reports with texts, names, dates and codes at several depths."""
    classes = ("88.11", "88.22", "88.33", "88.67", "88.34", "88.50")
    for number in range(count):
        values = Values(seed, f"report/{number}")
        who, dataset = _start(values, "sr")
        dataset.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.{classes[number % len(classes)]}"
        key = list(identity_key(dataset))
        level, place = dataset, ""
        for _ in range(values.rng.randrange(1, 5)):
            items = [_text_item(values), _name_item(values), _coded_item(values), _uid_item(values)]
            level.ContentSequence = Sequence(
                [*(level.get("ContentSequence") or ()), *(item for item, _ in items)]
            )
            first = len(level.ContentSequence) - len(items)
            key += [
                Planted(
                    f"{place}0040A730.{first + index}/{one.place}",
                    one.value,
                    one.basic,
                    one.research,
                    one.encoded,
                )
                for index, (_, one) in enumerate(items)
            ]
            place, level = f"{place}0040A730.{first}/", level.ContentSequence[first]
        yield _file("report", f"{number:03d}", dataset, who, tuple(key))


def graphics(seed: int, count: int = 6) -> Iterator[CorpusFile]:
    """Yield presentation states with text annotations, and images with overlays that show text."""
    for number in range(count):
        values = Values(seed, f"graphics/{number}")
        who, dataset = _start(values, "pr")
        note, layer, text = Dataset(), Dataset(), Dataset()
        words, telling = values.words()
        text.UnformattedTextValue, note.GraphicLayer = words, "LAYER1"
        text.BoundingBoxAnnotationUnits, text.BoundingBoxTextHorizontalJustification = "PIXEL", "LEFT"
        text.BoundingBoxTopLeftHandCorner, text.BoundingBoxBottomRightHandCorner = [1, 1], [9, 9]
        note.TextObjectSequence = Sequence([text])
        label = values.words()
        layer.GraphicLayer, layer.GraphicLayerOrder, layer.GraphicLayerDescription = "LAYER1", 1, label[0]
        dataset.GraphicAnnotationSequence, dataset.GraphicLayerSequence = Sequence([note]), Sequence([layer])
        maker = f"{values.surname()}^{values.surname()}"
        dataset.ContentCreatorName = maker
        key = (
            Planted("00700001.0/00700008.0/00700006", words, Expect.REMOVE, Expect.MASK, _betrays(telling)),
            Planted("00700060.0/00700068", label[0], Expect.REMOVE, Expect.MASK, _betrays(label[1])),
            Planted("00700084", maker, *_GONE, _betrays(maker.split("^"))),
        )
        yield _file("graphics", f"state-{number}", dataset, who, (*identity_key(dataset), *key))
    for number in range(count):
        values = Values(seed, f"overlay/{number}")
        who, dataset = _start(values, values.rng.choice(("ct", "mr", "dx")))
        group = 0x60000000 + 0x20000 * values.rng.randrange(16)
        word = values.surname()
        bits = overlay_bits(word, 64, 160)
        for low, vr, content in (
            (0x0010, "US", 64), (0x0011, "US", 160), (0x0040, "CS", "G"), (0x0050, "SS", [1, 1]),
            (0x0100, "US", 1), (0x0102, "US", 0), (0x3000, "OB", bits), (0x1500, "LO", word), (0x0022, "LO", word),
        ):  # fmt: skip
            dataset[group | low] = DataElement(group | low, vr, content)
        key = [Planted(f"{group | low:08X}", word, *_GONE, _betrays((word,))) for low in (0x1500, 0x0022)]
        key.append(Planted(f"{group | 0x3000:08X}", word, *_GONE, (bits[320:400],)))
        yield _file("graphics", f"overlay-{number}", dataset, who, (*identity_key(dataset), *key))


def _start(values: Values, kind: str) -> tuple[Patient, Dataset]:
    who = patient(values)
    return who, dataset_of(kind, who, values)


def _file(kind: str, name: str, dataset: Dataset, who: Patient, key: tuple[Planted, ...]) -> CorpusFile:
    return CorpusFile(f"{kind}/{name}.dcm", kind, as_file(dataset), who.number, key)


def _leaky(values: Values, level: Dataset, place: str, tag: int, vr: str, form: str) -> Planted:
    text, parts = _filled(values, form)
    if vr == "SQ":
        level[tag] = DataElement(tag, "SQ", Sequence([code("1", "99X", text)]))
    else:  # as devices write it: pydicom would not take a name for a number
        padded = text.encode() + b" " * (-len(text) % 8) if vr in _BINARY else text
        level[tag] = made(tag, vr, padded, like=_explicit())
    stays = tag in _NUMERIC_MAY_STAY or (tag in _DEVICE)
    does = Expect.REMOVE
    research = Expect.MAY_STAY if stays else Expect.REMOVE
    basic = Expect.MAY_STAY if tag in _NUMERIC_MAY_STAY else does
    encoded = () if form == "{as}" else _betrays(parts)
    return Planted(f"{place}{tag:08X}", text, basic, research, encoded)


def _explicit() -> Dataset:
    dataset = Dataset()
    dataset.set_original_encoding(False, True)
    return dataset


def _filled(values: Values, form: str) -> tuple[str, tuple[str, ...]]:
    date = values.date()
    dated = values.rng.choice(
        (f"{date[6:]}.{date[4:6]}.{date[:4]}", f"{date[:4]}-{date[4:6]}-{date[6:]}", date)
    )
    filling = {
        "name": values.surname(), "other": values.surname(), "number": values.digits(9), "date": dated,
        "cs": f"{values.surname().upper()[:11]}", "sh": values.surname()[:14], "uid": values.uid(),
        "digits": f"{values.digits(6)}.{values.digits(4)}", "as": f"{values.rng.randrange(91, 119):03d}Y",
    }  # fmt: skip
    return form.format(**filling), tuple(text for name, text in filling.items() if f"{{{name}}}" in form)


def _betrays(parts: tuple[str, ...] | list[str]) -> tuple[bytes, ...]:
    return tuple(part.encode() for part in parts) + tuple(part.lower().encode() for part in parts)


def _code_meanings(seed: int) -> Iterator[CorpusFile]:
    """Codes of sequences that no list names, with a name for a meaning, a value or a scheme."""
    places = (
        0x00082218,
        0x00540220,
        0x00081032,
        0x00321064,
        0x00400260,
        0x00081110,
        0x00089215,
        0x0040A170,
        0x00400008,
    )
    for number, tag in enumerate(places):
        for which in ("CodeMeaning", "CodeValue", "CodingSchemeDesignator", "LongCodeValue", "URNCodeValue"):
            values = Values(seed, f"code/{number}/{which}")
            who, dataset = _start(values, values.rng.choice(("ct", "mr", "dx")))
            item = code("10200004", "SCT", "Liver")
            text = values.surname()[:14]
            setattr(item, which, text if which != "URNCodeValue" else f"urn:x:{text}")
            dataset[tag] = DataElement(tag, "SQ", Sequence([item]))
            one = Planted(
                f"{tag:08X}.0/{item.data_element(which).tag:08X}".replace(",", ""),
                text,
                *_GONE,
                _betrays((text,)),
            )
            yield _file("place", f"code-{number}-{which}", dataset, who, (*identity_key(dataset), one))


def _implicit_sequence(words: str) -> bytes:
    """Return a sequence of one item with a patient's name, in implicit VR, as a value of VR UN."""
    value = words.encode()
    value += b" " * (len(value) % 2)
    element = b"\x10\0\x10\0" + len(value).to_bytes(4, "little") + value
    return b"\xfe\xff\0\xe0" + len(element).to_bytes(4, "little") + element


def _text_item(values: Values) -> tuple[Dataset, Planted]:
    item = _content_item("TEXT", code("121071", "DCM", "Finding"))
    text, parts = _filled(values, values.rng.choice(_TEXTS)[0])
    item.TextValue = text
    return item, Planted("0040A160", text, Expect.REMOVE, Expect.MASK, _betrays(parts))


def _name_item(values: Values) -> tuple[Dataset, Planted]:
    item = _content_item("PNAME", code("121008", "DCM", "Person Observer Name"))
    name = f"{values.surname()}^{values.surname()}"
    item.PersonName = name
    return item, Planted("0040A123", name, *_GONE, _betrays(name.split("^")))


def _coded_item(values: Values) -> tuple[Dataset, Planted]:
    name = values.surname()
    item = _content_item("CODE", code("121071", "DCM", "Finding"))
    item.ConceptCodeSequence = Sequence([code("1234", "99LOCAL", name)])
    return item, Planted("0040A168.0/00080104", name, *_GONE, _betrays((name,)))


def _uid_item(values: Values) -> tuple[Dataset, Planted]:
    item = _content_item("UIDREF", code("112039", "DCM", "Tracking Identifier"))
    item.UID = values.uid()
    return item, Planted("0040A124", item.UID, Expect.PSEUDONYM, Expect.PSEUDONYM, (item.UID.encode(),))


def _content_item(kind: str, name: Dataset) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", kind
    item.ConceptNameCodeSequence = Sequence([name])
    return item
