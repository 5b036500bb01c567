"""Federated statistics equal those of all subjects in one table, on real data of three sites that differ.

The pooled values come of scipy, of numpy on the rows, or of a loop over the rows written here: never of the sums.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import optimize, stats
from tests.analysis.breast_cancer import COLUMNS, LIMITS, ask, federated, part, pooled, sites

from fairbank.analysis.errors import (
    StatisticRefused,
    StatisticUndetermined,
    StatisticWithheld,
    SumsUnreadable,
)
from fairbank.analysis.statistics import tails
from fairbank.analysis.statistics.hub_part import combine
from fairbank.analysis.statistics.question import ITERATED, Kind, Question
from fairbank.analysis.statistics.site_part import shapes, site_sums
from fairbank.analysis.statistics.sums import read_sums
from fairbank.release.tables import TableRules

CLOSE = 1e-8
FEATURES = ("radius", "texture", "smoothness", "compactness", "symmetry")
TIME_EDGES = (1, 2, 3.5, 5)


EXAMPLES = {
    Kind.COUNT: ask(statistic="count"),
    Kind.DESCRIBE: ask(statistic="describe", variables=("area",)),
    Kind.HISTOGRAM: ask(statistic="histogram", variables=("radius",), edges=(12, 14)),
    Kind.QUANTILES: ask(statistic="quantiles", variables=("radius",), edges=(12, 14)),
    Kind.CONTINGENCY: ask(statistic="contingency", groups=("diagnosis", "size")),
    Kind.T_TEST: ask(statistic="t-test", variables=("area",), groups=("size",)),
    Kind.ANOVA: ask(statistic="anova", variables=("area",), groups=("size",)),
    Kind.LINEAR: ask(statistic="linear", variables=("radius",), outcome="area"),
    Kind.KAPLAN_MEIER: ask(statistic="kaplan-meier", time="followed", event="died", edges=TIME_EDGES),
    Kind.PCA: ask(statistic="pca", variables=("radius", "texture")),
    Kind.COMBAT: ask(statistic="combat", variables=("radius", "texture")),
}


def close(found: Any, expected: Any, *, within: float = CLOSE) -> None:
    np.testing.assert_allclose(
        np.asarray(found, float), np.asarray(expected, float), rtol=within, atol=within
    )


def rows_of(name: str, **groups: str) -> np.ndarray:
    whole = pooled()
    keep = np.ones(whole.subjects, bool)
    for column, word in groups.items():
        keep &= np.array(whole.words[column]) == word
    return whole.numbers[name][keep]


def matrix(names: tuple[str, ...]) -> np.ndarray:
    return np.stack([pooled().variable(name) for name in names], axis=1)


def column(result: dict[str, Any], name: str) -> list[Any]:
    return [row[name] for row in result["rows"]]


def test_the_sites_are_not_alike() -> None:
    means = [table.numbers["texture"].mean() for table in sites().values()]
    assert max(means) - min(means) > 6
    assert sum(table.subjects for table in sites().values()) == 569


def test_counts_equal_those_of_the_rows() -> None:
    result = federated(ask(statistic="count", groups=("diagnosis",)), sites())
    found = {row["group"][0]: row["subjects"] for row in result["rows"]}
    assert found == {"benign": 357, "malignant": 212}
    assert result["totals"]["subjects"] == 569


@pytest.mark.parametrize("name", COLUMNS)
def test_means_and_variances_equal_those_of_the_rows(name: str) -> None:
    result = federated(ask(statistic="describe", variables=(name,), groups=("diagnosis",)), sites())
    for row in result["rows"]:
        values = rows_of(name, diagnosis=row["group"][0])
        assert row["subjects"] == values.size
        close(
            [row["mean"], row["variance"], row["sd"], row["standard_error"]],
            [values.mean(), values.var(ddof=1), values.std(ddof=1), stats.sem(values)],
        )


def test_histogram_counts_equal_those_of_the_rows() -> None:
    edges = (10, 12, 14, 16)
    result = federated(ask(statistic="histogram", variables=("radius",), edges=edges), sites())
    expected, _ = np.histogram(rows_of("radius"), bins=[-np.inf, *edges, np.inf])
    found = {row["group"][-1]: row["subjects"] for row in result["rows"]}
    names = ["below 10", "10 to 12", "12 to 14", "14 to 16", "from 16"]
    assert [found[name] for name in names] == expected.tolist()


@pytest.mark.parametrize("limits", [LIMITS, TableRules(k=15)], ids=["nothing withheld", "bins withheld"])
def test_quantiles_lie_in_the_range_that_is_told(limits: TableRules) -> None:
    shares = ("0.1", "0.25", "0.5", "0.75", "0.9")
    question = ask(
        statistic="quantiles",
        variables=("radius",),
        edges=(10, 11.5, 13, 14.5, 16, 17.5),
        probabilities=shares,
    )
    result = federated(question, sites(), limits=limits)
    for share, row in zip(shares, result["rows"], strict=True):
        true = np.quantile(rows_of("radius"), float(share), method="inverted_cdf")
        assert (row["from"] is None or row["from"] <= true) and (row["to"] is None or true < row["to"])
        if limits is LIMITS and None not in (row["from"], row["to"]):
            assert row["to"] - row["from"] == pytest.approx(1.5)
    assert any(each["withheld"] for each in result["sites"].values()) is (limits is not LIMITS)


def test_a_contingency_table_and_its_test_equal_those_of_the_rows() -> None:
    result = federated(
        ask(statistic="contingency", groups=("diagnosis", "size")), sites(), limits=TableRules(k=3)
    )
    whole = pooled()
    table = np.zeros((2, 2))
    for one, two in zip(whole.words["diagnosis"], whole.words["size"], strict=True):
        table[whole.known_words["diagnosis"].index(one), whole.known_words["size"].index(two)] += 1
    chi2, p, df, _ = stats.chi2_contingency(table, correction=False)
    totals = result["totals"]
    close([totals["chi2"], totals["df"], totals["p"]], [chi2, df, p])
    close(totals["cramers_v"], stats.contingency.association(table.astype(int), method="cramer"))


def test_a_t_test_equals_that_of_the_rows() -> None:
    result = federated(ask(statistic="t-test", variables=FEATURES, groups=("diagnosis",)), sites())
    for row in result["rows"]:
        one, two = (rows_of(row["variable"], diagnosis=group[0]) for group in row["groups"])
        welch, student = stats.ttest_ind(one, two, equal_var=False), stats.ttest_ind(one, two)
        close(
            [row["t"], row["df"], row["p"], row["student_t"], row["student_p"]],
            [welch.statistic, welch.df, welch.pvalue, student.statistic, student.pvalue],
        )


def test_an_analysis_of_variance_equals_that_of_the_rows() -> None:
    result = federated(ask(statistic="anova", variables=FEATURES, groups=("size",)), sites())
    for row in result["rows"]:
        expected = stats.f_oneway(
            rows_of(row["variable"], size="small"), rows_of(row["variable"], size="large")
        )
        close([row["f"], row["p"]], [expected.statistic, expected.pvalue])


def test_a_linear_model_equals_that_of_the_rows() -> None:
    names = (*FEATURES, "diagnosis=malignant")
    result = federated(ask(statistic="linear", variables=names, outcome="area"), sites())
    design = np.column_stack([np.ones(569), matrix(names)])
    y = rows_of("area")
    beta, residual, _, _ = np.linalg.lstsq(design, y, rcond=None)
    df = 569 - design.shape[1]
    errors = np.sqrt(residual[0] / df * np.diag(np.linalg.inv(design.T @ design)))
    close(column(result, "coefficient"), beta)
    close(column(result, "standard_error"), errors)
    close(column(result, "p"), 2 * stats.t.sf(np.abs(beta / errors), df))
    close(result["totals"]["r_squared"], 1 - residual[0] / ((y - y.mean()) ** 2).sum())
    close(result["totals"]["residual_variance"], residual[0] / df)


def test_a_logistic_model_equals_that_of_the_rows() -> None:
    names = ("texture", "smoothness", "symmetry")
    question = ask(statistic="logistic", variables=names, outcome="diagnosis=malignant")
    result = federated(question, sites())
    design = np.column_stack([np.ones(569), matrix(names)])
    y = pooled().variable("diagnosis=malignant")
    beta, covariance, deviance = _logistic_by_rows(design, y)
    assert result["totals"]["converged"] and 3 < result["rounds"] < 20
    close(column(result, "coefficient"), beta)
    close(column(result, "standard_error"), np.sqrt(np.diag(covariance)))
    close(result["totals"]["deviance"], deviance)
    share = y.mean()
    null = -2 * (y.sum() * math.log(share) + (569 - y.sum()) * math.log(1 - share))
    close(result["totals"]["likelihood_ratio"], null - deviance)


def test_a_cox_model_equals_that_of_the_rows() -> None:
    names = ("texture", "smoothness")
    question = ask(statistic="cox", variables=names, time="followed", event="died", edges=TIME_EDGES)
    result = federated(question, sites())
    x, died = matrix(names), rows_of("died") == 1
    bins = np.digitize(rows_of("followed"), TIME_EDGES)
    beta, covariance, likelihood = _cox_by_rows(x, bins, died)
    assert result["totals"]["converged"]
    assert result["totals"]["events"] == int(died.sum())
    close(column(result, "coefficient"), beta)
    close(column(result, "standard_error"), np.sqrt(np.diag(covariance)))
    close(result["totals"]["deviance"], -2 * likelihood)


def test_cox_in_bins_finds_the_hazard_that_the_follow_up_was_made_with() -> None:
    question = ask(
        statistic="cox", variables=("texture", "smoothness"), time="followed", event="died", edges=TIME_EDGES
    )
    texture, _ = column(federated(question, sites()), "coefficient")
    assert texture == pytest.approx(0.8 / 4.3, rel=0.25)


def test_kaplan_meier_and_the_log_rank_test_equal_those_of_the_rows() -> None:
    question = ask(statistic="kaplan-meier", time="followed", event="died", groups=("size",), edges=(1, 3, 5))
    result = federated(question, sites(), limits=TableRules(k=2))
    bins, died = np.digitize(rows_of("followed"), (1, 3, 5)), rows_of("died") == 1
    size = np.array(pooled().words["size"])
    for row in result["rows"]:
        mine = size == row["group"][0]
        place = ["below 1", "1 to 3", "3 to 5", "from 5"].index(row["time"])
        curve, spread = _kaplan_meier_by_rows(bins[mine], died[mine])
        close(
            [row["survival"], row["standard_error"]], [curve[place], curve[place] * math.sqrt(spread[place])]
        )
    expected = stats.logrank(
        stats.CensoredData.right_censored(bins[size == "large"], ~died[size == "large"]),
        stats.CensoredData.right_censored(bins[size == "small"], ~died[size == "small"]),
    )
    close(result["totals"]["log_rank_chi2"], expected.statistic**2)
    close(result["totals"]["p"], expected.pvalue)


@pytest.mark.parametrize("scale", ["correlation", "covariance"])
def test_principal_components_equal_those_of_the_rows(scale: str) -> None:
    result = federated(ask(statistic="pca", variables=FEATURES, scale=scale), sites())
    x = matrix(FEATURES)
    x = x - x.mean(axis=0)
    if scale == "correlation":
        x = x / x.std(axis=0, ddof=1)
    _, singular, axes = np.linalg.svd(x, full_matrices=False)
    close(column(result, "variance"), singular**2 / 568)
    for row, axis in zip(result["rows"], axes, strict=True):
        found = np.array([row["loadings"][name] for name in FEATURES])
        close(np.abs(found @ axis), 1.0)
        assert found[np.abs(found).argmax()] > 0


@pytest.mark.parametrize("covariates", [(), ("diagnosis=malignant", "area")])
def test_combat_equals_that_of_the_rows(covariates: tuple[str, ...]) -> None:
    result = federated(ask(statistic="combat", variables=FEATURES, covariates=covariates), sites())
    shift, factor = _combat_by_rows(covariates)
    close(column(result, "shift"), shift.ravel())
    close(column(result, "factor"), factor.ravel())


def test_combat_makes_the_sites_more_alike() -> None:
    result = federated(ask(statistic="combat", variables=("smoothness", "symmetry")), sites())
    feature = result["totals"]["features"]["smoothness"]
    before, after = [], []
    for name, table in sites().items():
        row = next(r for r in result["rows"] if (r["site"], r["variable"]) == (name, "smoothness"))
        z = (table.numbers["smoothness"] - feature["intercept"]) / feature["sd"]
        before.append(z.mean())
        after.append(((z - row["shift"]) / math.sqrt(row["factor"])).mean())
    assert max(after) - min(after) < 0.5 * (max(before) - min(before))


# -- what a site does not tell ------------------------------------------------------------------------------------


def test_no_value_of_a_subject_is_in_what_leaves() -> None:
    question = ask(statistic="describe", variables=("area",), groups=("diagnosis",))
    told = site_sums(question, sites()["west"], None, LIMITS).to_json(question, 1, LIMITS)
    numbers = {each for cell in json.loads(told)["cells"] for v in cell["values"].values() for each in v}
    assert not numbers & set(sites()["west"].numbers["area"])


@pytest.mark.parametrize(("subjects", "told"), [(20, False), (21, True)])
def test_a_model_needs_three_subjects_for_each_parameter(subjects: int, told: bool) -> None:
    question = ask(statistic="linear", variables=(*FEATURES, "fractal_dimension"), outcome="area")
    few = part(pooled(), np.arange(subjects))
    if told:
        assert site_sums(question, few, None, LIMITS).cells[0].subjects == subjects
    else:
        with pytest.raises(StatisticWithheld, match="fewer than 21"):
            site_sums(question, few, None, LIMITS)


def test_every_round_of_a_model_needs_enough_subjects() -> None:
    question = ask(statistic="logistic", variables=("texture",), outcome="diagnosis=malignant")
    message = {
        "beta": ["0.0", "0.0"],
        "from": ["0.0", "0.0"],
        "deviance": "1.0",
        "null": "1.0",
        "halvings": 0,
    }
    with pytest.raises(StatisticWithheld):
        site_sums(question, part(pooled(), np.arange(4)), message, LIMITS)


def test_a_rare_word_makes_no_indicator() -> None:
    whole = pooled()
    rare = part(whole, np.r_[np.flatnonzero(whole.variable("diagnosis=malignant") == 1)[:4],
                             np.flatnonzero(whole.variable("diagnosis=benign") == 1)[:60]])  # fmt: skip
    question = ask(statistic="linear", variables=("diagnosis=malignant",), outcome="area")
    with pytest.raises(StatisticWithheld, match="diagnosis"):
        site_sums(question, rare, None, LIMITS)


def test_a_sum_that_one_subject_makes_up_is_withheld() -> None:
    table = part(pooled(), np.arange(40))
    table.numbers["area"][7] = 1e7
    with pytest.raises(StatisticWithheld, match="make up the sum"):
        site_sums(ask(statistic="describe", variables=("area",)), table, None, LIMITS)


def test_a_group_that_is_small_takes_another_with_it() -> None:
    whole = pooled()
    at = [np.flatnonzero(whole.variable(f"diagnosis={word}") == 1) for word in ("malignant", "benign")]
    table = part(whole, np.r_[at[0][:4], at[1][:30]])
    with pytest.raises(StatisticWithheld, match="no group"):
        site_sums(ask(statistic="count", groups=("diagnosis",)), table, None, LIMITS)


def test_a_bin_of_time_with_few_events_is_withheld() -> None:
    question = ask(statistic="kaplan-meier", time="followed", event="died", edges=(0.05, 5))
    with pytest.raises(StatisticWithheld, match="bin of time"):
        site_sums(question, part(pooled(), np.arange(60)), None, LIMITS)


def test_subjects_without_a_value_do_not_count() -> None:
    table = part(pooled(), np.arange(100))
    table.numbers["area"][:10] = np.nan
    cell = site_sums(ask(statistic="describe", variables=("area", "radius")), table, None, LIMITS).cells[0]
    assert cell.subjects == 90
    close(cell.values["sum"][1], pooled().numbers["radius"][10:100].sum())


# -- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts",
    [
        {"statistic": "mode", "variables": ("area",)},
        {"statistic": "describe"},
        {"statistic": "describe", "variables": ("area",), "outcome": "radius"},
        {"statistic": "linear", "variables": ("area",)},
        {"statistic": "linear", "variables": ("area",), "outcome": "area"},
        {"statistic": "histogram", "variables": ("area",), "edges": (2, 1)},
        {"statistic": "cox", "variables": ("area",), "edges": (1, 2)},
        {"statistic": "count", "groups": ("a b",)},
        {"statistic": "quantiles", "variables": ("area",), "edges": (1, 2), "probabilities": (1,)},
        {"statistic": "t-test", "variables": ("area",), "groups": ("size", "diagnosis")},
    ],
    ids=str,
)
def test_questions_that_make_no_sense_are_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ask(**parts)


@pytest.mark.parametrize("name", ["nothing", "diagnosis", "diagnosis=odd", "area=1"])
def test_unknown_columns_and_words_are_refused_by_name(name: str) -> None:
    with pytest.raises(StatisticRefused):
        site_sums(ask(statistic="describe", variables=(name,)), pooled(), None, LIMITS)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "statistic/2"},
        {"statistic": "anova"},
        {"cells": []},
        {"cells": [{"group": [], "subjects": 9, "values": {"sum": [1.0]}}]},
        {"cells": [{"group": [], "subjects": 9, "values": {"sum": [1.0, 2.0], "squares": [1.0]}}]},
        {"cells": [{"group": [], "subjects": "9", "values": {"sum": [1.0], "squares": [1.0]}}]},
        {"cells": [{"group": ["x"], "subjects": 9, "values": {"sum": [1.0], "squares": [1.0]}}]},
        {"subjects": 3},
    ],
    ids=str,
)
def test_sums_of_another_form_are_refused_by_the_hub(change: dict[str, Any]) -> None:
    question = ask(statistic="describe", variables=("area",))
    told = json.loads(site_sums(question, pooled(), None, LIMITS).to_json(question, 1, LIMITS))
    assert read_sums(json.dumps(told).encode(), question, shapes(question)).subjects == 569
    with pytest.raises(SumsUnreadable):
        read_sums(json.dumps({**told, **change}).encode(), question, shapes(question))


def test_variables_that_depend_on_each_other_determine_nothing() -> None:
    tables = {name: part(table, np.arange(table.subjects)) for name, table in sites().items()}
    for table in tables.values():
        table.numbers["radius"][:] = 2 * table.numbers["texture"] + 1
    with pytest.raises(StatisticUndetermined, match="dependent"):
        federated(ask(statistic="linear", variables=("radius", "texture"), outcome="area"), tables)


def test_a_model_that_has_no_rounds_left_says_that_it_has_not_converged() -> None:
    question = ask(statistic="logistic", variables=("texture",), outcome="diagnosis=malignant")
    assert federated(question, sites(), rounds=2)["totals"]["converged"] is False


def test_a_site_that_drops_out_leaves_the_model_of_the_others_without_a_likelihood_ratio() -> None:
    question = ask(statistic="logistic", variables=("texture",), outcome="diagnosis=malignant")
    message, tables = None, sites()
    for number in range(1, 30):
        if number == 4:
            tables = {name: table for name, table in tables.items() if name != "east"}
        told = {
            name: read_sums(
                site_sums(question, table, message, LIMITS).to_json(question, number, LIMITS),
                question,
                shapes(question),
            )
            for name, table in tables.items()
        }
        outcome = combine(question, told, message, number=number, last=False)
        if outcome.result is not None:
            break
        message = json.loads(json.dumps(outcome.message))
    assert outcome.result is not None and set(outcome.result["sites"]) == {"north", "west"}
    alone = federated(question, tables)
    close(column(outcome.result, "coefficient"), column(alone, "coefficient"))
    close(column(outcome.result, "standard_error"), column(alone, "standard_error"))
    assert "likelihood_ratio" in alone["totals"] and "likelihood_ratio" not in outcome.result["totals"]


def test_a_step_that_makes_a_model_worse_is_halved() -> None:
    question = ask(statistic="logistic", variables=("texture",), outcome="diagnosis=malignant")
    names = list(sites())
    far = {"beta": ["40.0", "9.0"], "from": ["0.0", "0.0"], "deviance": "789.0", "null": "751.0"}
    message = {**far, "sites": names, "halvings": 0}
    told = {
        name: read_sums(
            site_sums(question, table, message, LIMITS).to_json(question, 2, LIMITS),
            question,
            shapes(question),
        )
        for name, table in sites().items()
    }
    following = combine(question, told, message, number=2, last=False).message
    assert following is not None
    assert (following["beta"], following["halvings"]) == (["20.0", "4.5"], 1)


def test_a_site_that_rounds_tells_rounded_counts_and_no_sums() -> None:
    rounding = TableRules(k=5, base=5)
    result = federated(ask(statistic="count", groups=("diagnosis",)), sites(), limits=rounding)
    assert all(row["subjects"] % 5 == 0 for row in result["rows"])
    with pytest.raises(StatisticWithheld, match="rounds"):
        federated(ask(statistic="describe", variables=("area",)), sites(), limits=rounding)


@pytest.mark.parametrize("kind", sorted(set(Kind) - ITERATED))
def test_a_statistic_that_is_not_fitted_takes_one_round(kind: Kind) -> None:
    assert federated(EXAMPLES[kind], sites(), rounds=1, limits=TableRules(k=3))["rounds"] == 1


@pytest.mark.parametrize("df", [0.7, 1.0, 2.0, 7.3, 30.0, 200.0, 5000.0])
@pytest.mark.parametrize("x", [0.01, 0.3, 1.0, 2.5, 6.0, 40.0])
def test_tails_of_distributions_equal_those_of_scipy(df: float, x: float) -> None:
    found = [tails.t_two_sided(x, df), tails.chi2_upper(x, df), tails.f_upper(x, 3, df)]
    close(found, [2 * stats.t.sf(x, df), stats.chi2.sf(x, df), stats.f.sf(x, 3, df)], within=1e-10)
    close(tails.normal_two_sided(x), 2 * stats.norm.sf(x), within=1e-12)


# -- the same by the rows -----------------------------------------------------------------------------------------


def _logistic_by_rows(design: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Fit by a root finder on the score in standardised columns, unlike the Newton steps of the federated fit."""
    mean, sd = design[:, 1:].mean(axis=0), design[:, 1:].std(axis=0)
    z = np.column_stack([np.ones(len(y)), (design[:, 1:] - mean) / sd])

    def score(b: np.ndarray) -> np.ndarray:
        return z.T @ (y - 1 / (1 + np.exp(-(z @ b))))

    b = optimize.root(score, np.zeros(z.shape[1]), method="hybr", tol=1e-14).x
    beta = np.r_[b[0] - (b[1:] * mean / sd).sum(), b[1:] / sd]
    p = 1 / (1 + np.exp(-(design @ beta)))
    information = (design * (p * (1 - p))[:, None]).T @ design
    deviance = -2 * float((y * np.log(p) + (1 - y) * np.log(1 - p)).sum())
    return beta, np.linalg.inv(information), deviance


