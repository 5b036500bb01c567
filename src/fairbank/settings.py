"""Settings: defaults < `fairbank.toml` < `FAIRBANK_*` < command-line flag, each with where it came from.

Each setting is one line with name, default, unit and help. In `fairbank.toml` the part before the first
underscore is the table: `hub_port` is `port` in `[hub]`. No secret has a default; secrets are read from files
of mode 0600.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from fairbank.errors import FairbankError, Kind

FILE_NAME = "fairbank.toml"
_PREFIX = "FAIRBANK_"
# Variables of the test suite, not settings.
_NOT_SETTINGS = frozenset(
    {
        "FAIRBANK_BROWSER",
        "FAIRBANK_CHEST_CT",
        "FAIRBANK_DATA",
        "FAIRBANK_DEBUG",
        "FAIRBANK_LIVE_XNAT",
        "FAIRBANK_LIVE_XNAT_PASSWORD_FILE",
        "FAIRBANK_LIVE_XNAT_USER",
        "FAIRBANK_PICTURES",
        "FAIRBANK_TEST_POSTGRES",
    }
)


class SettingsError(FairbankError):
    """A setting is unknown, unreadable, or out of its range."""

    code = "FB-CORE-001"
    kind = Kind.MISUSE


def _setting(
    default: Any, help: str, *, unit: str = "", least: int | None = None, words: tuple[str, ...] = ()
) -> Any:
    return field(default=default, metadata={"help": help, "unit": unit, "least": least, "words": words})


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one process, made once and passed down."""

    home: Path = _setting(Path("~/.fairbank"), "folder of databases, keys and stores")  # noqa: RUF009  immutable
    hub_url: str = _setting("http://127.0.0.1:8470", "address of the hub, for nodes and for the command line")
    hub_host: str = _setting("127.0.0.1", "address that the hub listens on")
    hub_port: int = _setting(8470, "port that the hub listens on", least=0)
    hub_public_base_iri: str = _setting(
        "", "base of all IRIs the hub mints; fixed by 'hub init', never changed after"
    )
    hub_database: str = _setting("", "SQLAlchemy address of the hub's database; empty: SQLite in home")
    hub_certificate: str = _setting("", "PEM file of the hub's TLS certificate chain; empty: plain HTTP")
    hub_private_key: str = _setting("", "PEM file of the hub's TLS private key")
    hub_authority: str = _setting(
        "", "PEM file of the authority that clients trust for the hub; empty: the system's"
    )
    hub_allow_plain_http: str = _setting(
        "no",
        "whether a hub on another machine may be spoken to without TLS",
        words=("no", "yes"),
    )
    hub_country: str = _setting("", "country of the hub, ISO 3166-1 code such as NL; empty: not told")
    hub_trusted_proxies: str = _setting(
        "", "addresses of proxies whose X-Forwarded-For is believed, with spaces between; empty: none"
    )
    hub_contact: str = _setting(
        "",
        "whom people ask for help, shown on the hub's help page: a name, a telephone number, an e-mail address",
    )
    hub_development: str = _setting(
        "no",
        "whether the hub serves what only its developers need, such as the page of styles",
        words=("no", "yes"),
    )
    hub_page_keys: str = _setting(
        "yes",
        "whether people may have the hub keep a signing key for its pages, opened by their passphrase each time",
        words=("no", "yes"),
    )
    accounts_totp_required: str = _setting(
        "no",
        "whether administrators, curators and committee members must have a second factor",
        words=("no", "yes"),
    )
    accounts_session_idle_minutes: int = _setting(
        60, "how long a browser's log-in lives without a request", unit="min", least=1
    )
    accounts_session_hours: int = _setting(12, "how long a browser's log-in lives at most", unit="h", least=1)
    accounts_programs_days: int = _setting(365, "longest life of an API token", unit="days", least=1)
    limits_account_requests: int = _setting(
        6_000, "most requests of one account or token; 0: no limit", unit="1/min", least=0
    )
    limits_origin_requests: int = _setting(
        6_000, "most requests from one address without an account; 0: no limit", unit="1/min", least=0
    )
    limits_node_requests: int = _setting(
        60_000, "most signed requests of one node; 0: no limit", unit="1/min", least=0
    )
    limits_uploads: int = _setting(
        12, "pieces of uploads that one process of the hub takes in at the same time", least=1
    )
    limits_claims: int = _setting(
        2_000, "claims that may wait at one process of the hub at the same time", least=1
    )
    oidc_issuer: str = _setting("", "issuer of the provider of identities (OpenID Connect); empty: none")
    oidc_client_id: str = _setting("", "what the provider calls this hub")
    oidc_client_secret_file: str = _setting(
        "", "file of mode 0600 with the secret that the provider gave; empty: a public client"
    )
    oidc_scopes: str = _setting("openid profile", "what the provider is asked for, with spaces between")
    oidc_name_claim: str = _setting("preferred_username", "claim that a new account is named after")
    oidc_organisation_claim: str = _setting("", "claim that says where a person works; empty: none")
    oidc_new_accounts: str = _setting(
        "yes",
        "whether whom the provider knows and the hub does not becomes a researcher, or is refused",
        words=("yes", "no"),
    )
    node_name: str = _setting("", "name that the node enrolled with")
    node_database: str = _setting("", "SQLAlchemy address of the node's database; empty: SQLite in home")
    node_country: str = _setting("", "country of the node, ISO 3166-1 code such as NL; empty: not told")
    node_results_may_go: str = _setting(
        "any",
        "where results may go: 'any', or country codes, 'EEA', 'adequate', 'own', with spaces between",
    )
    node_updates_may_go: str = _setting("any", "where model updates may go, in the same words")
    node_peers_may_be: str = _setting(
        "any", "where the other sites of a training job may be, in the same words"
    )
    node_store: str = _setting("", "folder of the research store; empty: 'store' in home")
    node_controller: str = _setting("", "who answers for the processing at the node (GDPR), for its reports")
    node_data_protection_officer: str = _setting(
        "", "how the node's data protection officer is reached, for its reports"
    )
    node_four_eyes: str = _setting(
        "no",
        "whether two persons of the node have to let something go before it leaves",
        words=("no", "yes"),
    )
    node_hub_unsealed_hours: int = _setting(
        6,
        "how long the hub may work and seal nothing of its audit log before the node warns",
        unit="h",
        least=1,
    )
    node_countersign: str = _setting(
        "not-needed",
        "whether a person of the node has to countersign a grant before jobs run under it",
        words=("not-needed", "required"),
    )
    node_tells_progress: str = _setting(
        "yes",
        "whether the hub is told how far a round is here, in steps of which each stands for enough subjects",
        words=("yes", "no"),
    )
    node_live_counts: str = _setting(
        "ask",
        "which live counts the node answers by itself: none and no others, none but by a person's word, those under a "
        "grant, or all",
        words=("never", "ask", "granted", "all"),
    )
    node_live_counts_a_month: int = _setting(
        100, "most different live counts of a dataset told in 30 days", least=0
    )
    node_overlays_days: int = _setting(
        30, "how long pictures that tools make for the site's curator are kept", unit="days", least=0
    )
    node_policy_file: str = _setting(
        "",
        "file that says which jobs are approved without asking; empty: 'policy.toml' in home, if it is there",
    )
    node_remind_days: int = _setting(
        3,
        "after how long the node's people are reminded of a job that waits for them; 0: never",
        unit="days",
        least=0,
    )
    node_notice_program: str = _setting(
        "",
        "program that is given each notice to the node's people as a line of JSON; empty: they are only written down",
    )
    release_minimum_count: int = _setting(
        10, "smallest count of subjects that may leave a node (k)", unit="subjects", least=1
    )
    release_rounding_base: int = _setting(
        1, "what published counts are rounded to a multiple of; 1: not rounded", least=1
    )
    release_dominance_percent: int = _setting(
        85, "how much of a sum its two largest contributions may make up", unit="percent", least=1
    )
    release_p_percent: int = _setting(
        10,
        "within how much of it nobody may be able to work out the largest contribution to a sum",
        unit="percent",
        least=0,
    )
    release_sums_a_month: int = _setting(
        500, "most rounds of statistics over a dataset told in 30 days", least=0
    )
    release_publication_interval_days: int = _setting(
        30, "how long published counts of a dataset stay as they are; 0: no schedule", unit="days", least=0
    )
    release_automatic_approval: str = _setting(
        "none",
        "what leaves without a curator's approval, beside a dataset's first record, which always needs it",
        words=("none", "record"),
    )
    release_maximum_bytes: int = _setting(
        2_147_483_648, "largest single output that may leave a node", unit="bytes", least=1
    )
    sandbox_mode: str = _setting(
        "strict",
        "refuse to run unless isolation is proven, or run and report",
        words=("strict", "permissive"),
    )
    sandbox_memory_bytes: int = _setting(
        8_589_934_592, "memory of one job's worker", unit="bytes", least=268_435_456
    )
    sandbox_processes: int = _setting(256, "processes and threads of one job's worker", least=16)
    sandbox_threads: int = _setting(1, "compute threads of one job's worker", least=1)
    sandbox_cpus: int = _setting(
        0, "processors that one job may keep busy, where a control group can be made; 0: no limit", least=0
    )
    sandbox_cpu_s: int = _setting(
        0, "processor time of each process of a job; 0: no limit", unit="s", least=0
    )
    sandbox_wall_s: int = _setting(
        604_800, "longest time of one step of a job, whatever it asks for", unit="s", least=1
    )
    sandbox_scratch_bytes: int = _setting(
        17_179_869_184, "what one job may keep on disk", unit="bytes", least=16_777_216
    )
    sandbox_scratch_files: int = _setting(
        200_000, "files and folders that one job may keep on disk", least=100
    )
    sandbox_container_engine: str = _setting(
        "none",
        "what runs tools that are containers here; 'none': no such tool runs",
        words=("none", "apptainer", "docker", "podman"),
    )
    sandbox_container_folder: str = _setting(
        "", "folder of images for Apptainer, each named DIGEST.sif; empty: 'images' in home"
    )
    sandbox_gpus: str = _setting(
        "all",
        "NVIDIA devices that jobs may use: 'all', 'none', or their numbers with spaces between",
    )
    retention_requests_days: int = _setting(
        3650, "how long the hub keeps a request after its end", unit="days", least=30
    )
    retention_documents_days: int = _setting(
        365, "how long the hub keeps the documents of a request after its end", unit="days", least=0
    )
    retention_drafts_days: int = _setting(
        365, "how long the hub keeps a draft that nobody changes", unit="days", least=7
    )
    retention_notices_days: int = _setting(
        365, "how long the hub keeps a notice; of a request that goes on, until its end", unit="days", least=7
    )
    retention_tokens_days: int = _setting(
        30, "how long the hub keeps tokens after their end, and failed log-ins", unit="days", least=1
    )
    retention_uploads_days: int = _setting(
        7, "how long the hub keeps an upload that broke off", unit="days", least=1
    )
    analysis_workers: int = _setting(1, "series that a job of analysis measures at once", least=1)
    analysis_scheduler: str = _setting(
        "", "address of a Dask scheduler that measures instead, in permissive mode only; empty: none"
    )
    analysis_cluster: str = _setting(
        "none",
        "batch queue whose machines measure instead, in permissive mode only",
        words=("none", "slurm", "pbs", "sge", "lsf", "htcondor"),
    )
    analysis_cluster_jobs: int = _setting(2, "jobs that are put into that queue for one analysis", least=1)
    analysis_cluster_cores: int = _setting(
        1, "processes of each such job, one processor each; they share its memory", least=1
    )
    analysis_cluster_memory_bytes: int = _setting(
        4_294_967_296, "memory of each such job", unit="bytes", least=268_435_456
    )
    analysis_cluster_disk_bytes: int = _setting(
        4_294_967_296, "disk of each such job, which HTCondor wants to know", unit="bytes", least=1_048_576
    )
    analysis_cluster_wall_s: int = _setting(
        14_400, "how long each such job may last; not for HTCondor", unit="s", least=60
    )
    analysis_cluster_queue: str = _setting("", "queue or partition; empty: the site's usual one")
    analysis_cluster_account: str = _setting("", "account or project that pays; empty: the user's own")
    analysis_cluster_options: str = _setting(
        "",
        "further lines of the job's script with ';' between, such as '--exclusive; --constraint=fast', for HTCondor "
        "NAME=VALUE",
    )
    analysis_cluster_interface: str = _setting(
        "", "network interface that the queue's machines reach, such as 'ib0'; empty: the usual one"
    )
    analysis_cluster_folder: str = _setting(
        "", "folder on the queue's machines for what Dask keeps there; empty: where the job starts"
    )
    jobs_long_poll_s: int = _setting(25, "how long a claim waits for work", unit="s", least=0)
    jobs_lease_s: int = _setting(60, "how long a lease lives without renewal", unit="s", least=5)
    jobs_retries: int = _setting(
        2,
        "how often the hub itself has a job tried again at a site where a crash or a fault of the node stopped it",
        least=0,
    )
    jobs_at_once: int = _setting(1, "rounds of different jobs that a node computes at the same time", least=1)
    jobs_idle_workers: str = _setting(
        "auto",
        "whether a node that computes nothing keeps a worker of each kind ready for the next job; auto: where 8 GiB of "
        "memory are free and there are 4 processors",
        words=("auto", "no", "yes"),
    )
    jobs_memory_bytes: int = _setting(
        0,
        "memory of all workers of jobs together; 0: 'sandbox_memory_bytes' for each of 'jobs_at_once'",
        unit="bytes",
        least=0,
    )
    jobs_gpus: int = _setting(0, "GPUs that jobs may use at the same time, all together", least=0)
    jobs_withdrawal_notice_days: int = _setting(
        7,
        "within how long, at a moment drawn by chance, the hub is told that a job used a subject who withdrew since",
        unit="days",
        least=0,
    )
    jobs_model_file_bytes: int = _setting(
        2_147_483_648,
        "largest file of a model that a hub takes for jobs, and that a node fetches",
        unit="bytes",
        least=1_000,
    )
    jobs_chunk_bytes: int = _setting(8_388_608, "largest piece of an upload", unit="bytes", least=65_536)
    catalogue_attachment_bytes: int = _setting(
        20_000_000, "largest document of an access request", unit="bytes", least=1_000
    )
    sparql_timeout_s: int = _setting(10, "longest time of one query, waiting included", unit="s", least=1)
    sparql_maximum_rows: int = _setting(10_000, "largest answer of one query", unit="rows", least=1)
    sparql_memory_bytes: int = _setting(536_870_912, "memory of one query", unit="bytes", least=134_217_728)
    sparql_workers: int = _setting(
        3, "query workers kept ready; one fewer at a time go on with queries that take long", least=1
    )
    mail_smtp_host: str = _setting("", "mail server for notices; empty: they are appended to a file")
    mail_smtp_port: int = _setting(587, "port of the mail server", least=1)
    mail_smtp_tls: str = _setting(
        "starttls", "how the way to the mail server is encrypted", words=("starttls", "tls", "none")
    )
    mail_smtp_user: str = _setting("", "account at the mail server; empty: without logging in")
    mail_smtp_password_file: str = _setting("", "file (mode 0600) that holds its password")
    mail_from: str = _setting("", "address that notices come from")
    mail_file: str = _setting(
        "", "file that notices are appended to without a mail server; empty: 'mail.txt' in home"
    )
    letter_objection: str = _setting(
        "Write to the administrators of this hub within 30 days, and say what you object to and why; "
        "the committee then looks at it again. You may also correct the request and submit it anew.",
        "how to object, as letters about decisions say it",
    )
    fdp_index_urls: str = _setting(
        "", "indexes of FAIR Data Points to tell of the hub, with spaces between; empty: none"
    )
    harvest_timeout_s: int = _setting(120, "longest wait for an answer of an archive", unit="s", least=1)
    harvest_requests_per_s: int = _setting(20, "most requests sent to an archive", unit="1/s", least=1)
    harvest_page_items: int = _setting(
        200, "series that a harvest describes and commits together", unit="series", least=1
    )
    harvest_full_look_days: int = _setting(
        7, "after how long a harvest describes everything again, changed or not", unit="days", least=1
    )
    harvest_overlap_hours: int = _setting(
        48, "how far before the newest known change an archive is asked for changes", unit="h", least=48
    )
    harvest_hold_items: int = _setting(
        20, "most series that may vanish in one run without a curator's word", unit="series", least=0
    )
    harvest_hold_percent: int = _setting(
        10,
        "largest part of a container that may vanish in one run without a curator's word",
        unit="%",
        least=0,
    )
    harvest_workers: int = _setting(2, "most processes that read the headers of a folder", least=1)
    deid_workers: int = _setting(1, "processes that clean files", least=1)
    deface_command: str = _setting(
        "",
        "program that removes faces, with `{input}` and `{output}` for NIfTI files; empty for the built-in shear",
    )

    @property
    def hub_database_url(self) -> str:
        """Return the address of the hub's database."""
        return self.hub_database or f"sqlite:///{self.home / 'hub.db'}"

    @property
    def node_database_url(self) -> str:
        """Return the address of the node's database."""
        return self.node_database or f"sqlite:///{self.home / 'node.db'}"

    @property
    def store_path(self) -> Path:
        """Return the folder of the research store."""
        return Path(self.node_store) if self.node_store else self.home / "store"

    @property
    def keys_path(self) -> Path:
        """Return the folder of the private keys."""
        return self.home / "keys"


