"""Free-text descriptors: words of a clinical list stay, everything else is masked.

A word that is also part of the subject's own name or numbers is masked whatever the list says, and so is a word that
stands where somebody's name would: after a form of address, or before an academic degree.
"""

from __future__ import annotations

import re
from collections.abc import Set
from unicodedata import digit

from fairbank.deid.descriptor_words import PREFIXES, WORDS

MASK = "*"
_SEPARATORS = re.compile(r"([\s^_,;:/()\[\]{}\\|+=<>&\"'!?@#~-]+)")
_MEASURE = re.compile(
    r"(?:\d{1,4}(?:\.\d{1,4})?x){0,2}\d{1,4}(?:\.\d{1,4})?"
    r"(?:mm|cm|ms|msec|s|sec|min|hu|kv|kvp|mas|ma|kev|t|deg|%|x|d|hz|gy|mgy|mci|mbq|dir|bval|st|nd|rd|th)"
)
_SIZES = re.compile(r"\d{1,3}(?:\.\d{1,4})?x\d{1,3}(?:\.\d{1,4})?(?:x\d{1,3}(?:\.\d{1,4})?)?")
_NUMBER = re.compile(r"\d{1,3}|\d{1,3}\.\d{1,4}")
_WHOLE = re.compile(r"\d+")
_TECHNICAL = re.compile(
    r"(t[12]w?|b\d{1,4}|te\d{1,3}|tr\d{1,4}|fa\d{1,2}|[bhiuq][rlfv]?\d{2}[fshd]?|qr\d{2}|fc\d{2}|[cldst]\d{1,2}|th\d{1,2}|"
    r"t\d(?:\.\d)?sec|v\d(?:\.\d{1,2}){0,2}|[23]d[a-z]{0,5}|t[12][a-z]{2,6}|p\d|r\d|e\d|i\d)"
)
_RUNS = re.compile(r"[a-z]+|\d+")
_LETTERS_AND_DIGITS = re.compile(r"(?:[a-z]{2,}\d{1,2}[a-z]{0,4}|\d{1,2}[a-z]{2,})")
# Forms of address and degrees, as words of the text in lower case; those that are also scanner words need their dot or
# their spelling ("Mr" and "MR.", never "MR").
_TITLE_LIST = """
dr drs dra doctor docteur dottore dott dottssa doktor prof professor professeur professore mrs miss mme mlle madame
monsieur herr herrn frau mevr mevrouw dhr sig signor signora signore señor señora senor senora srta sra doc physician
radiologist radiologe arzt nurse technologist technician operator mta dozent rev sir lady hrn
"""
_TITLES = frozenset(_TITLE_LIST.split())
_DOTTED_TITLES = frozenset({"mr", "ms", "m", "fr", "hr", "sr", "pr", "st"})
_SPELLED_TITLES = frozenset({"Mr", "Ms", "Fr", "Hr", "Sr", "Pr"})
_DEGREES = frozenset({"md", "phd", "mbbs", "frcr", "facr", "rn", "rt(r)", "msc", "dds", "dmd"})
_PARTICLES = frozenset(
    {
        "van",
        "von",
        "de",
        "der",
        "den",
        "di",
        "da",
        "del",
        "della",
        "la",
        "le",
        "el",
        "al",
        "bin",
        "ten",
        "ter",
        "zu",
        "du",
    }
)
_AGES = frozenset(
    {
        "y",
        "yo",
        "yr",
        "yrs",
        "year",
        "years",
        "age",
        "aged",
        "jahr",
        "jahre",
        "alter",
        "ans",
        "age:",
        "anni",
        "jaar",
        "años",
    }
)
_OLDEST_TELLING = 90
_DATE_JOINTS = frozenset("-/. ")
_LONGEST_RUN_DIGITS = 6


def cleaned(text: str, *, own_words: Set[str]) -> tuple[str, bool]:
    """Return a descriptor with unlisted words masked, and whether any listed word is left.

    Args:
        text: one value of the attribute, or several separated by backslashes, one character per byte (Latin-1).
        own_words: lower-case parts of the subject's own name and numbers.

    A text made of listed words only comes back as it was. Numbers that could make up a date, an age of 90 or an
    identifier are masked together.

    >>> cleaned("CHEST^Routine 3mm", own_words=frozenset())
    ('CHEST^Routine 3mm', True)
    >>> cleaned("Knee of Mrs Head, 12-03-67", own_words=frozenset())
    ('Knee of * *, *-*-*', True)
    """
    pieces = _SEPARATORS.split(text)
    words = pieces[0::2]
    allowed = [_is_allowed(word, own_words) for word in words]
    for place in _of_people(words):
        allowed[place] = False
    for place in _of_numbers(words, pieces[1::2]):
        allowed[place] = False
    says_something = any(
        ok and word and _NUMBER.fullmatch(word) is None for word, ok in zip(words, allowed, strict=True)
    )
    pieces[0::2] = [word if ok or not word else MASK for word, ok in zip(words, allowed, strict=True)]
    return "".join(pieces), says_something


