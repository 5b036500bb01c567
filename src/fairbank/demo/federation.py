"""The staged federation: one hub and three nodes, each a process with a home folder, keys and an archive of its own."""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairbank.catalogue import nodes
from fairbank.catalogue.accounts import Role, create_account
from fairbank.catalogue.context import init_hub, open_hub
from fairbank.catalogue.governance import membership
from fairbank.clock import Clock
from fairbank.database import writing
from fairbank.demo.biobanks import BIOBANKS, Biobank, fill_archives
from fairbank.demo.processes import Processes, free_port
from fairbank.demo.small_cohorts import allow_small_trainings
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.release.node import Node, enrol, init_node, open_node
from fairbank.release.people import Signer, add_person, unlock
from fairbank.settings import FILE_NAME, Settings, load
from fairbank.web.api_client import HubApi

SOURCE = "archive"
ARCHIVE_USER = "reader"
RESEARCHER, MEMBER, SECOND = "ada", "grace", "hedy"
# Who has an account at the hub: role, and where she works.
PEOPLE = {
    RESEARCHER: (Role.RESEARCHER, "University of Example"),
    MEMBER: (Role.COMMITTEE, "Harbour Hospital"),
    SECOND: (Role.COMMITTEE, "Southvale Clinic"),
    # In the story these two do nothing: they are for who goes on by hand, in the pages.
    "maria": (Role.RESEARCHER, "Institute of Example"),
    "ida": (Role.ADMIN, "the hub's operator"),
}
# All bundled files together hold some forty patients, so the default of ten would leave nothing to see.
DEMO_K = 2
_PAGES_LINK = re.compile(r"http://127\.0\.0\.1:\d+/start/\S+")


