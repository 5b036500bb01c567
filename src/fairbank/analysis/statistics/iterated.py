"""Models that are fitted over rounds: logistic regression and Cox, by Newton's method with step halving.

The message of a round holds the coefficients to try, what they were before and how good those were. A step after which
the model is worse is halved. A site that drops out on the way leaves a model of the others, without likelihood ratio,
as that would compare different subjects. The sites learn coefficients, deviances, and who takes part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fairbank.analysis.errors import StatisticUndetermined
from fairbank.analysis.statistics.question import Kind, Question
from fairbank.analysis.statistics.site_table import Numbers
from fairbank.analysis.statistics.sums import Told, added_up
from fairbank.analysis.statistics.tails import chi2_upper, normal_two_sided

Rows = list[dict[str, Any]]
Message = Mapping[str, Any]
# The Newton decrement, in units of deviance, below which one more step changes nothing that a double can hold.
_DECREMENT = 1e-18
_SINGULAR = 1e-12
_HALVINGS = 30


def step(
    question: Question, sites: Mapping[str, Told], message: Message | None, *, last: bool
) -> tuple[dict[str, Any] | None, Rows, dict[str, Any]]:
    """Return the message of the next round, or the rows and totals of the fitted model.

    Raises:
        StatisticUndetermined: if the variables are linearly dependent.
    """
    n, values = added_up(sites)[()]
    logistic = question.statistic is Kind.LOGISTIC
    size = len(question.variables) + (1 if logistic else 0)
    beta = _numbers(message, "beta") if message is not None else np.zeros(size)
    deviance, gradient, information = _logistic(values) if logistic else _partial_likelihood(values, beta)
    alike = message is not None and message["sites"] == list(sites)
    if message is not None and alike and not last:
        before = float(message["deviance"])
        # Close to the end the deviance changes by less than its own rounding.
        if deviance > before + 1e-10 * (1.0 + abs(before)):
            return _halved(message, beta), [], {}
    null = _null_deviance(question, sites) if message is None else _null_of(message, alike=alike)
    covariance = _inverse(information)
    move = covariance @ gradient
    decrement = float(gradient @ move)
    converged = decrement < _DECREMENT * (1.0 + abs(deviance))
    if not converged and not last:
        following = {
            "beta": _texts(beta + move),
            "from": _texts(beta),
            "deviance": repr(deviance),
            "null": None if null is None else repr(null),
            "sites": list(sites),
            "halvings": 0,
        }
        return following, [], {}
    fitted = beta + move if converged else beta
    names = ("(intercept)", *question.variables) if logistic else question.variables
    rows = [
        _coefficient(name, float(value), float(error))
        for name, value, error in zip(names, fitted, np.sqrt(np.diag(covariance)), strict=True)
    ]
    degrees = len(question.variables)
    test: dict[str, Any] = {}
    if null is not None:
        ratio = max(null - deviance, 0.0)
        test = {"likelihood_ratio": ratio, "df": degrees, "p": chi2_upper(ratio, degrees)}
    events = {} if logistic else {"events": int(values["events"].sum())}
    return None, rows, {"subjects": n, **events, "deviance": deviance, **test, "converged": converged}


def _logistic(values: Mapping[str, Numbers]) -> tuple[float, Numbers, Numbers]:
    """Return deviance, gradient and information of a logistic model: they add up over sites as they are.

    Source: McCullagh & Nelder, Generalized Linear Models (2nd ed.), section 4.4.
    """
    return float(values["deviance"][0]), values["gradient"], values["information"]


def _partial_likelihood(values: Mapping[str, Numbers], beta: Numbers) -> tuple[float, Numbers, Numbers]:
    """Return -2 log partial likelihood, gradient and information of Cox's model, ties by Breslow.

    Source: Cox, JRSS B 34 (1972), 187-220; Breslow, Biometrics 30 (1974), 89-99; over sites: Lu et al. (WebDISCO),
    JAMIA 22 (2015), 1212-1219.
    """
    happened = values["events"] > 0
    events, risk = values["events"][happened], values["risk"][happened]
    if not events.size:
        raise _undetermined("Nobody had the event")
    mean = values["risk_sum"][happened] / risk[:, None]
    total = values["event_sum"].sum(axis=0)
    gradient = total - events @ mean
    second = values["risk_products"][happened] / risk[:, None, None]
    information = np.einsum("b,bij->ij", events, second) - np.einsum("b,bi,bj->ij", events, mean, mean)
    deviance = -2.0 * float(total @ beta - events @ np.log(risk))
    return deviance, gradient, information


def _null_of(message: Message, *, alike: bool) -> float | None:
    """Return the deviance without variables, None where it was of other sites than those that are left."""
    return float(message["null"]) if alike and message["null"] is not None else None


def _null_deviance(question: Question, sites: Mapping[str, Told]) -> float:
    """Return the deviance of the model without variables, from the sums at coefficients of zero."""
    n, values = added_up(sites)[()]
    if question.statistic is Kind.COX:
        return _partial_likelihood(values, np.zeros(len(question.variables)))[0]
    # At zero each chance is a half, so the first part of the gradient is the number of ones less n / 2.
    ones = float(values["gradient"][0]) + 0.5 * n
    return -2.0 * (ones * math.log(ones / n) + (n - ones) * math.log((n - ones) / n))


def _halved(message: Message, beta: Numbers) -> dict[str, Any]:
    halvings = int(message["halvings"]) + 1
    if halvings > _HALVINGS:
        raise _undetermined("The model gets no better, however small the step")
    start = _numbers(message, "from")
    return {**_plain(message), "beta": _texts(start + 0.5 * (beta - start)), "halvings": halvings}


def _plain(message: Message) -> dict[str, Any]:
    return {name: message[name] for name in ("beta", "from", "deviance", "null", "sites", "halvings")}


def _inverse(information: Numbers) -> Numbers:
    diagonal = np.sqrt(np.diag(information))
    if not bool((diagonal > 0).all()):
        raise _undetermined("A variable says nothing")
    scale = np.outer(diagonal, diagonal)
    if float(np.linalg.eigvalsh(information / scale)[0]) < _SINGULAR:
        raise _undetermined("The variables are linearly dependent, or determine the outcome")
    inverse: Numbers = np.linalg.inv(information / scale) / scale
    return inverse


def _coefficient(name: str, value: float, error: float) -> dict[str, Any]:
    z = value / error
    row = {"variable": name, "coefficient": value, "standard_error": error, "z": z, "p": normal_two_sided(z)}
    return row if abs(value) > 700 else {**row, "ratio": math.exp(value)}


def _numbers(message: Message, name: str) -> Numbers:
    return np.array([float(each) for each in message[name]], dtype=np.float64)


def _texts(values: Numbers) -> list[str]:
    # As texts a double comes back bit by bit.
    return [repr(float(each)) for each in values]


def _undetermined(what: str) -> StatisticUndetermined:
    return StatisticUndetermined(
        f"{what}.",
        why="The sums of all sites together do not determine this model.",
        todo="Ask of fewer or other variables.",
    )