def _cox_by_rows(x: np.ndarray, bins: np.ndarray, died: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Fit Breslow's partial likelihood, one term for each subject who had the event."""
    x = x - x.mean(axis=0)

    def parts(beta: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        gradient, information, likelihood = np.zeros(x.shape[1]), np.zeros((x.shape[1],) * 2), 0.0
        w = np.exp(x @ beta)
        for i in np.flatnonzero(died):
            at_risk = bins >= bins[i]
            total = w[at_risk].sum()
            mean = (w[at_risk, None] * x[at_risk]).sum(axis=0) / total
            gradient += x[i] - mean
            information += (w[at_risk, None] * x[at_risk]).T @ x[at_risk] / total - np.outer(mean, mean)
            likelihood += float(x[i] @ beta - np.log(total))
        return gradient, information, likelihood

    beta = np.zeros(x.shape[1])
    for _ in range(15):
        gradient, information, _ = parts(beta)
        beta = beta + np.linalg.solve(information, gradient)
    _, information, likelihood = parts(beta)
    return beta, np.linalg.inv(information), likelihood


def _kaplan_meier_by_rows(bins: np.ndarray, died: np.ndarray) -> tuple[list[float], list[float]]:
    survival, spread, curve, spreads = 1.0, 0.0, [], []
    for place in range(4):
        at_risk, events = int((bins >= place).sum()), int((died & (bins == place)).sum())
        survival *= 1 - events / at_risk
        spread += events / (at_risk * (at_risk - events))
        curve.append(survival)
        spreads.append(spread)
    return curve, spreads


def _combat_by_rows(covariates: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Johnson's algorithm on rows of all sites, (n_sites, n_features) each."""
    tables = list(sites().values())
    y = np.vstack([np.stack([t.variable(f) for f in FEATURES], axis=1) for t in tables])
    batch = np.repeat(np.arange(3), [t.subjects for t in tables])
    known = [np.concatenate([t.variable(c) for t in tables]) for c in covariates]
    design = np.column_stack([*(batch == place for place in range(3)), *known]).astype(float)
    beta = np.linalg.lstsq(design, y, rcond=None)[0]
    share = np.array([t.subjects for t in tables]) / len(y)
    common = share @ beta[:3] + (np.column_stack(known) @ beta[3:] if known else 0.0)
    sd = np.sqrt(((y - design @ beta) ** 2).mean(axis=0))
    z = (y - common) / sd
    shifts, factors = [], []
    for place in range(3):
        mine = z[batch == place]
        n, g_hat, d_hat = len(mine), mine.mean(axis=0), mine.var(axis=0, ddof=1)
        g_bar, t2, m, s2 = g_hat.mean(), g_hat.var(ddof=1), d_hat.mean(), d_hat.var(ddof=1)
        a, b = (2 * s2 + m**2) / s2, (m * s2 + m**3) / s2
        g, d = g_hat, d_hat
        for _ in range(500):
            g = (t2 * n * g_hat + d * g_bar) / (t2 * n + d)
            d = (0.5 * ((mine - g) ** 2).sum(axis=0) + b) / (n / 2 + a - 1)
        shifts.append(g)
        factors.append(d)
    return np.array(shifts), np.array(factors)


def test_a_question_knows_its_own_columns() -> None:
    question: Question = ask(statistic="logistic", variables=("texture",), outcome="size=large")
    assert question.columns == ("texture", "size=large") and question.fitted == 2
