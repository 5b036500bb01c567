"""One run of the demo: its processes, its story, and what it leaves."""

from __future__ import annotations

import time
from pathlib import Path

from fairbank.clock import Clock
from fairbank.demo.biobanks import DemoError
from fairbank.demo.federation import PEOPLE, Places
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
        """Start the nodes' pages, print where everything is and who signs in with what, and wait until interrupted."""
        federation, say = self.story.federation, self._teller.say
        say(f"\nEverything runs. Pages of the hub: {federation.hub_url}")
        for name, password in federation.passwords.items():
            say(f"  sign in as {name} ({PEOPLE[name][0].value}), password {password}")
            if (self.home / name).exists():
                say(f"      or: {federation.command(name)} whoami")
        say("Pages of the biobanks' nodes; a link works once, within 15 minutes:")
        for site in federation.sites:
            biobank = site.biobank
            secret = federation.passphrase_file(biobank)
            say(f"  {biobank.title}: {federation.open_pages(biobank.name)}")
            say(f"      you are {biobank.curator}, passphrase {secret.read_text()}")
            say(f"      another link: {federation.command(biobank.name)} node pages")
            say(f"      or: {federation.command(biobank.name)} node jobs list")
            say(f"      (who decides there: --as {biobank.curator} --passphrase-file {secret})")
        say(f"The operator's commands: {federation.command('hub')} hub accounts")
        say("To follow by hand in the pages: docs/tutorial/the-demo-in-pages.md")
        self._teller.say("Ctrl-C stops it.")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            self._teller.say("Stopping.")
