"""Numbers and reasons of a training in words that fit into a table."""

from __future__ import annotations

from fairbank.federated_jobs.training_record import Origin

_ORIGINS = {
    Origin.REAL_WORLD: "Real-world data: from collections of patients or participants.",
    Origin.SYNTHETIC: "Synthetic data: from collections made for tests. The figures tell nothing about patients.",
    Origin.SIMULATED: "Simulated: computed on one machine. The figures tell nothing about patients or sites.",
    Origin.MIXED: "Mixed: some sites hold data of patients, others test data.",
    Origin.UNKNOWN: "Not stated: the catalogue does not say what the datasets are.",
}


def origin_words(origin: Origin) -> str:
    """Return what a label of a figure means."""
    return _ORIGINS[origin]


def number(value: float | None) -> str:
    """Return a metric with four significant digits.

    >>> number(0.000123456), number(None)
    ('0.0001235', '–')
    """
    return "–" if value is None else f"{value:.4g}"


def size(number_of_bytes: int) -> str:
    """Return a number of bytes.

    >>> [size(each) for each in (812, 1_724_320, 2_500_000_000)]
    ['812 B', '1.7 MB', '2.5 GB']
    """
    for factor, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if number_of_bytes >= factor:
            return f"{number_of_bytes / factor:.1f} {unit}"
    return f"{number_of_bytes} B"


def duration(seconds: float | None) -> str:
    """Return a duration.

    >>> [duration(each) for each in (0.25, 75, 7300, None)]
    ['0.2 s', '1 min 15 s', '2 h 1 min', '–']
    """
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def metric_words(metric: str) -> str:
    """Return a metric's name for people.

    >>> metric_words("psnr_db"), metric_words("auroc")
    ('PSNR, dB', 'AUROC')
    """
    known = {
        "psnr_db": "PSNR, dB",
        "mse": "mean squared error",
        "mae": "mean absolute error",
        "auroc": "AUROC",
        "hausdorff_mm": "HD95, mm",
        "surface_mm": "average surface distance, mm",
        "f_one": "F1",
        "r_squared": "R²",
    }
    return known.get(metric, metric.replace("_", " "))


def kind_words(kind: str) -> str:
    """Return for people by what subjects are grouped.

    >>> kind_words("age_band"), kind_words("sex")
    ('age', 'sex')
    """
    return {"age_band": "age", "manufacturer": "maker"}.get(kind, kind)
