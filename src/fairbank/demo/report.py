"""What the demo measured: one object, printed as a table and written as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(slots=True)
class AnalysisReport:
    """The analysis job: how many sites delivered, rows of the merged table, the plot."""

    sites: int = 0
    rows: int = 0
    plot: str = ""
    table: str = ""


@dataclass(slots=True)
class TrainingReport:
    """The training job against the same network on pooled data; metrics are PSNR in dB on held-out slices."""

    rounds: int = 0
    federated_metric: float = 0.0
    centralised_metric: float = 0.0
    untrained_metric: float = 0.0
    metric: str = "psnr_db"
    seconds_per_round: float = 0.0
    seconds_training: float = 0.0
    model: str = ""


@dataclass(slots=True)
class DemoReport:
    """Everything that `fairbank demo --report` writes."""

    nodes: int = 0
    k: int = 0
    files: int = 0
    held: int = 0
    datasets: int = 0
    # What is certain; `published` says in words whether more is withheld.
    series: int = 0
    subjects: int = 0
    published: str = ""
    cells: int = 0
    cells_suppressed: int = 0
    sparql_rows: int = 0
    request_state: str = ""
    analysis: AnalysisReport = field(default_factory=AnalysisReport)
    training: TrainingReport = field(default_factory=TrainingReport)
    released: dict[str, dict[str, int]] = field(default_factory=dict)
    provenance_models: int = 0
    seconds_total: float = 0.0
    seconds_to_first_result: float = 0.0

    def write(self, path: Path) -> None:
        """Write the report as JSON, at once."""
        temporary = path.with_name(path.name + ".part")
        temporary.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)

    def move_results(self, folder: Path) -> None:
        """Say that the result files lie in another folder now."""
        for name in ("plot", "table"):
            here = getattr(self.analysis, name)
            if here:
                setattr(self.analysis, name, str(folder / Path(here).name))

    def rows(self) -> list[dict[str, str]]:
        """Return the report as lines for people."""
        trained = self.training
        published = f"{self.datasets} datasets: {self.published}"
        withheld = f"k = {self.k} (default 10); {self.cells_suppressed} of {self.cells} cells withheld"
        metrics = (
            f"federated {trained.federated_metric:.2f} dB, pooled {trained.centralised_metric:.2f} dB, "
            f"untrained {trained.untrained_metric:.2f} dB"
        )
        seconds = f"{self.seconds_total:.0f} in all, {self.seconds_to_first_result:.0f} to the first result"
        lines = {
            "biobanks": f"{self.nodes}, each with its own archive, keys and sandbox",
            "files read": f"{self.files}, of which {self.held} are held in quarantine",
            "published": published,
            "smallest count": withheld,
            "SPARQL": f"{self.sparql_rows} rows",
            "access request": self.request_state,
            "analysis": f"{self.analysis.rows} rows of {self.analysis.sites} sites",
            "training": f"{trained.rounds} rounds, {trained.seconds_per_round:.2f} s each",
            "held-out PSNR": metrics,
            "models of the first dataset": str(self.provenance_models),
            "seconds": seconds,
        }
        for node, classes in self.released.items():
            lines[f"left {node}"] = ", ".join(f"{name} {size:,} B" for name, size in classes.items())
        return [{"what": what, "value": value} for what, value in lines.items()]
