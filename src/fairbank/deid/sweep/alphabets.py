"""Letters of other alphabets, and what stands for them in Latin ones.

Sources: ICAO Doc 9303, part 3, section 6 (Latin and Cyrillic); ELOT 743 (Greek); Hepburn (kana); Revised Romanization
of Korean, letter by letter.
"""
# ruff: noqa: RUF001 - letters that look like Latin ones are what this is about

from __future__ import annotations

DIGRAPHS = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "oe", "å": "aa", "æ": "ae", "œ": "oe", "þ": "th"}
DIGRAPHS |= {"ð": "d", "đ": "dj", "ł": "l", "ı": "i", "ŋ": "ng", "ħ": "h", "ĳ": "ij", "ñ": "n"}
SINGLES = {
    "ß": "ss",
    "ø": "o",
    "å": "a",
    "æ": "a",
    "œ": "o",
    "þ": "t",
    "ð": "d",
    "đ": "d",
    "ł": "l",
    "ı": "i",
}
BACK = ((("ae", "ä"), ("oe", "ö"), ("ue", "ü"), ("ss", "ß")), (("ae", "æ"), ("oe", "ø"), ("aa", "å")))


def _paired(letters: str, *latin: str) -> dict[str, str]:
    return dict(zip(letters, " ".join(latin).split(" "), strict=True))


def _listed(latin: str) -> tuple[str, ...]:
    return tuple(latin.split(" "))


CYRILLIC = _paired(
    "абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґўђјљњћџѓќѕ",
    "a b v g d e e zh z i y k l m n o p r s t u f kh ts ch sh shch  y  e yu ya i yi ye g u dj j lj nj c dz g k dz",
)
CYRILLIC_ICAO = CYRILLIC | {"й": "i", "ъ": "ie", "ю": "iu", "я": "ia", "ї": "i", "є": "ie", "ґ": "g"}
CYRILLIC_PLAIN = CYRILLIC | {
    "ж": "j",
    "х": "h",
    "ц": "c",
    "щ": "sch",
    "ю": "ju",
    "я": "ja",
    "й": "j",
    "ё": "yo",
}
GREEK = _paired("αβγδεζηθικλμνξοπρσςτυφχψω", "a v g d e z i th i k l m n x o p r s s t y f ch ps o")
GREEK_PAIRS = (("ου", "ou"), ("αυ", "av"), ("ευ", "ev"), ("μπ", "b"), ("γγ", "ng"), ("γκ", "gk"))
KANA = _paired(
    "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをん",
    "a i u e o ka ki ku ke ko sa shi su se so ta chi tsu te to na ni nu ne no ha hi fu he ho",
    "ma mi mu me mo ya yu yo ra ri ru re ro wa o n",
)
KANA |= _paired(
    "がぎぐげござじずぜぞだぢづでどばびぶべぼぱぴぷぺぽ",
    "ga gi gu ge go za ji zu ze zo da ji zu de do ba bi bu be bo pa pi pu pe po",
)
SMALL_KANA = {"ゃ": "ya", "ゅ": "yu", "ょ": "yo"}
INITIALS = _listed("g kk n d tt r m b pp s ss  j jj ch k t p h")
VOWELS = _listed("a ae ya yae eo e yeo ye o wa wae oe yo u wo we wi yu eu ui i")
FINALS = _listed(" k k k n n n t l k m p l l p l m p p t t ng t t k t p t")
