"""Columns that look identifying: by what they are called, and by what stands in them.

Nothing of them could leave in any case, because only codes and bands are kept. But a curator who maps a name to a code
has mapped the wrong column, and is told so before anything is read.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from typing import Final

# Parts of column names in English, German, French, Spanish, Italian and Dutch, without accents.
_NAMES: Final = (
    "firstname", "lastname", "surname", "givenname", "familyname", "fullname", "patientname", "maidenname",
    "vorname", "nachname", "familienname", "patientenname", "geburtsname", "zuname", "prenom", "nomdefamille",
    "apellido", "nombre", "cognome", "voornaam", "achternaam", "mothersname",
    "address", "adresse", "anschrift", "strasse", "street", "hausnummer", "postcode", "zipcode", "postleitzahl",
    "codepostal", "direccion", "indirizzo", "wohnort", "geburtsort", "birthplace", "city", "latitude", "longitude",
    "phone", "telefon", "telephone", "mobile", "handy", "telefono", "fax", "email", "mail", "url", "ipaddress",
    "patientid", "patientenid", "fallnummer", "fallnr", "casenumber", "hospitalnumber", "medicalrecord",
    "versichertennummer", "versicherungsnummer", "krankenkassennummer", "insurancenumber", "socialsecurity",
    "passport", "accession", "healthcardnumber", "rijksregister", "codicefiscale",
)  # fmt: skip
_WHOLE: Final = frozenset(
    {
        "name",
        "nom",
        "naam",
        "plz",
        "zip",
        "ort",
        "tel",
        "dni",
        "ssn",
        "nhs",
        "nhsnumber",
        "mrn",
        "pid",
        "bsn",
        "kvnr",
    }
)
_BIRTH: Final = (
    "birthdate", "dateofbirth", "birthday", "geburtsdatum", "geburtstag", "gebdatum", "datedenaissance",
    "fechadenacimiento", "datadinascita", "geboortedatum",
)  # fmt: skip
_BIRTH_WHOLE: Final = frozenset({"dob", "gebdat", "geb", "birth"})
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"\+?\(?\d[\d ()/-]{7,}\d")
_DATE = re.compile(r"(19|20)\d\d-?(0\d|1[0-2])-?[0-3]\d|[0-3]?\d[./][01]?\d[./]((19|20)\d\d|\d\d)")
_SHARE: Final = 0.2
_FEWEST: Final = 3
# More different texts than this, most of which the mapping does not name, are free text.
_MOST_WORDS: Final = 30


def is_birth_date(column: str) -> bool:
    """Tell whether a column is called a date of birth, of which only an age may be made."""
    name = _plain(column)
    return name in _BIRTH_WHOLE or any(part in name for part in _BIRTH)


def name_identifies(column: str) -> bool:
    """Tell whether a column is called like something that identifies a person.

    >>> [name_identifies(name) for name in ("Nachname", "patient_name", "E-Mail", "Geb.-Datum", "Gleason", "Cityscan")]
    [True, True, True, True, False, False]
    """
    name = _plain(column)
    if is_birth_date(column) or name in _WHOLE:
        return True
    words = {_plain(word) for word in re.split(r"[^\w]+|_|(?<=[a-z])(?=[A-Z])", column)}
    return any(name == part or part in words or (len(part) > 6 and part in name) for part in _NAMES)


def values_identify(values: Iterable[str], *, dates: bool) -> bool:
    """Tell whether many of a column's values look like mail addresses, telephone numbers or, unless expected, dates.

    Args:
        values: those that stand there, without empty ones.
        dates: whether dates are expected.
    """
    listed = list(values)
    forms = (_MAIL, _PHONE) if dates else (_MAIL, _PHONE, _DATE)
    found = sum(
        any(form.fullmatch(value) for form in forms) and not (dates and _DATE.fullmatch(value))
        for value in listed
    )
    return found >= _FEWEST and found > _SHARE * len(listed)


def is_free_text(values: Collection[str], known: Collection[str]) -> bool:
    """Tell whether a column holds free text: many different values, most of which its mapping does not name."""
    different = set(values)
    return len(different) > _MOST_WORDS and len(different - set(known)) > len(different) / 2


def _plain(text: str) -> str:
    bare = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", bare.casefold())