@dataclass(frozen=True, slots=True)
class Site:
    """A biobank's node as the demo drives it, in its curator's place."""

    biobank: Biobank
    node: Node
    files: int
    curator: Signer


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are: for the one who keeps the demo running.

    Attributes:
        hub_port: port of the hub; 0 takes a free one.
        nodes_reach_hub_at: another address under which the nodes reach the hub, such as a recording relay's.
    """

    home: Path
    hub_port: int = 0
    nodes_reach_hub_at: str | None = None


class Federation:
    """Sets the federation up and holds what the story needs."""

    def __init__(self, places: Places, processes: Processes, clock: Clock) -> None:
        self.home = places.home
        self.processes = processes
        self.clock = clock
        self.hub_port = places.hub_port or free_port()
        self.hub_url = f"http://127.0.0.1:{self.hub_port}"
        self.node_hub_url = places.nodes_reach_hub_at or self.hub_url
        self.passwords = {name: secrets.token_urlsafe(12) for name in PEOPLE}
        self.sites: list[Site] = []

    def start_hub(self) -> None:
        """Make the hub with its accounts, and start it."""
        home = self.home / "hub"
        given = self._home(home, {"hub": {"url": self.hub_url, "port": self.hub_port}})
        hub = init_hub(given, self.clock, public_base_iri=self.hub_url)
        with writing(hub.engine) as session:
            for name, (role, organisation) in PEOPLE.items():
                create_account(
                    session,
                    hub,
                    name=name,
                    password=self.passwords[name],
                    roles=[role],
                    organisation=organisation,
                )
            self._tokens = {
                biobank.name: nodes.invite(session, hub, actor="operator", node=biobank.name)
                for biobank in BIOBANKS
            }
        self._hub_key = hub.key.public.fingerprint
        hub.queries.close()
        hub.engine.dispose()
        self.processes.start("hub", ["fairbank", "--home", str(home), "hub", "run"])
        self.processes.wait_until("hub", lambda: self._answers(self.hub_url + "/healthz"))

    def start_archives(self) -> dict[str, int]:
        """Give each biobank its files and start its stand-in for an XNAT; return how many files each has."""
        archives = self.home / "archives"
        self._files = fill_archives(archives)
        self._archive_urls = {}
        for biobank in BIOBANKS:
            port = free_port()
            self._archive_urls[biobank.name] = f"http://127.0.0.1:{port}"
            secret = self._archive_secret(biobank)
            arguments = ["--root", str(archives / biobank.name), "--port", str(port), "--user", ARCHIVE_USER]
            module = "fairbank.harvest.xnat_standin"
            self.processes.start(_archive(biobank), [module, *arguments, "--password-file", str(secret)])
        for biobank in BIOBANKS:
            url = self._archive_urls[biobank.name] + "/data/version"
            self.processes.wait_until(_archive(biobank), lambda url=url: self._answers(url))  # type: ignore[misc]
        return self._files

    def start_nodes(self) -> None:
        """Make and enrol the three nodes, connect their archives, name a person at each, and start their agents."""
        for biobank in BIOBANKS:
            home = self.home / biobank.name
            tables: dict[str, dict[str, str | int]] = {
                "hub": {"url": self.node_hub_url},
                "release": {"minimum_count": DEMO_K},
            }
            given = self._home(home, tables)
            node = init_node(given, self.clock, name=biobank.name, title=biobank.title)
            enrol(node, hub_url=self.node_hub_url, token=self._tokens[biobank.name], hub_key=self._hub_key)
            add_source(
                node,
                SOURCE,
                kind=SourceKind.XNAT,
                location=self._archive_urls[biobank.name],
                user=ARCHIVE_USER,
                secret_file=self._archive_secret(biobank),
            )
            opened = open_node(given, self.clock)
            curator = self._name_curator(opened, biobank)
            # Two subjects of a library's example files are fewer than a site with patients would train on.
            allow_small_trainings(opened, minimum_subjects=DEMO_K, minimum_images=DEMO_K, signer=curator)
            self.sites.append(Site(biobank, opened, self._files[biobank.name], curator))
            self.start_agent(biobank.name)

    def set_up_committee(self) -> None:
        """Let two people decide about what the three biobanks hold, as the hub's operator would: four eyes."""
        hub = open_hub(load(flags={"home": self.home / "hub"}, environ={})[0], self.clock)
        wish = membership.NewCommittee(title="Access committee", quorum=2, four_eyes=True)
        with writing(hub.engine) as session:
            committee = membership.create(session, hub, wish, actor="operator").id
            for biobank in BIOBANKS:
                scope = membership.Scope(node=biobank.name)
                membership.add_scope(session, hub, committee, scope, actor="operator")
            for name in (MEMBER, SECOND):
                membership.add_member(session, hub, committee, name, chair=name == MEMBER, actor="operator")
        hub.queries.close()
        hub.engine.dispose()

    def start_agent(self, name: str) -> None:
        """Start a node's agent, for the first time or again."""
        self.processes.start(f"node-{name}", ["fairbank", "--home", str(self.home / name), "node", "run"])

    def open_pages(self, name: str) -> str:
        """Start the pages of a node and return the link that opens them: once, within a quarter of an hour."""
        process = f"pages-{name}"
        self.processes.start(process, ["fairbank", "--home", str(self.home / name), "node", "pages"])
        self.processes.wait_until(process, lambda: bool(self.processes.found(process, _PAGES_LINK)))
        return self.processes.found(process, _PAGES_LINK)

    def person(self, name: str) -> HubApi:
        """Return the logged-in client of one of the three people, with a home of her own."""
        home = self.home / name
        given = self._home(home, {"hub": {"url": self.hub_url}})
        api = HubApi.from_home(given, self.clock)
        api.login(name, self.passwords[name])
        api.register_key()
        return api

    def command(self, home: str) -> str:
        """Return how a person would start a command in one of the homes."""
        program = "fairbank" if Path(sys.argv[0]).name == "fairbank" else f"{sys.executable} -m fairbank"
        return f"{program} --home {self.home / home}"

    def _home(self, home: Path, tables: Mapping[str, Mapping[str, str | int]]) -> Settings:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = []
        for table, values in tables.items():
            lines.append(f"[{table}]")
            lines += [f"{key} = {_toml(value)}" for key, value in values.items()]
        (home / FILE_NAME).write_text("\n".join(lines) + "\n")
        return load(flags={"home": home}, environ={})[0]

    def passphrase_file(self, biobank: Biobank) -> Path:
        """Return the file with the passphrase of a biobank's curator, who would keep it in her head."""
        return self._secret(f"{biobank.curator}.passphrase")

    def _name_curator(self, node: Node, biobank: Biobank) -> Signer:
        phrase = self.passphrase_file(biobank).read_text()
        add_person(node, biobank.curator, phrase)
        return unlock(node, biobank.curator, phrase)

    def _archive_secret(self, biobank: Biobank) -> Path:
        return self._secret(f"{biobank.name}.archive")

    def _secret(self, name: str) -> Path:
        path = self.home / "secrets" / name
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(16))
        return path

    def _answers(self, url: str) -> bool:
        import httpx

        try:
            return httpx.get(url, timeout=2, trust_env=False).status_code < 500
        except httpx.HTTPError:
            return False


def _archive(biobank: Biobank) -> str:
    return f"archive-{biobank.name}"


def _toml(value: str | int) -> str:
    return str(value) if isinstance(value, int) else f'"{value}"'
