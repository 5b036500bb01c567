"""The patient's own identifiers in other spellings, orders, scripts and forms of dates, in elements that stay."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from tests.deid.corpus.images import IMAGES, as_file, code, dataset_of
from tests.deid.corpus.people import identity_key, patient
from tests.deid.corpus.planted import CorpusFile, Expect, Planted
from tests.deid.corpus.values import Values

_GONE = (Expect.REMOVE, Expect.REMOVE)
_PLACES = (
    (0x0008103E, "LO"), (0x00181030, "LO"), (0x00181160, "SH"), (0x00181210, "SH"), (0x00081010, "SH"),
    (0x00181000, "LO"), (0x00181020, "LO"), (0x00081090, "LO"), (0x00281055, "LO"), (0x00080070, "LO"),
    (0x00204000, "LT"), (0x00180024, "SH"),
)  # fmt: skip
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def name_spellings(family: str, given: str) -> list[str]:
    """Return a name as people, file systems and e-mail addresses write it."""
    return [
        f"{given} {family}", f"{family}, {given}", f"{given}{family}", f"{family.lower()}_{given.lower()}",
        f"{family.upper()}^{given.upper()}", f"{given[0]}. {family}", f"{family} {given[0]}", f"{given}.{family}",
        f"{family}-{given}", family.upper(), given.lower(), f"{family}{given[0]}", f"Mrs {family}", f"{family}'s scan",
    ]  # fmt: skip


def date_spellings(text: str) -> list[str]:
    """Return a date (DA) as people write it."""
    day = date(int(text[:4]), int(text[4:6]), int(text[6:]))
    month = _MONTHS[day.month - 1]
    return [
        f"{day:%d.%m.%Y}", f"{day:%Y-%m-%d}", f"{day:%d/%m/%Y}", f"{day:%m/%d/%Y}", f"{day.day}.{day.month}.{day.year}",
        f"{day:%d}{month[:3].upper()}{day:%Y}", f"{day.day} {month} {day.year}", f"{month} {day.day}, {day.year}",
        text, f"{day:%Y/%m/%d}", f"{day:%d-%m-%y}", f"{day:%d.%m.%y}", f"{day:%Y %m %d}", f"{day:%d%m%Y}",
    ]  # fmt: skip


def number_spellings(text: str) -> list[str]:
    """Return a patient's number as people write it."""
    digits = "".join(each for each in text if each.isdigit())
    bare = digits.lstrip("0")
    return [
        text, bare, f"{bare[:3]}-{bare[3:]}", f"{bare[:2]} {bare[2:5]} {bare[5:]}", f"{bare[:4]}.{bare[4:]}",
        f"#{bare}",
        f"0000{bare}", f"ID{bare}", text.lower(), f"{bare}_1",
    ]  # fmt: skip


def own_identifiers(seed: int, rounds: int = 1) -> Iterator[CorpusFile]:
    """Yield files that repeat their own patient's identifiers where other things belong."""
    number = 0
    for turn in range(rounds):
        for what in ("name", "birth", "number", "accession", "study"):
            for spelling in range(14):
                number += 1
                values = Values(seed, f"own/{turn}/{what}/{spelling}")
                who = patient(values)
                dataset = dataset_of(values.rng.choice(IMAGES), who, values)
                options = {
                    "name": name_spellings(who.family, who.given),
                    "birth": date_spellings(who.birth_date),
                    "number": number_spellings(who.number),
                    "accession": number_spellings(who.accession),
                    "study": date_spellings(who.study_date),
                }[what]
                text = options[spelling % len(options)]
                known = identity_key(dataset)
                tag, vr = values.rng.choice([each for each in _PLACES if each[1] != "SH" or len(text) <= 16])
                if spelling % 5 == 4:
                    item = code("10200004", "SCT", text)
                    dataset.AnatomicRegionSequence = Sequence([item])
                    place = "00082218.0/00080104"
                else:
                    dataset[tag] = DataElement(tag, vr, text)
                    place = f"{tag:08X}"
                one = Planted(place, text, *_GONE, (text.encode(),))
                yield CorpusFile(
                    f"own/{number:03d}-{what}.dcm", "own", as_file(dataset), who.number, (*known, one)
                )


@dataclass(frozen=True, slots=True)
class Script:
    """A way to write names: the terms of Specific Character Set, a codec for its bytes, and people written in it."""

    terms: tuple[str, ...]
    codec: str
    family: str
    given: str
    latin: str


