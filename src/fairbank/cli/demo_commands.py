"""`fairbank demo`: three biobanks from raw DICOM to a federated model, on this machine."""

from __future__ import annotations

import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_rows
from fairbank.cli.session import CLOCK

if TYPE_CHECKING:
    from fairbank.demo.report import DemoReport

app = typer.Typer()


@app.command()
def demo(
    report: Annotated[Path | None, typer.Option(help="Write the figures to this file (JSON).")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave it all running; print addresses and log-ins.")
    ] = False,
    home: Annotated[Path | None, typer.Option(help="Empty folder for all that the demo makes.")] = None,
    rounds: Annotated[int, typer.Option(help="Rounds of training.", min=1, max=50)] = 10,
    format: FormatOption = Format.TABLE,
) -> None:
    """Watch three biobanks go from raw DICOM to a federated model that a committee allowed.

    Example: fairbank demo --report report.json
    """
    from fairbank.demo.run import DemoRun, check_home
    from fairbank.errors import MissingExtra

    if report is not None and not report.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {report.absolute().parent} for the report")
    place = check_home(home) if home else Path(tempfile.mkdtemp(prefix="fairbank-demo-"))
    # SIGTERM ends the demo as Ctrl-C does: all its processes with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with DemoRun(place, clock=CLOCK, rounds=rounds) as run:
            told = run.tell()
            told.move_results(_keep_results(place, temporary=home is None and not keep))
            if report is not None:
                told.write(report)
            _show(told, format)
            if keep:
                run.wait()
            else:
                say(
                    "Look further: fairbank demo --keep leaves it running; "
                    "docs/tutorial walks through each step by hand."
                )
    except (KeyboardInterrupt, MissingExtra):
        _clear(place, temporary=home is None)
        raise
    # After another error the logs are wanted, so the folder stays.
    _clear(place, temporary=home is None)


def _show(told: DemoReport, format: Format) -> None:
    show_rows(told.rows(), columns=("what", "value"), format=format)
    say(f"Plot: {told.analysis.plot}")
    say(f"Table: {told.analysis.table}")


def _clear(place: Path, *, temporary: bool) -> None:
    if temporary:
        shutil.rmtree(place, ignore_errors=True)


def _keep_results(place: Path, *, temporary: bool) -> Path:
    """Return the folder of the results; where the rest is removed afterwards, they are copied to `demo-results`."""
    results = place / "results"
    if not temporary:
        return results
    kept = Path("demo-results").absolute()
    kept.mkdir(exist_ok=True)
    for file in results.iterdir():
        shutil.copyfile(file, kept / file.name)
    return kept
