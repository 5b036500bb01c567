"""How long `fairbank --help` takes, against a bare typer application in the same run.

Goals: at most twice the bare application (median of alternating runs), and none of the heavy libraries imported.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

HEAVY = ("torch", "monai", "dask", "matplotlib", "pandas")
BARE = """
import typer
app = typer.Typer(help="A bare application.")
@app.command()
def one(name: str = "x") -> None:
    "Do one thing."
@app.command()
def two(name: str = "x") -> None:
    "Do another thing."
app()
"""
OURS = "from fairbank.cli.main import main; main()"
LOADED = """
import sys
sys.argv = ["fairbank", "--help"]
try:
    from fairbank.cli.main import main; main()
except SystemExit:
    pass
print("\\n" + " ".join(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


def _seconds(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def measure(runs: int) -> dict[str, object]:
    """Return the figures of alternating runs, the goals, and whether they are met."""
    _seconds(BARE), _seconds(OURS)  # both warm: bytecode compiled, files in the page cache
    pairs = [(_seconds(BARE), _seconds(OURS)) for _ in range(runs)]
    bare_s = statistics.median(bare for bare, _ in pairs)
    ours_s = statistics.median(ours for _, ours in pairs)
    listed = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True).stderr
    heavy = sorted(set(listed.split()) & set(HEAVY))
    ratio = ours_s / bare_s
    return {
        "figures": {
            "bare_s": round(bare_s, 4),
            "ours_s": round(ours_s, 4),
            "ratio": round(ratio, 3),
            "heavy": heavy,
        },
        "goals": {"ratio": "<= 2", "heavy": "none"},
        "met": {"ratio": ratio <= 2, "heavy": not heavy},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=9)
    given = parser.parse_args()
    print(json.dumps(measure(given.runs), indent=None if given.json else 2))
