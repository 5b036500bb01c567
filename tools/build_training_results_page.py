"""Fill docs/explanation/training-results.md, and draw its curves, from the results that bench/protocols.py left.

    .venv/bin/python tools/build_training_results_page.py

What stands between `<!-- table: NAME -->` and `<!-- end -->` is generated; all else is written by hand. The pictures
lie in the folder of the page's name. A test compares page and pictures with what this would write.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fairbank.charts.rounds import RoundCurve, round_chart

ROOT = Path(__file__).resolve().parent.parent
# Last: a module of bench/ has the name of a library.
sys.path.append(str(ROOT / "bench"))
from parts.protocol_goals import METRICS, Judged, judged, usual  # noqa: E402

RESULTS = ROOT / "bench" / "results"
PEERS = ROOT / "bench" / "peers" / "results.json"
TARGET = ROOT / "docs" / "explanation" / "training-results.md"
PICTURES = TARGET.with_suffix("")
_REGION = re.compile(r"(<!-- table: ([a-z-]+) -->\n).*?(<!-- end -->)", re.S)
_IN_PLACE = "in one place"
_TITLE = {"accuracy": "Accuracy", "auroc": "AUROC", "dice": "Mean Dice"}
_ORDER = ("local-only", "pooled", "ensemble", "SWT", "CWT", "IIL", "CIIL", "FedAvg", "P2P")
_SPLIT = {
    "iid": "Equal shares of both classes",
    "dirichlet": "Shares drawn from a Dirichlet distribution (0.5)",
    "dirichlet-slow": "The same shares drawn, a quarter of the learning rate",
}
Results = Mapping[str, dict[str, Any]]


def read_results(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """Return all results by the names of their runs."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))}


def results_page(results: Results, text: str) -> str:
    """Return the Markdown of the page with its tables filled in."""
    return _REGION.sub(lambda found: found[1] + _region(found[2], results) + found[3], text)


def pictures(results: Results) -> dict[str, str]:
    """Return the curves as SVG by the names of their files."""
    found = {}
    for protocol, metric in METRICS.items():
        lines = [
            RoundCurve(
                _run_name(run), tuple((one["pass"], _shown(one[metric], metric)) for one in result["curve"])
            )
            for run, result in _runs(results, protocol)
        ]
        if lines:
            unit = " in percent" if metric == "accuracy" else ""
            found[f"{protocol}.svg"] = round_chart(
                lines,
                title=f"{protocol}: {_TITLE[metric]} on the test after each pass",
                axis=f"{_TITLE[metric]}{unit}",
                across="passes over all training images",
                name=protocol,
                higher_is_better=True,
            ).alone()
    if "waiting" in results:
        lines = [
            RoundCurve(name, _standing(mode["curve"])) for name, mode in results["waiting"]["modes"].items()
        ]
        found["waiting.svg"] = round_chart(
            lines,
            title="One site ten times slower: AUROC on the test over time",
            axis="AUROC",
            across="time, in mean rounds of a site",
            name="waiting",
            higher_is_better=True,
        ).alone()
    if drawn := _noisy(results):
        lines = [
            RoundCurve(
                title, tuple((budget, statistics.mean(run[metric] for run in runs)) for budget, runs in drawn)
            )
            for metric, title in (("auroc", "AUROC"), ("accuracy", "Accuracy"))
        ]
        found["noise.svg"] = round_chart(
            lines,
            title="Noise for each patient: AUROC and accuracy on the test",
            axis="AUROC, accuracy",
            across="epsilon, over all rounds",
            name="noise",
            higher_is_better=True,
        ).alone()
    return found


def _standing(curve: Sequence[tuple[float, float]]) -> tuple[tuple[int, float], ...]:
    """Return at each whole round what the newest model of a curve (time, value) had reached by then."""
    first, last = math.ceil(curve[0][0]), math.floor(curve[-1][0])
    return tuple((at, [value for time, value in curve if time <= at][-1]) for at in range(first, last + 1))


def _region(name: str, results: Results) -> str:
    if name in METRICS:
        return _protocol(results, name)
    if name.startswith("plans-"):
        return _plans(results, name.removeprefix("plans-"))
    if name.startswith("gains-"):
        return _gains(results, name.removeprefix("gains-"))
    if name == "peers":
        return _peers(json.loads(PEERS.read_text(encoding="utf-8")))
    written = {
        "waiting": _waiting,
        "noise": _noise,
        "costs": _costs,
        "environment": _environment,
        "goals": _goals,
    }
    return written[name](results)


