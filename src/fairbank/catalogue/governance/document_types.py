"""What type a document is, by its content, and what may stand in its name.

A name and an announced type are only claims; what a document is served as follows from its bytes.
"""

from __future__ import annotations

import unicodedata
import zipfile
from pathlib import Path
from typing import Final

from fairbank.catalogue.governance.request_errors import AttachmentRefused

PDF: Final = "application/pdf"
PNG: Final = "image/png"
JPEG: Final = "image/jpeg"
TEXT: Final = "text/plain"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ODT: Final = "application/vnd.oasis.opendocument.text"
EXTENSIONS: Final = {
    PDF: (".pdf",),
    PNG: (".png",),
    JPEG: (".jpg", ".jpeg"),
    TEXT: (".txt", ".md", ".csv"),
    DOCX: (".docx",),
    ODT: (".odt",),
}
LONGEST_NAME: Final = 120
_MOST_ENTRIES: Final = 5_000
_FORBIDDEN: Final = frozenset("<>:\"/\\|?*&'`")
_ALLOWED_CONTROLS: Final = frozenset("\t\n\r\f")
# Parts of a word-processor document that are programs, not text.
_PROGRAMS: Final = ("vbaproject.bin", "basic/", "scripts/")


def media_type_of(path: Path) -> str:
    """Return the media type of a document.

    Raises:
        AttachmentRefused: if it is none of those that are taken, or is not whole.

    Source: the signatures of PDF (ISO 32000, 7.5.2), PNG (ISO 15948, 5.2), JPEG (ITU T.81, B.1.1.3) and ZIP; the parts
    of Office Open XML (ECMA-376, part 2) and OpenDocument 1.3 (part 2, 3.3).
    """
    with path.open("rb") as opened:
        first = opened.read(16)
    if not first:
        raise _refused("It is empty.")
    if first.startswith(b"%PDF-"):
        return PDF
    if first.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if first.startswith(b"\xff\xd8\xff"):
        return JPEG
    if first.startswith(b"PK\x03\x04"):
        return _of_zip(path)
    if _is_text(path):
        return TEXT
    raise _refused("It is none of the types that are taken.")


def harmless_name(name: str, media_type: str) -> str:
    r"""Return a name without anything that a page, a shell or a file system could take for more than a name.

    >>> harmless_name("../<b>plan</b>.html", "application/pdf")
    'b_.html.pdf'
    >>> harmless_name("Ethik\u202efdp.exe", "text/plain")
    'Ethikfdp.exe.txt'
    """
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    # Category C: controls, marks that turn the direction of writing, halves of pairs, what is not assigned.
    kept = "".join(each for each in last if not unicodedata.category(each).startswith("C"))
    safe = "".join("_" if each in _FORBIDDEN else each for each in kept)
    safe = " ".join(safe.split()).strip(" ._")
    usual = EXTENSIONS[media_type]
    stem = safe if safe.lower().endswith(usual) else f"{safe or 'document'}{usual[0]}"
    if len(stem) > LONGEST_NAME:
        extension = next(each for each in usual if stem.lower().endswith(each))
        stem = stem[: LONGEST_NAME - len(extension)] + extension
    return stem


def _of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if len(entries) > _MOST_ENTRIES:
                raise _refused("It is a ZIP file of thousands of parts.")
            said = b""
            if names and names[0] == "mimetype" and entries[0].file_size <= 100:
                said = archive.read(entries[0])
    except (zipfile.BadZipFile, ValueError, RuntimeError, NotImplementedError, EOFError, OSError) as err:
        raise _refused("It is a ZIP file that is not whole.") from err
    lower = [name.lower() for name in names]
    if any(name.endswith(_PROGRAMS[0]) or name.startswith(_PROGRAMS[1:]) for name in lower):
        raise _refused("It holds macros, which are programs.")
    if said == ODT.encode() and "content.xml" in lower:
        return ODT
    if "[content_types].xml" in lower and "word/document.xml" in lower:
        return DOCX
    raise _refused("It is a ZIP file, but no text document.")


def _is_text(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", newline="") as opened:
            while piece := opened.read(1 << 16):
                if any(
                    unicodedata.category(each) == "Cc" and each not in _ALLOWED_CONTROLS for each in piece
                ):
                    return False
    except UnicodeDecodeError:
        return False
    return True


def _refused(reason: str) -> AttachmentRefused:
    return AttachmentRefused(
        f"The document was not taken. {reason}",
        why="Documents are PDF, PNG, JPEG, plain text (UTF-8), DOCX or ODT, told by their content, not by their name.",
        todo="Save it as PDF and attach that.",
    )
