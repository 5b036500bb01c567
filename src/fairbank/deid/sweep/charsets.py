"""Text as bytes in every character set that DICOM knows and that can write it (DICOM PS3.3, C.12.1.1.2)."""

from __future__ import annotations

import re
from functools import lru_cache

# Python's names of ISO_IR 100, 101, 109, 110, 148, 203, 144, 126, 127, 138, 166, 13, 192, GB18030 and GBK; ISO 2022
# IR 149 and 58 write the bytes of EUC-KR and GB 2312. The rest is what devices write and do not declare.
_ENCODINGS = (
    "latin_1",
    "iso8859_2",
    "iso8859_3",
    "iso8859_4",
    "iso8859_9",
    "iso8859_15",
    "iso8859_5",
    "iso8859_7",
    "iso8859_6",
    "iso8859_8",
    "tis_620",
    "shift_jis",
    "utf_8",
    "gb18030",
    "gbk",
    "euc_kr",
    "gb2312",
    "euc_jp",
    "big5",
    "cp1250",
    "cp1251",
    "cp1252",
    "cp1253",
    "koi8_r",
    "mac_roman",
    "cp850",
)
_WIDE = ("utf_16_le", "utf_16_be")
# ISO 2022 IR 87 and 159 write seven-bit pairs between escapes, which are left out.
_SHIFTED = ("iso2022_jp", "iso2022_jp_1")
_ESCAPES = re.compile(rb"\x1b[$(][()]?[A-Z@]")


@lru_cache(maxsize=1024)
def written(text: str) -> frozenset[bytes]:
    """Return a text's bytes in every character set that can write it, ASCII letters in lower case.

    >>> {"Ö".encode("latin-1"), "Ö".encode("utf-8"), "Ö".encode("utf-16-le")} <= written("Ö")
    True
    """
    forms = {encoded for name in _WIDE if (encoded := _encoded(text, name))}
    if text.isascii():
        return frozenset({*(form.lower() for form in forms), text.encode("ascii").lower()})
    forms |= {encoded for name in _ENCODINGS if (encoded := _encoded(text, name))}
    forms |= {_ESCAPES.sub(b"", encoded) for name in _SHIFTED if (encoded := _encoded(text, name))}
    return frozenset(form.lower() for form in forms)


def _encoded(text: str, name: str) -> bytes:
    try:
        return text.encode(name)
    except UnicodeEncodeError:
        return b""