def _runs(results: Results, protocol: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the runs of a protocol, that in one place first."""
    found = [(run, result) for run, result in results.items() if result.get("protocol") == protocol]
    return sorted(found, key=lambda one: (bool(one[1]["plan"]), one[0]))


def _run_name(run: str) -> str:
    protocol, _, variant = run.partition("-")
    assert protocol in METRICS
    return {"centralised": _IN_PLACE, "fedavg": "FedAvg", "fedavg-dirichlet": "FedAvg, unlike sites"}.get(
        variant, variant
    )


def _protocol(results: Results, protocol: str) -> str:
    metric = METRICS[protocol]
    rows = []
    for run, result in _runs(results, protocol):
        value = result["final"][metric]
        alone = usual(results, protocol, result["passes"]) if result["plan"] else None
        against = "–"
        if alone is not None:
            points, share = 100 * (value - alone), 100 * value / alone
            against = f"{points:+.2f} points" if metric == "accuracy" else f"{share:.2f} %"
        images = result.get("n_train", "–")
        rows.append(
            (
                _run_name(run),
                result["plan"] or "–",
                _passes(result),
                f"{images:,}" if isinstance(images, int) else images,
                f"{result['n_test']:,}",
                f"{100 * value:.2f} %" if metric == "accuracy" else f"{value:.4f}",
                against,
            )
        )
    head = ("run", "plan", "passes", "trained on", "tested on", _TITLE[metric], "against in one place")
    return _table(head, rows) if rows else "Not run yet.\n"


def _passes(result: dict[str, Any]) -> str:
    done, asked = result["passes"], result.get("passes_asked", result["passes"])
    return str(done) if done == asked else f"{done} of {asked}"


def _costs(results: Results) -> str:
    rows = []
    for protocol in METRICS:
        for run, result in _runs(results, protocol):
            costs = result["costs"]
            if not result["plan"]:
                rows.append(
                    (f"{protocol}, {_run_name(run)}", f"{costs['cpu_s']:,.0f} (processor)", *["–"] * 7)
                )
                continue
            rows.append(
                (
                    f"{protocol}, {_run_name(run)}",
                    f"{costs['wall_s']:,.0f}",
                    costs["visits"],
                    f"{costs['training_s_per_visit']:.1f}",
                    f"{costs['orchestration_s_mean']:.2f}",
                    f"{costs['orchestration_s_median']:.2f}",
                    f"{costs['orchestration_s_most']:.2f}",
                    ", ".join(f"{value:.0f}" for value in costs.get("starts_s", [])) or "–",
                    f"{costs['wire_mb']:,.0f}",
                )
            )
    head = (
        "run",
        "seconds in all",
        "visits",
        "training, s a visit",
        "between trainings, s (mean)",
        "(median)",
        "(longest)",
        "with a start",
        "MB on the wire",
    )
    return _table(head, rows) if rows else "Not run yet.\n"


def _trials(results: Results, split: str) -> list[dict[str, Any]]:
    return [result for run, result in results.items() if re.fullmatch(rf"plans-{split}-\d+", run)]


def _plans(results: Results, split: str) -> str:
    trials = _trials(results, split)
    if not trials:
        return "Not run yet.\n"
    rows = []
    for name in _ORDER:
        of_plan = [trial["rows"][name] for trial in trials]
        biases = [row["bias_to_last"] for row in of_plan if "bias_to_last" in row]
        gains = [value for row in of_plan for value in row.get("gain", {}).values()]
        rows.append(
            (
                name,
                _mean_sd([row["auroc"] for row in of_plan]),
                f"{statistics.mean(gains):+.3f}" if gains else "–",
                f"{statistics.mean(biases):+.3f}" if biases else "–",
                f"{statistics.mean(row['bytes'] for row in of_plan) / 1e6:.1f}",
                f"{statistics.mean(row['cpu_s'] for row in of_plan):.1f}",
            )
        )
    head = (
        "plan",
        "AUROC on the test",
        "mean gain of a site",
        "bias to the last site",
        "MB sent",
        "processor s",
    )
    return f"{_SPLIT[split]}, {len(trials)} seeds:\n\n" + _table(head, rows)


def _gains(results: Results, split: str) -> str:
    trials = _trials(results, split)
    if not trials:
        return "Not run yet.\n"
    sites = sorted(trials[0]["sites"])
    rows = [
        (
            name,
            *(
                _mean_sd([trial["rows"][name]["gain"][site] for trial in trials], signed=True)
                for site in sites
            ),
        )
        for name in _ORDER
        if "gain" in trials[0]["rows"][name]
    ]
    return _table(("plan", *sites), rows)


def _waiting(results: Results) -> str:
    if "waiting" not in results:
        return "Not run yet.\n"
    found = results["waiting"]
    rows = [
        (
            name,
            "yes" if mode["reached"] else "no",
            f"{mode['time']:.1f}",
            mode["versions"],
            ", ".join(f"{site} {count}" for site, count in sorted(mode["passes"].items())),
            mode["too_old"],
            f"{mode['auroc']:.4f}",
        )
        for name, mode in found["modes"].items()
    ]
    head = ("plan", "target reached", "time", "versions", "passes", "too old", "AUROC at the end")
    return f"The target is an AUROC of {found['target']:.4f}.\n\n" + _table(head, rows)


def _noise(results: Results) -> str:
    budgets = _budgets(results)
    if not budgets:
        return "Not run yet.\n"
    rows = [
        (
            budget if budget != "none" else "no noise",
            runs[0]["sigma"],
            f"{runs[0]['spent']:.2f}" if runs[0]["spent"] is not None else "–",
            len(runs),
            _mean_sd([run["auroc"] for run in runs]),
            _mean_sd([run["accuracy"] for run in runs]),
            f"{statistics.mean(run['cpu_s'] for run in runs):.0f}",
        )
        for budget, runs in sorted(
            budgets.items(), key=lambda one: -float("inf" if one[0] == "none" else one[0])
        )
    ]
    head = (
        "epsilon asked for",
        "noise, in clipping norms",
        "epsilon spent",
        "seeds",
        "AUROC on the test",
        "accuracy",
        "processor s",
    )
    picture = "\n![AUROC and accuracy by epsilon](training-results/noise.svg)\n" if _noisy(results) else ""
    return _table(head, rows) + picture


def _budgets(results: Results) -> dict[str, list[dict[str, Any]]]:
    budgets: dict[str, list[dict[str, Any]]] = {}
    for run, result in results.items():
        if run.startswith("privacy-"):
            budgets.setdefault(result["epsilon"], []).append(result)
    return budgets


def _noisy(results: Results) -> list[tuple[int, list[dict[str, Any]]]]:
    """Return the runs of each budget, smallest first; nothing of fewer than two budgets."""
    found = [(int(budget), runs) for budget, runs in _budgets(results).items() if budget != "none"]
    return sorted(found, key=lambda one: one[0]) if len(found) > 1 else []


def _environment(results: Results) -> str:
    seen: dict[str, list[str]] = {}
    for run, result in results.items():
        about = result["environment"]
        packages = ", ".join(f"{name} {number}" for name, number in sorted(about["packages"].items()))
        line = (
            f"{about['processors']} processors ({about['processor']}), Python {about['python']}, {packages}"
        )
        seen.setdefault(f"{about['day']}: {line}", []).append(run)
    return "".join(f"- {line}. Runs: {', '.join(runs)}.\n" for line, runs in sorted(seen.items()))


def _goals(results: Results) -> str:
    rows = [
        (
            f"{one.run.partition('-')[0]}, {_run_name(one.run)}",
            *_goal_in_words(one),
            "yes" if one.met else "**no**",
        )
        for one in judged(results)
    ]
    return _table(("run", "goal", "measured", "met"), rows) if rows else "Not run yet.\n"


def _goal_in_words(one: Judged) -> tuple[str, str]:
    match one.figure:
        case "points_below":
            return f"at most {one.bound:g} points below the run in one place", f"{one.value:+.2f}"
        case "share":
            return f"at least {100 * one.bound:g} % of the run in one place", f"{100 * one.value:.2f} %"
    return f"at most {one.bound:g} s between two trainings (mean)", f"{one.value:.2f} s"


def _shown(value: float, metric: str) -> float:
    return 100 * value if metric == "accuracy" else value


def _peers(told: Sequence[Mapping[str, Any]]) -> str:
    """Return what each peer and fairbank cost with the same model, by the text that each printed."""
    head = ("system", "what ran", "nobody trains, s a round", "trainings", "load of the machine", "on")
    rows = [
        (one["peer"], one["ran"], f"{one['gap_s_per_round']:.2f}", one["trainings"], one["load"], one["on"])
        for one in told
    ]
    return _table(head, rows)


def _mean_sd(values: Sequence[float], *, signed: bool = False) -> str:
    mean = statistics.mean(values)
    first = f"{mean:+.3f}" if signed else f"{mean:.3f}"
    return f"{first} ± {statistics.stdev(values):.3f}" if len(values) > 1 else first


def _table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


def main() -> None:
    """Write the page and its pictures."""
    results = read_results()
    TARGET.write_text(results_page(results, TARGET.read_text(encoding="utf-8")), encoding="utf-8")
    PICTURES.mkdir(exist_ok=True)
    for name, drawn in pictures(results).items():
        (PICTURES / name).write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
