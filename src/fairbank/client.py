"""The researcher's side in Python: search, ask for counts, send jobs, and take results as pandas DataFrames.

The same calls as the command line makes, with the same account, token and key in the home folder: log in once with
`fairbank login NAME`. DataFrames need the extra `client`.

    from fairbank.client import Client

    client = Client()
    client.search("lung", modality=["CT"])
    draft = client.new_job("intensity-geometry", grant="…", title="First look", slice_thickness_max_mm="1.5")
    client.counts(draft)
    job = client.submit(draft)
    client.watch(job)
    client.results(job)
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from fairbank.clock import SystemClock
from fairbank.errors import MissingExtra
from fairbank.federated_jobs.axes.words import Chosen
from fairbank.federated_jobs.errors import NotYetMerged
from fairbank.ontology.selection import in_words
from fairbank.settings import Settings, load
from fairbank.web import acts, selections
from fairbank.web.api_client import HubApi, all_rows
from fairbank.web.result_files import left_out, result_text
from fairbank.web.selections import JobDraft

if TYPE_CHECKING:
    import pandas as pd

_TABLE = "table.csv"
_MEASURES = ("subjects", "studies", "series")


class Client:
    """A researcher's connection to a hub.

    Args:
        settings: where the hub is, and the home folder with token and key; as `fairbank config show` says by default.
        api: another connection, for tests.
    """

    def __init__(self, settings: Settings | None = None, *, api: HubApi | None = None) -> None:
        self._api = api or HubApi.from_home(settings or load()[0], SystemClock())

    def close(self) -> None:
        """Close the connection."""
        self._api.close()

    def search(self, words: str = "", **criteria: Any) -> pd.DataFrame:
        """Return the datasets that match, one row each: iri, title, conditions, subjects, studies, series.

        A number that is withheld is missing.

        Args:
            words: of title, description or keywords.
            criteria: facets as the command line has them, such as `modality=["CT"]` or `slice_thickness_max=1.5`.

        Raises:
            HubUnreachable: if the hub does not answer.
        """
        question = {"q": words, **criteria}
        found = self._api.get("/search", **{name: value for name, value in question.items() if value})
        columns = ("iri", "title", "conditions", *_MEASURES)
        rows = [
            {
                **one,
                **{measure: one["totals"].get(measure, {}).get("value") for measure in _MEASURES},
                "conditions": ", ".join(each["label"] for each in one["conditions"]),
            }
            for one in found["datasets"]
        ]
        return _frame(rows, columns).astype(dict.fromkeys(_MEASURES, "Int64"))

    def requests(self) -> pd.DataFrame:
        """Return the account's access requests, newest first: id, title, state."""
        found = list(all_rows(self._api, "/v1/requests", "requests"))
        return _frame(found, ("id", "title", "state", "created"))

    def request(self, request: str) -> dict[str, Any]:
        """Return how an access request stands."""
        found: dict[str, Any] = self._api.get(f"/v1/requests/{request}", signed_in=True)
        return found

    def grants(self) -> pd.DataFrame:
        """Return the account's grants: id, request, state, and the datasets they cover."""
        found = list(all_rows(self._api, "/v1/grants", "grants"))
        return _frame(found, ("id", "request", "state", "datasets"))

    def new_job(
        self,
        tool: str,
        *,
        grant: str,
        title: str,
        parameters: Mapping[str, JsonValue] | None = None,
        datasets: Sequence[str] | None = None,
        **changes: Any,
    ) -> JobDraft:
        """Return the draft of a job; an analysis takes one suitable series per study unless `changes` say otherwise.

        Args:
            grant: its id, or the id of the request that it answers.
            datasets: IRIs; all of the grant's by default.
            changes: fields of `fairbank.ontology.signed_objects.Selector`, such as `modality=["CT"]`.

        Raises:
            NoSuchGrant: if there is none that holds.
            DraftRefused: if it selects more than is granted.
        """
        visa = acts.grant(self._api, grant)
        return selections.draft_job(
            visa, tool, title=title, parameters=parameters or {}, datasets=datasets, changes=changes
        )

    def counts(self, draft: JobDraft, *, wait_s: int = 20) -> pd.DataFrame:
        """Ask each granted site how many subjects a draft would use: dataset, site, subjects, status, selected.

        `subjects` is empty where the site tells no number; `status` then says why and since when.

        Args:
            wait_s: longest wait for answers, seconds.
        """
        visa = acts.grant(self._api, draft.grant)
        asked = selections.ask_counts(self._api, draft.datasets, visa=visa)
        found = selections.counts(self._api, asked, wait_s=wait_s)
        rows = [
            {
                "dataset": answer.dataset,
                "site": answer.node,
                "subjects": answer.subjects.value,
                "status": str(answer.subjects),
                "selected": in_words(dataset.selector),
            }
            for answer, dataset in zip(found.answers, draft.datasets, strict=True)
        ]
        frame = _frame(rows, ("dataset", "site", "subjects", "status", "selected"))
        return frame.astype({"subjects": "Int64"})

    def try_job(self, draft: JobDraft, *, subjects: int = 6, seed: int = 0) -> pd.DataFrame:
        """Run a drafted analysis on a synthetic twin of its first dataset, here, and return its rows.

        Raises:
            TwinRefused: if the tool trains a model, or no twin can be made of the selection.
        """
        from fairbank.federated_jobs.twin import try_on_twin

        with tempfile.TemporaryDirectory() as scratch:
            rows = try_on_twin(
                draft.tool,
                draft.parameters,
                draft.datasets[0].selector,
                subjects=subjects,
                seed=seed,
                folder=Path(scratch),
            )
        return _frame(rows, tuple(rows[0]) if rows else ())

    def submit(
        self,
        draft: JobDraft,
        *,
        quorum: int | None = None,
        rounds: int | None = None,
        seed: str = "0",
        training: Chosen | None = None,
    ) -> str:
        """Seal a drafted job with the account's key, send it, and return its id.

        Args:
            quorum: sites that must deliver; all by default.
            training: what a training job chooses on the axes of training; `chosen_in_words` reads it.
        """
        _, answer = acts.send_job(
            self._api,
            acts.grant(self._api, draft.grant),
            draft.tool,
            draft.parameters,
            title=draft.title,
            datasets=draft.datasets,
            rounds=rounds,
            quorum=quorum,
            seed=seed,
            training=training,
        )
        return str(answer["id"])

    def job(self, job: str) -> dict[str, Any]:
        """Return where a job stands."""
        found: dict[str, Any] = self._api.get(f"/v1/jobs/{job}", signed_in=True)
        return found

    def watch(self, job: str, *, each: Callable[[dict[str, Any]], None] | None = None) -> pd.DataFrame:
        """Wait until a job has ended, and return how each site stands: node, state, reason, round, percent, since.

        Args:
            each: called with the job's state at each change.
        """
        state: dict[str, Any] = {"sites": []}
        for state in self._api.watch_job(job):
            if each is not None:
                each(state)
        return _frame(state["sites"], ("node", "state", "reason", "round", "percent", "since"))

    def rounds(self, job: str) -> pd.DataFrame:
        """Return the rounds of a training, one row each: updates, times in seconds, bytes, processor time.

        Raises:
            RemoteError: if the job trains no model.
        """
        from dataclasses import asdict, fields

        from fairbank.federated_jobs.reports.rows import RoundRow, round_rows
        from fairbank.web.trainings import training_of

        rows = [asdict(row) for row in round_rows(training_of(self._api, job))]
        return _frame(rows, [field.name for field in fields(RoundRow)])

    def metrics(self, job: str) -> pd.DataFrame:
        """Return what sites measured in a training: round, site, model (`merged`, `local`), metric, value, n_heldout.

        Raises:
            RemoteError: if the job trains no model.
        """
        from dataclasses import asdict, fields

        from fairbank.federated_jobs.reports.rows import MetricRow, metric_rows
        from fairbank.web.trainings import training_of

        rows = [asdict(row) for row in metric_rows(training_of(self._api, job))]
        return _frame(rows, [field.name for field in fields(MetricRow)])

    def metrics_by_group(self, job: str) -> pd.DataFrame:
        """Return what sites told last by sex, age and maker: site, kind, group, n_subjects, metric, value, low, high.

        Raises:
            RemoteError: if the job trains no model.
        """
        from fairbank.federated_jobs.training_record import GroupMetric
        from fairbank.web.trainings import training_of

        told = training_of(self._api, job).by_group()
        rows = [
            {"site": site, **each.model_dump()}
            for site, groups in (told[0] if told else {}).items()
            for each in groups
        ]
        return _frame(rows, ("site", *GroupMetric.model_fields))

    def training_report(self, job: str) -> str:
        """Return the report of a training as one HTML page."""
        from fairbank.web.trainings import report

        return report(self._api, job)

    def evaluate_model(
        self,
        model: str,
        *,
        grant: str,
        datasets: Sequence[str] | None = None,
        combine: str | None = None,
        by_group: bool = False,
    ) -> str:
        """Have the sites of a grant measure a model on their held-out subjects, and return the job's id.

        Args:
            combine: `mean` or `vote`, to measure the whole ensemble that the model is of.
            by_group: also by sex, age and maker, where a site may.
        """
        from fairbank.web.model_files import evaluate_model

        _, answer = evaluate_model(
            self._api,
            model,
            grant=grant,
            datasets=list(datasets) if datasets is not None else None,
            combine=combine,
            by_group=by_group,
        )
        return str(answer["id"])

    def get_model(self, model: str, to: Path) -> Path:
        """Fetch a model with its card into a new folder, all checked before anything is written; return the folder."""
        from fairbank.web.model_files import fetch_model

        return fetch_model(self._api, model, to).folder

    def results(self, job: str) -> pd.DataFrame:
        """Return the merged table of an analysis, one row per item and the site in the first column.

        Raises:
            NotYetMerged: if there is no table, because the job goes on, failed, or trains a model.
        """
        pandas = _pandas()
        text = result_text(self._api, job, _TABLE)
        if text is None:
            raise NotYetMerged(
                "This job has no table.",
                why="It goes on, has failed, or trains a model.",
                todo="See where it stands with 'fairbank job show', and its files with 'fairbank job results'.",
            )
        return pandas.read_csv(io.StringIO(text))

    def exclusions(self, job: str) -> pd.DataFrame:
        """Return what the sites left out of an analysis: site, reason, series, subjects.

        Numbers are text: `<10` where a site does not tell one. `other-reasons` are those that are not told one by one.
        """
        return _frame(left_out(self._api, job), ("site", "reason", "series", "subjects"))

    def measurements(
        self,
        *,
        dataset: str | None = None,
        tool: str | None = None,
        biomarker: str | None = None,
        job: str | None = None,
    ) -> pd.DataFrame:
        """Return what jobs measured where a visa of yours covers it now, one row a value; who asks is written down.

        Args:
            dataset: IRI.
            biomarker: its code, such as `DCM:112181`.
        """
        asked = {"dataset": dataset, "tool": tool, "biomarker": biomarker, "job": job}
        pandas = _pandas()
        with tempfile.TemporaryDirectory() as scratch:
            file = self._api.save("/v1/measurements/export", Path(scratch) / _TABLE, **asked)
            return pandas.read_csv(file)

    def plot(self, job: str, kind: str | None = None, column: str | None = None, **more: str | None) -> str:
        """Return a plot of an analysis, or of a statistic over sites, as SVG.

        Args:
            kind: distribution (by default), forest, bland-altman or exclusions; a statistic has one plot.
            column: of numbers; `mean`, or the first biomarker, by default.
            more: for bland-altman `against`, the column of the second measurement, and `other`, its job.
        """
        from fairbank.web.plotting import plot_job

        return plot_job(self._api, job, kind, column, **more)

    def cite(self, job: str) -> str:
        """Return what to write about a job: methods, versions of datasets, acknowledgements."""
        from fairbank.web.citing import citation

        return citation(self._api, job)


def _frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    return _pandas().DataFrame(
        [{name: row.get(name) for name in columns} for row in rows], columns=list(columns)
    )


def _pandas() -> Any:
    if find_spec("pandas") is None:
        raise MissingExtra.named("client", needed_for="A DataFrame")
    import pandas

    return pandas
