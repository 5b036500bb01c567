"""Tails of the distributions that tests use, so that a hub needs no further library for a p-value.

Source: Abramowitz & Stegun 26.5.1 ff. (incomplete beta), 6.5 (incomplete gamma); continued fractions evaluated by
Lentz's method as in Press et al., Numerical Recipes, sections 6.2 and 6.4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

_TINY = 1e-300
_CLOSE = 1e-15
_MOST = 20_000


def normal_two_sided(z: float) -> float:
    """Return P(|Z| >= |z|) of a standard normal Z.

    >>> round(normal_two_sided(1.959963984540054), 12)
    0.05
    """
    return math.erfc(abs(z) / math.sqrt(2.0))


def t_two_sided(t: float, df: float) -> float:
    """Return P(|T| >= |t|) of Student's T with `df` > 0 degrees of freedom."""
    if math.isinf(t):
        return 0.0
    return _beta(0.5 * df, 0.5, df / (df + t * t))


def f_upper(f: float, df1: float, df2: float) -> float:
    """Return P(F >= f), f >= 0, of an F distribution with `df1`, `df2` > 0 degrees of freedom."""
    if math.isinf(f):
        return 0.0
    return _beta(0.5 * df2, 0.5 * df1, df2 / (df2 + df1 * f))


def chi2_upper(x: float, df: float) -> float:
    """Return P(X >= x), x >= 0, of a chi-squared X with `df` > 0 degrees of freedom."""
    return _gamma_upper(0.5 * df, 0.5 * x)


def normal_quantile(p: float) -> float:
    """Return the z with P(Z <= z) = p, 0 < p < 1, of a standard normal Z.

    >>> round(normal_quantile(0.975), 12)
    1.95996398454
    """
    from statistics import NormalDist

    return NormalDist().inv_cdf(p)


def _beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b)."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if x < (a + 1.0) / (a + b + 2.0):
        return math.exp(log_front) * _lentz(_beta_terms(a, b, x)) / a
    return 1.0 - math.exp(log_front) * _lentz(_beta_terms(b, a, 1.0 - x)) / b


def _beta_terms(a: float, b: float, x: float) -> Iterator[tuple[float, float]]:
    """Yield the (numerator, denominator) pairs of 1 / (1 + d1 / (1 + d2 / …))."""
    yield 1.0, 1.0
    for m in range(1, _MOST):
        odd = m - 1
        yield -(a + odd) * (a + b + odd) * x / ((a + 2 * odd) * (a + 2 * odd + 1)), 1.0
        yield m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), 1.0


def _lentz(terms: Iterator[tuple[float, float]]) -> float:
    value, c, d = _TINY, _TINY, 0.0
    for numerator, denominator in terms:
        d = denominator + numerator * d
        d = 1.0 / (d if abs(d) > _TINY else _TINY)
        c = denominator + numerator / c
        c = c if abs(c) > _TINY else _TINY
        value *= c * d
        if abs(c * d - 1.0) < _CLOSE:
            break
    return value


def _gamma_upper(a: float, x: float) -> float:
    """Return the regularised upper incomplete gamma function Q(a, x)."""
    if x <= 0.0:
        return 1.0
    log_front = a * math.log(x) - x - math.lgamma(a)
    if x < a + 1.0:
        term = total = 1.0 / a
        for n in range(1, _MOST):
            term *= x / (a + n)
            total += term
            if term < total * _CLOSE:
                break
        return 1.0 - math.exp(log_front) * total
    return math.exp(log_front) * _lentz(_gamma_terms(a, x))


def _gamma_terms(a: float, x: float) -> Iterator[tuple[float, float]]:
    yield 1.0, x + 1.0 - a
    for n in range(1, _MOST):
        yield n * (a - n), x + 2 * n + 1.0 - a