SCRIPTS = (
    Script(("ISO_IR 100",), "latin-1", "Müllerbrandt", "Jürgenoß", "Muellerbrandt"),
    Script(("ISO_IR 101",), "iso8859-2", "Kowalskięńska", "Łucjażana", "Kowalskienska"),
    Script(("ISO_IR 144",), "iso8859-5", "Кузнецовская", "Владиславна", "Kuznetsovskaya"),
    Script(("ISO_IR 126",), "iso8859-7", "Παπαδοπούλου", "Χαράλαμπος", "Papadopoulou"),
    Script(("ISO_IR 127",), "iso8859-6", "القحطاني", "عبدالرحمن", "Alqahtani"),
    Script(("ISO_IR 138",), "iso8859-8", "רבינוביץ", "מרדכיאל", "Rabinovitz"),
    Script(("ISO_IR 166",), "tis-620", "รัตนพันธุ์", "สมศักดิ์ชัย", "Rattanaphan"),
    Script(("ISO_IR 148",), "iso8859-9", "Yıldırımoğlu", "Gülşençık", "Yildirimoglu"),  # noqa: RUF001 - so it is written
    Script(("ISO_IR 192",), "utf-8", "Nguyễnphạm", "Thịhồng", "Nguyenpham"),
    Script(("GB18030",), "gb18030", "欧阳锦绣", "诸葛明月", "Ouyangjinxiu"),
    Script(("", "ISO 2022 IR 87"), "iso2022_jp", "山田橋本", "太郎左衛門", "Yamadahashi"),
    Script(("", "ISO 2022 IR 149"), "euc_kr", "김황보길", "선우희동", "Kimhwangbo"),
)


def character_sets(seed: int) -> Iterator[CorpusFile]:
    """Yield files whose names are written in the scripts of the world, repeated where other things belong."""
    for number, script in enumerate(SCRIPTS):
        for way in range(4):
            values = Values(seed, f"script/{number}/{way}")
            who = replace(patient(values), family=script.latin, given=values.surname())
            dataset = dataset_of(values.rng.choice(("ct", "mr", "pt")), who, values)
            dataset.SpecificCharacterSet = list(script.terms) if len(script.terms) > 1 else script.terms[0]
            known = identity_key(dataset)
            family, given = encoded(script, script.family), encoded(script, script.given)
            _raw(dataset, 0x00100010, "PN", script.latin.encode() + b"=" + family + b"^" + given)
            tag = (0x0008103E, 0x00181030, 0x00181000, 0x00204000)[way]
            repeated = (family, given + b" " + family, family, family + b"^" + given)[way]
            _raw(dataset, tag, "LT" if way == 3 else "LO", repeated if way != 2 else family + b" 2")
            bare = tuple({encoded(script, script.family, bare=True), script.family.encode()})
            one = Planted(f"{tag:08X}", script.family, *_GONE, bare)
            name = f"script/{number:02d}-{way}.dcm"
            yield CorpusFile(name, "script", as_file(dataset), who.number, (*known, one))
    yield from _latin_spellings(seed)


def encoded(script: Script, text: str, *, bare: bool = False) -> bytes:
    """Return a text in a file's bytes; `bare` without the sequences that switch character sets."""
    if script.codec == "euc_kr":
        return text.encode("euc_kr") if bare else b"\x1b$)C" + text.encode("euc_kr")
    content = text.encode(script.codec)
    return content.replace(b"\x1b$B", b"").replace(b"\x1b(B", b"") if bare else content


def _latin_spellings(seed: int) -> Iterator[CorpusFile]:
    """The name with its accents, in a text without them, and with ae for ä."""
    spelled = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
    for number, (family, given) in enumerate(
        (("Börgelsänger", "Jürgina"), ("Weißmüllner", "Zoëlle"), ("Škvoreckýna", "Dvořáčka"))
    ):
        for way in range(3):
            values = Values(seed, f"latin/{number}/{way}")
            who = replace(patient(values), family=family, given=given)
            dataset = dataset_of("ct", who, values)
            dataset.SpecificCharacterSet = "ISO_IR 192"
            plain = (
                unicodedata.normalize("NFKD", family)
                .encode("ascii", "ignore")
                .decode()
                .replace("Wei", "Weiss" if "ß" in family else "Wei")
            )
            text = (family.translate(spelled), plain, family.upper())[way]
            dataset.ManufacturerModelName = text
            known = tuple(
                replace(each, encoded=(family.encode(), given.encode())) if each.place == "00100010" else each
                for each in identity_key(dataset)
            )
            one = Planted("00081090", text, *_GONE, (text.encode(),))
            yield CorpusFile(
                f"script/latin-{number}-{way}.dcm", "script", as_file(dataset), who.number, (*known, one)
            )


def _raw(dataset: Dataset, tag: int, vr: str, content: bytes) -> None:
    content += b" " * (len(content) % 2)
    dataset[tag] = RawDataElement(Tag(tag), vr, len(content), content, 0, False, True)
