"""Write docs/reference/settings.md from the fields of `fairbank.settings.Settings`.

    .venv/bin/python tools/build_settings_page.py

A test compares the page with what this would write.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from fairbank.settings import FILE_NAME, Settings

TARGET = Path(__file__).resolve().parent.parent / "docs" / "reference" / "settings.md"
_HEAD = f"""\
# Settings

Generated from the code by `tools/build_settings_page.py`; change it there.

A value is taken from the first of these that names it: a command-line flag, the environment (`FAIRBANK_HUB_PORT`),
the file `{FILE_NAME}` in the home folder (`port = 8470` in the table `[hub]`), the default. `fairbank config show`
prints each value and where it came from. Unknown settings are refused.

| setting | default | unit | what it is |
|---|---|---|---|
"""


def settings_page() -> str:
    """Return the Markdown of the page."""
    rows = []
    for setting in fields(Settings):
        default = f"`{setting.default}`" if str(setting.default) else "(empty)"
        words = setting.metadata["words"]
        choice = f" (one of {', '.join(f'`{word}`' for word in words)})" if words else ""
        least = setting.metadata["least"]
        bound = f" (at least {least})" if least is not None else ""
        unit = setting.metadata["unit"] or "–"
        help_text = setting.metadata["help"]
        rows.append(f"| `{setting.name}` | {default} | {unit} | {help_text}{choice}{bound} |")
    return _HEAD + "\n".join(rows) + "\n"


def main() -> None:
    """Write the page."""
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(settings_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
