"""Write the next step of a history from what the models say and the last step left.

    .venv/bin/python tools/make_migration.py hub "visas remember who revoked them"

The step lands in src/fairbank/migrations/<history>/versions/YYYY_MM_DD_what.py. Read it before it is committed: a
renamed column looks like one dropped and one added.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from alembic import command

from fairbank import migrations
from fairbank.database import connect


def main() -> None:
    """Write the step and format it."""
    parser = argparse.ArgumentParser(description="Write the next step of a database history.")
    parser.add_argument("history", choices=["hub", "node"])
    parser.add_argument("message", help="what changes, in a few words; it becomes the file's name")
    arguments = parser.parse_args()
    print(write_step(arguments.history, arguments.message))


def write_step(history: migrations.History, message: str) -> Path:
    """Write a step into the package and return its file."""
    with tempfile.TemporaryDirectory() as folder:
        engine = connect(f"sqlite:///{folder}/empty.db")
        if migrations.has_versions(history):
            migrations.upgrade(engine, history)
        config = migrations.configuration(history)
        config.attributes["compare"] = True
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            script = command.revision(config, message=message, autogenerate=True)
        engine.dispose()
    assert script is not None and not isinstance(script, list)
    path = Path(script.path)
    lines = path.read_text(encoding="utf-8").splitlines()
    # Alembic's own remarks say nothing to a reader.
    path.write_text("\n".join(line for line in lines if "# ###" not in line) + "\n", encoding="utf-8")
    for tidy in (["check", "--fix", "--quiet"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *tidy, str(path)], check=False)
    return path


if __name__ == "__main__":
    main()
