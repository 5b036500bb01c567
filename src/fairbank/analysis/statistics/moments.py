"""What follows from sums and sums of products: description, tests of means, linear models, components, ComBat."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fairbank.analysis.errors import StatisticUndetermined
from fairbank.analysis.statistics.counted import Finished
from fairbank.analysis.statistics.question import Question
from fairbank.analysis.statistics.site_table import Numbers
from fairbank.analysis.statistics.sums import Told, added_up
from fairbank.analysis.statistics.tails import f_upper, t_two_sided

# Eigenvalues of a correlation matrix below this are rounding.
_SINGULAR = 1e-11
_COMBAT_CLOSE = 1e-12
_COMBAT_STEPS = 10_000


def describe(question: Question, sites: Mapping[str, Told]) -> Finished:
    """Return number, mean, variance (n - 1), standard deviation and error of each variable in each group."""
    rows = []
    for group, (n, values) in added_up(sites).items():
        means, variances = _mean_and_variance(n, values["sum"], values["squares"])
        for name, mean, variance in zip(question.variables, means.tolist(), variances.tolist(), strict=True):
            sd = math.sqrt(variance)
            row = {"group": list(group), "variable": name, "subjects": n, "mean": mean, "variance": variance}
            rows.append({**row, "sd": sd, "standard_error": sd / math.sqrt(n)})
    return rows, {"at_least": any(each.withheld for each in sites.values())}


def t_test(question: Question, sites: Mapping[str, Told]) -> Finished:
    """Return Welch's and Student's t-test of each variable between two groups.

    Source: Welch, Biometrika 34 (1947), 28-35, with the degrees of freedom of Satterthwaite (1946).

    Raises:
        StatisticUndetermined: if other than two groups are told.
    """
    groups = _described(sites)
    if len(groups) != 2:
        raise _undetermined(f"A t-test compares two groups, and {len(groups)} are told")
    (one, (n1, m1, v1)), (two, (n2, m2, v2)) = groups.items()
    rows = []
    for place, name in enumerate(question.variables):
        difference = float(m1[place] - m2[place])
        e1, e2 = float(v1[place]) / n1, float(v2[place]) / n2
        pooled = ((n1 - 1) * float(v1[place]) + (n2 - 1) * float(v2[place])) / (n1 + n2 - 2)
        if e1 + e2 <= 0.0:
            raise _undetermined(f"{name!r} does not vary")
        welch_df = (e1 + e2) ** 2 / (e1**2 / (n1 - 1) + e2**2 / (n2 - 1))
        welch, student = difference / math.sqrt(e1 + e2), difference / math.sqrt(pooled * (1 / n1 + 1 / n2))
        rows.append(
            {
                "variable": name,
                "groups": [list(one), list(two)],
                "difference": difference,
                "t": welch,
                "df": welch_df,
                "p": t_two_sided(welch, welch_df),
                "student_t": student,
                "student_df": n1 + n2 - 2,
                "student_p": t_two_sided(student, n1 + n2 - 2),
            }
        )
    return rows, {"subjects": n1 + n2}


def anova(question: Question, sites: Mapping[str, Told]) -> Finished:
    """Return the one-way analysis of variance of each variable over the groups.

    Source: Fisher, Statistical Methods for Research Workers (1925), chapter VII.

    Raises:
        StatisticUndetermined: if fewer than two groups are told.
    """
    groups = _described(sites)
    if len(groups) < 2:
        raise _undetermined(f"An analysis of variance needs two groups, and {len(groups)} are told")
    sizes = np.array([n for n, _, _ in groups.values()], dtype=np.float64)
    means = np.stack([mean for _, mean, _ in groups.values()])
    variances = np.stack([variance for _, _, variance in groups.values()])
    grand = (sizes[:, None] * means).sum(axis=0) / sizes.sum()
    between = (sizes[:, None] * (means - grand) ** 2).sum(axis=0)
    within = ((sizes - 1)[:, None] * variances).sum(axis=0)
    df1, df2 = len(groups) - 1, int(sizes.sum()) - len(groups)
    rows = []
    for place, name in enumerate(question.variables):
        if within[place] <= 0.0:
            raise _undetermined(f"{name!r} does not vary within groups")
        f = float(between[place] / df1 / (within[place] / df2))
        row = {"variable": name, "between": float(between[place]), "within": float(within[place])}
        rows.append({**row, "df_between": df1, "df_within": df2, "f": f, "p": f_upper(f, df1, df2)})
    return rows, {"subjects": int(sizes.sum()), "groups": [list(group) for group in groups]}


def linear(question: Question, sites: Mapping[str, Told]) -> Finished:
    """Return the linear regression of the outcome on the variables, by ordinary least squares.

    Source: Seber & Lee, Linear Regression Analysis (2nd ed.), sections 3.1 to 3.3 and 4.3.

    Raises:
        StatisticUndetermined: if the variables are linearly dependent.
    """
    n, mean, scatter = _scatter(sites)
    d = len(question.variables)
    _require_independent(scatter[:d, :d])
    inverse = _inverse(scatter[:d, :d])
    slopes = inverse @ scatter[:d, d]
    intercept = float(mean[d] - mean[:d] @ slopes)
    explained = float(slopes @ scatter[:d, d])
    total = float(scatter[d, d])
    residual, df = max(total - explained, 0.0), n - d - 1
    variance = residual / df
    errors = np.sqrt(variance * np.array([1 / n + mean[:d] @ inverse @ mean[:d], *np.diag(inverse)]))
    rows = [
        _coefficient(name, value, float(error), df)
        for name, value, error in zip(
            ("(intercept)", *question.variables), (intercept, *slopes.tolist()), errors, strict=True
        )
    ]
    f = explained / d / variance if variance > 0 else math.inf
    r2 = explained / total if total > 0 else 0.0
    fit = {"subjects": n, "df": df, "residual_variance": variance, "r_squared": r2}
    return rows, {**fit, "f": f, "p": f_upper(f, d, df)} if math.isfinite(f) else fit


def pca(question: Question, sites: Mapping[str, Told]) -> Finished:
    """Return the principal components of the correlation or covariance matrix.

    Of each component the loading that is largest in size is positive.

    Source: Jolliffe, Principal Component Analysis (2nd ed.), sections 1.1 and 2.3.
    """
    n, mean, scatter = _scatter(sites)
    covariance = scatter / (n - 1)
    sd = np.sqrt(np.diag(covariance))
    if bool((sd <= 0).any()):
        raise _undetermined("A variable does not vary")
    matrix = covariance / np.outer(sd, sd) if question.scale == "correlation" else covariance
    values, vectors = np.linalg.eigh(matrix)
    order = np.argsort(values)[::-1]
    values, vectors = values[order], vectors[:, order]
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(values.size)])
    rows = [
        {
            "component": number + 1,
            "variance": float(values[number]),
            "share": float(values[number] / values.sum()),
            "loadings": dict(
                zip(question.variables, (vectors[:, number] * signs[number]).tolist(), strict=True)
            ),
        }
        for number in range(values.size)
    ]
    moments = {"mean": mean.tolist(), "sd": sd.tolist(), "matrix": matrix.tolist()}
    return rows, {"subjects": n, "scale": question.scale, "variables": list(question.variables), **moments}


def combat(question: Question, sites: Mapping[str, Told]) -> Finished:
    """Return the shift and the factor by which ComBat brings each feature of each site to the common scale.

    A value y of site i becomes `(z - shift) / sqrt(factor) * sd + common`, where common is the intercept plus what the
    covariates explain, and z is (y - common) / sd. One round is enough: all of it follows from sums of products.

    Source: Johnson, Li & Rabinovic, Biostatistics 8 (2007), 118-127, section 3.1 (parametric); Chen et al., Frontiers
    in Neuroinformatics 16 (2022), 826037 (over sites).

    Raises:
        StatisticUndetermined: if there is one site only, or covariates that sites or others determine.
    """
    if len(sites) < 2:
        raise _undetermined("ComBat compares sites, and one alone has told")
    names, per_site = list(sites), [sites[name].cells[()] for name in sites]
    sizes = np.array([n for n, _ in per_site], dtype=np.float64)
    effects, slopes = _batch_effects(per_site)
    n = float(sizes.sum())
    intercept = sizes @ effects / n
    own = [np.vstack([effects[place], slopes]) for place in range(len(per_site))]
    residuals = sum(
        (_residual(values, coefficients) for (_, values), coefficients in zip(per_site, own, strict=True)),
        start=np.zeros(len(question.variables)),
    )
    sd = np.sqrt(residuals / n)
    if bool((sd <= 0).any()):
        raise _undetermined("A feature does not vary")
    common = np.vstack([intercept, slopes])
    rows = []
    for name, (size, values) in zip(names, per_site, strict=True):
        total = (values["with_features"] - values["products"] @ common)[0] / sd
        squares = _residual(values, common) / sd**2
        shift, factor = _empirical_bayes(float(size), total, squares)
        rows += [
            {"site": name, "variable": feature, "shift": float(shift[at]), "factor": float(factor[at])}
            for at, feature in enumerate(question.variables)
        ]
    by_feature = {
        feature: {
            "intercept": float(intercept[at]),
            "sd": float(sd[at]),
            "covariates": dict(zip(question.covariates, slopes[:, at].tolist(), strict=True)),
        }
        for at, feature in enumerate(question.variables)
    }
    return rows, {"subjects": int(n), "features": by_feature}


def _batch_effects(per_site: Sequence[tuple[int, Mapping[str, Numbers]]]) -> tuple[Numbers, Numbers]:
    """Return the mean of each site beside the covariates, and the slopes of these, by least squares.

    Returns:
        effects: (n_sites, n_features).
        slopes: (n_covariates, n_features).
    """
    features = per_site[0][1]["squares"].size
    covariates = per_site[0][1]["products"].shape[0] - 1
    within = np.zeros((covariates, covariates))
    towards = np.zeros((covariates, features))
    for n, values in per_site:
        products, mixed = values["products"], values["with_features"]
        mean = products[0, 1:] / n
        within += products[1:, 1:] - n * np.outer(mean, mean)
        towards += mixed[1:] - np.outer(mean, mixed[0])
    slopes = np.zeros((0, features))
    if covariates:
        _require_independent(within)
        slopes = _inverse(within) @ towards
    effects = [
        values["with_features"][0] / n - values["products"][0, 1:] / n @ slopes for n, values in per_site
    ]
    return np.stack(effects), slopes


def _residual(values: Mapping[str, Numbers], coefficients: Numbers) -> Numbers:
    """Return the sum of squares that coefficients leave, of each feature, (n_features,)."""
    cross = (coefficients * values["with_features"]).sum(axis=0)
    own = np.einsum("cf,cd,df->f", coefficients, values["products"], coefficients)
    left: Numbers = values["squares"] - 2.0 * cross + own
    return left


def _empirical_bayes(n: float, total: Numbers, squares: Numbers) -> tuple[Numbers, Numbers]:
    """Return shift and factor of one site, from the sums of its standardised values and of their squares."""
    mean, variance = total / n, (squares - total**2 / n) / (n - 1)
    if mean.size < 2 or float(mean.var(ddof=1)) == 0.0 or float(variance.var(ddof=1)) == 0.0:
        # Nothing to learn from other features: the estimates stand as they are.
        return mean, variance
    centre, spread = float(mean.mean()), float(mean.var(ddof=1))
    m, s2 = float(variance.mean()), float(variance.var(ddof=1))
    a, b = (2 * s2 + m**2) / s2, (m * s2 + m**3) / s2
    shift, factor = mean.copy(), variance.copy()
    for _ in range(_COMBAT_STEPS):
        new_shift = (spread * n * mean + factor * centre) / (spread * n + factor)
        left = squares - 2 * new_shift * total + n * new_shift**2
        new_factor = (0.5 * left + b) / (0.5 * n + a - 1)
        moved = max(
            float(np.abs(new_shift - shift).max()), float((np.abs(new_factor - factor) / factor).max())
        )
        shift, factor = new_shift, new_factor
        if moved < _COMBAT_CLOSE:
            break
    return shift, factor


def _described(sites: Mapping[str, Told]) -> dict[tuple[str, ...], tuple[int, Numbers, Numbers]]:
    return {
        group: (n, *_mean_and_variance(n, values["sum"], values["squares"]))
        for group, (n, values) in added_up(sites).items()
    }


def _mean_and_variance(n: int, total: Numbers, squares: Numbers) -> tuple[Numbers, Numbers]:
    mean = total / n
    return mean, np.maximum(squares - n * mean**2, 0.0) / (n - 1)


def _scatter(sites: Mapping[str, Told]) -> tuple[int, Numbers, Numbers]:
    """Return number, means and the centred sums of products of the columns after the intercept."""
    n, values = added_up(sites)[()]
    products = values["products"]
    mean = products[0, 1:] / n
    return n, mean, products[1:, 1:] - n * np.outer(mean, mean)


def _require_independent(scatter: Numbers) -> None:
    diagonal = np.sqrt(np.diag(scatter))
    if bool((diagonal <= 0).any()):
        raise _undetermined("A variable does not vary")
    if float(np.linalg.eigvalsh(scatter / np.outer(diagonal, diagonal))[0]) < _SINGULAR:
        raise _undetermined("The variables are linearly dependent")


def _inverse(scatter: Numbers) -> Numbers:
    """Return the inverse of a positive definite matrix, scaled before so that units do not matter."""
    diagonal = np.sqrt(np.diag(scatter))
    scale = np.outer(diagonal, diagonal)
    inverse: Numbers = np.linalg.inv(scatter / scale) / scale
    return inverse


def _coefficient(name: str, value: float, error: float, df: int) -> dict[str, Any]:
    row = {"variable": name, "coefficient": value, "standard_error": error}
    return {**row, "t": value / error, "p": t_two_sided(value / error, df)} if error > 0 else row


def _undetermined(what: str) -> StatisticUndetermined:
    return StatisticUndetermined(
        f"{what}.",
        why="The sums of all sites together do not determine this statistic.",
        todo="Ask of other variables or groups.",
    )