def _is_allowed(word: str, own_words: Set[str]) -> bool:
    lower = word.lower().strip(".")
    if not lower:
        return True
    if lower in own_words or any(run in own_words for run in _RUNS.findall(lower)):
        return False
    return (
        lower in WORDS
        or any(form.fullmatch(lower) is not None for form in (_NUMBER, _MEASURE, _SIZES, _TECHNICAL))
        or _is_numbered(lower)
        or _is_dotted(lower, own_words)
    )


def _is_numbered(word: str) -> bool:
    """Return whether a word is a scanner's word with a short number: "ph2", "sen16", "fl3d"."""
    if _LETTERS_AND_DIGITS.fullmatch(word) is None:
        return False
    letters = [run for run in _RUNS.findall(word) if run.isalpha()]
    return all(run in PREFIXES or run in WORDS for run in letters) and letters[0] in PREFIXES


def _is_dotted(word: str, own_words: Set[str]) -> bool:
    """Return whether a word is made of listed words joined by dots: "t2.tse.sag"."""
    parts = word.split(".")
    if len(parts) < 2 or any(len(part) < 2 or part.isdigit() for part in parts):
        return False
    return all(_is_allowed(part, own_words) for part in parts)


def _of_people(words: list[str]) -> set[int]:
    """Return the places of words that stand where a person's name would."""
    found: set[int] = set()
    spoken = [place for place, word in enumerate(words) if word]
    for rank, place in enumerate(spoken):
        lower = words[place].lower().strip(".")
        if lower in _DEGREES:
            found |= {place, *spoken[max(0, rank - 1) : rank]}
        if any(_is_title(part + ".") for part in words[place].split(".")[:-1]) and not words[place].endswith(
            "."
        ):
            found.add(place)  # "Dr.Young", without a space
            continue
        if not _is_title(words[place]):
            continue
        found.add(place)
        for following in spoken[rank + 1 :]:
            found.add(following)
            name = words[following].lower().strip(".")
            if len(name) > 2 and name not in _PARTICLES and not _is_title(words[following]):
                break
    return found


def _is_title(word: str) -> bool:
    lower = word.lower().rstrip(".")
    if lower in _TITLES or word in _SPELLED_TITLES:
        return True
    return word.endswith(".") and lower in _DOTTED_TITLES


def _of_numbers(words: list[str], joints: list[str]) -> set[int]:
    """Return the places of numbers that could be a date, an identifier in groups, or an age of 90 and more."""
    found: set[int] = set()
    run: list[int] = []
    for place in range(len(words) + 1):
        number = place < len(words) and _WHOLE.fullmatch(words[place].strip(".")) is not None
        if number and (not run or place == run[-1] + 1):
            run.append(place)
            continue
        if _is_telling(run, words, joints):
            found |= set(run)
        run = [place] if number else []
    for place, word in enumerate(words):
        beside = {words[near].lower().strip(".") for near in (place - 1, place + 1) if 0 <= near < len(words)}
        if word.isdigit() and _number(word) >= _OLDEST_TELLING and not beside.isdisjoint(_AGES):
            found.add(place)
    return found


def _number(digits: str) -> int:
    """Return the number that digits of any script stand for, raised ones too, which `int` refuses.

    >>> _number("95"), _number("⁹⁵"), _number("٩٥")
    (95, 95, 95)
    """
    return int("".join(str(digit(each)) for each in digits))


def _is_telling(run: list[int], words: list[str], joints: list[str]) -> bool:
    """Return whether a run of whole numbers could be a date, or an identifier that is written in groups."""
    if len(run) < 2:
        return False
    between = {joints[place].strip() or " " for place in run[:-1]}
    short = [len(words[place].strip(".")) <= 2 for place in run]
    if any(all(short[start : start + 3]) for start in range(len(run) - 2)):
        return True
    if between <= _DATE_JOINTS and sum(len(words[place]) for place in run) >= _LONGEST_RUN_DIGITS:
        return True
    if between <= _DATE_JOINTS and any(len(words[place]) > 3 for place in run):
        return True
    return len(run) == 2 and all(short) and between <= _DATE_JOINTS
