"""One run of the demo: its processes, its story, and what it leaves."""

from __future__ import annotations

import time
from pathlib import Path

from fairbank.clock import Clock
from fairbank.demo.biobanks import DemoError
from fairbank.demo.federation import Places
from fairbank.demo.processes import Processes
from fairbank.demo.report import DemoReport
from fairbank.demo.story import ROUNDS, Options, Story
from fairbank.demo.telling import Teller
from fairbank.errors import MissingExtra


def check_home(home: Path) -> Path:
    """Return an absolute, empty folder.

    Raises:
        DemoError: if there is something in it already.
    """
    home.mkdir(parents=True, exist_ok=True)
    if any(home.iterdir()):
        raise DemoError(
            f"The folder {home} is not empty.",
            why="The demo makes its homes, keys and databases in it and overwrites nothing.",
            todo="Name another folder, or remove this one.",
        )
    return home.absolute()


def check_extras() -> None:
    """Refuse to begin a demo that cannot end.

    Raises:
        MissingExtra: if torch, MONAI or pydicom-data is not installed.
    """
    import importlib.util

    # The last is what pydicom-data installs.
    for module in ("torch", "monai", "ignite", "data_store"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtra.named("demo", needed_for="The demo")


class DemoRun:
    """Owns the processes of one demo; leaving it stops them all."""

    def __init__(
        self,
        home: Path,
        *,
        clock: Clock,
        rounds: int = ROUNDS,
        places: Places | None = None,
        quiet: bool = False,
    ) -> None:
        check_extras()
        self.home = home
        self.processes = Processes(home / "logs")
        self._teller = Teller(quiet=quiet)
        options = Options(places or Places(home), rounds=rounds)
        self.story = Story(options, self.processes, self._teller, clock)

    def __enter__(self) -> DemoRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.stop_all()

    def tell(self) -> DemoReport:
        """Run the whole story and return its report."""
        return self.story.tell()

    def wait(self) -> None:
        """Print where everything is and wait until interrupted."""
        federation = self.story.federation
        self._teller.say(f"\nEverything runs. Hub: {federation.hub_url}")
        for name, password in federation.passwords.items():
            self._teller.say(f"  {federation.command(name)} whoami     (password of {name}: {password})")
        for site in federation.sites:
            biobank = site.biobank
            self._teller.say(f"  {federation.command(biobank.name)} node jobs list")
            secret = federation.passphrase_file(biobank)
            self._teller.say(f"      (who decides there: --as {biobank.curator} --passphrase-file {secret})")
        self._teller.say(f"  {federation.command('hub')} hub accounts")
        self._teller.say("Ctrl-C stops it.")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            self._teller.say("Stopping.")
