"""Write src/fairbank/ontology/_segmented_properties.py from the context groups that pydicom carries.

    .venv/bin/python tools/build_segmented_properties.py

What a segment shows is a code of DICOM PS3.16, CID 7151 "Segmentation Property Type". The groups of devices, of
artefacts and of abstract things (background) in it are left out: a catalogue is asked for anatomy and for lesions.
"""

from __future__ import annotations

import re
from pathlib import Path

import pydicom
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

TARGET = Path(__file__).resolve().parents[1] / "src" / "fairbank" / "ontology" / "_segmented_properties.py"
GROUP = 7151
LEFT_OUT = frozenset({7157, 7158, 7165, 7193, 7196})
SCHEMES = ("SCT", "NCIt", "FMA")
HEADER = '''"""What a segment can show: codes of DICOM PS3.16, CID 7151, and words for them. Generated: do not edit.

Made by tools/build_segmented_properties.py from pydicom {version}, without the groups of devices, artefacts and
abstract things. A row is: scheme, code, the former SNOMED-RT code that older files have (or -), and the code's meaning
with signs replaced that a published word may not have. Codes only: the SNOMED CT hierarchy is licensed, and not here.
"""

from __future__ import annotations

from typing import Final

# fmt: off
ROWS: Final[tuple[tuple[str, str, str, str], ...]] = (
'''


def main() -> None:
    """Write the table."""
    lines = [f'    ("{scheme}", "{code}", "{former}", "{word}"),' for scheme, code, former, word in rows()]
    TARGET.write_text(
        HEADER.format(version=pydicom.__version__) + "\n".join(lines) + "\n)\n", encoding="utf-8"
    )


def rows() -> list[tuple[str, str, str, str]]:
    """Return the rows of the table, by scheme and word."""
    found = set()
    for scheme in SCHEMES:
        for by_code in concepts[scheme].values():
            for code, (meaning, groups) in by_code.items():
                if GROUP in groups and LEFT_OUT.isdisjoint(groups):
                    former = mapping["SCT"].get(code, "-") if scheme == "SCT" else "-"
                    found.add((scheme, code, former, published_word(meaning)))
    return sorted(found, key=lambda row: (SCHEMES.index(row[0]), row[3], row[1]))


def published_word(meaning: str) -> str:
    """Return a code's meaning in the signs that the release gate lets through."""
    return re.sub(r"[^A-Za-z0-9.,() -]", "-", meaning.replace("'", ""))


if __name__ == "__main__":
    main()
