"""Curves over rounds on a logarithmic axis."""

from __future__ import annotations

from fairbank.charts.rounds import RoundCurve, round_chart


def drawn(*values: float, log: bool) -> str:
    curve = RoundCurve("loss", tuple(enumerate(values)))
    return round_chart([curve], title="Loss", axis="loss", name="loss", log=log).svg()


def test_each_power_of_ten_is_as_high_and_values_that_have_no_logarithm_leave_the_axis_linear() -> None:
    assert drawn(1.0, 0.1, 0.01, log=True) != drawn(1.0, 0.1, 0.01, log=False)
    assert "0.05" in drawn(1.0, 0.1, 0.01, log=True)
    unfit = drawn(1.0, 0.0, log=True)
    assert "the axis is linear" in unfit and "the axis is linear" not in drawn(1.0, 0.0, log=False)