@dataclass(frozen=True, slots=True)
class Explained:
    """One setting with its value and where that came from."""

    name: str
    value: str
    origin: str
    unit: str
    help: str


def load(
    *,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> tuple[Settings, list[Explained]]:
    """Work out the settings, and for each where its value came from.

    Args:
        flags: values from the command line; None values are left out.
        environ: the environment; the process's own by default.
        file: a settings file to read instead of `fairbank.toml` in the home folder.

    Raises:
        SettingsError: if a setting is unknown, of the wrong type, or out of its range.
    """
    environ = os.environ if environ is None else environ
    given_flags = {name: value for name, value in (flags or {}).items() if value is not None}
    from_environ = _from_environ(environ)
    home = Path(str(given_flags.get("home") or from_environ.get("home") or Settings().home)).expanduser()
    path = file or home / FILE_NAME
    layers = [
        (f"file {path.name}", _from_file(path, must_exist=file is not None)),
        ("environment", from_environ),
        ("flag", given_flags),
    ]
    known = {setting.name: setting for setting in fields(Settings)}
    values: dict[str, Any] = {"home": home}
    origins: dict[str, str] = {}
    for origin, layer in layers:
        for name, raw in layer.items():
            if name not in known:
                raise _unknown(name, origin, known)
            values[name] = _parsed(known[name], raw, origin)
            origins[name] = f"{origin} {_PREFIX}{name.upper()}" if origin == "environment" else origin
    values["home"] = Path(values["home"]).expanduser().absolute()
    settings = Settings(**values)
    return settings, _explain(settings, origins)


def _explain(settings: Settings, origins: Mapping[str, str]) -> list[Explained]:
    return [
        Explained(
            setting.name,
            str(getattr(settings, setting.name)),
            origins.get(setting.name, "default"),
            setting.metadata["unit"],
            setting.metadata["help"],
        )
        for setting in fields(Settings)
    ]


def _from_environ(environ: Mapping[str, str]) -> dict[str, object]:
    return {
        name.removeprefix(_PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(_PREFIX) and name not in _NOT_SETTINGS
    }


def _from_file(path: Path, *, must_exist: bool) -> dict[str, object]:
    try:
        parsed = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        if must_exist:
            raise SettingsError(f"There is no settings file {path}.", todo="Check the path.") from err
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise SettingsError(
            f"The settings file {path.name} cannot be read: {err}.",
            why="It is not TOML.",
            todo="Mend the named line.",
        ) from err
    flat: dict[str, object] = {}
    for name, value in parsed.items():
        if isinstance(value, dict):
            flat.update({f"{name}_{inner}": inner_value for inner, inner_value in value.items()})
        else:
            flat[name] = value
    return flat


def _parsed(setting: Any, raw: object, origin: str) -> object:
    wanted = setting.type
    if wanted == "int":
        value = _whole_number(setting.name, raw, origin)
        least = setting.metadata["least"]
        if least is not None and value < least:
            raise _bad(setting.name, raw, origin, f"it must be {least} or more")
        return value
    if wanted == "Path":
        return Path(str(raw))
    if not isinstance(raw, str):
        raise _bad(setting.name, raw, origin, "it must be text")
    words = setting.metadata["words"]
    if words and raw not in words:
        raise _bad(setting.name, raw, origin, f"it must be one of {', '.join(words)}")
    return raw


def _whole_number(name: str, raw: object, origin: str) -> int:
    if isinstance(raw, bool) or not isinstance(raw, (int, str)):
        raise _bad(name, raw, origin, "it must be a whole number")
    try:
        return int(raw)
    except ValueError as err:
        raise _bad(name, raw, origin, "it must be a whole number") from err


def _bad(name: str, raw: object, origin: str, why: str) -> SettingsError:
    return SettingsError(
        f"The setting {name} cannot be {raw!r} (from {origin}).",
        why=f"{why[0].upper()}{why[1:]}.",
        todo="See 'fairbank config show' for all settings.",
    )


def _unknown(name: str, origin: str, known: Mapping[str, object]) -> SettingsError:
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    return SettingsError(
        f"There is no setting {name!r} (from {origin}).",
        why="Unknown settings are refused, so that a misspelt one is not silently ignored.",
        todo=f"Did you mean {close[0]}?" if close else "See 'fairbank config show' for all settings.",
    )
