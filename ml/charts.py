"""The curves of a model as pictures, for a person who wants to see what the figures say."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ml.estimators import Importance
from ml.metrics import CALIBRATION_BINS, Cumulated, Forecast, calibration_bins, cumulate, rank

Floats = NDArray[np.float64]

_MOST_POINTS = 1000
_SHOWN_FEATURES = 20


def pictures(
    target: Floats,
    forecasts: Mapping[str, Forecast],
    chosen: str,
    importance: Importance,
    capacity_share: float,
) -> dict[str, Figure]:
    """Return file name to picture: precision and recall, ROC, gain, calibration, importance.

    Parameters
    ----------
    target
        1 for churn, of shape `(n,)`.
    forecasts
        Estimator to forecast; all are drawn but in the picture of calibration, which shows the
        chosen one.
    chosen
        The estimator that was chosen.
    importance
        Of the chosen estimator.
    capacity_share
        Marked in the picture of gain.
    """
    curves = {
        name: cumulate(rank(forecast.score), target, np.ones(target.shape))
        for name, forecast in forecasts.items()
    }
    return {
        "precision_recall.png": _precision_recall(curves),
        "roc.png": _roc(curves),
        "gain.png": _gain(curves, capacity_share),
        "calibration.png": _calibration(target, forecasts[chosen], chosen),
        "importance.png": _importance(importance),
    }


def _precision_recall(curves: Mapping[str, Cumulated]) -> Figure:
    figure, axes = _figure("Precision and recall", "recall", "precision")
    for name, curve in curves.items():
        recall = curve.churned / curve.churned[-1]
        _line(axes, recall, curve.churned / curve.rows, name)
    axes.set_ylim(0, 1)
    return _finished(figure, axes)


def _roc(curves: Mapping[str, Cumulated]) -> Figure:
    figure, axes = _figure("ROC", "share of retained customers", "share of churned customers")
    for name, curve in curves.items():
        retained = curve.rows - curve.churned
        _line(axes, _from_zero(retained), _from_zero(curve.churned), name)
    return _finished(figure, axes)


def _gain(curves: Mapping[str, Cumulated], capacity_share: float) -> Figure:
    figure, axes = _figure("Gain", "share of customers called", "share of churned customers found")
    for name, curve in curves.items():
        _line(axes, _from_zero(curve.rows), _from_zero(curve.churned), name)
    axes.axvline(capacity_share, color="grey", linestyle=":", label="capacity")
    return _finished(figure, axes)


def _calibration(target: Floats, forecast: Forecast, name: str) -> Figure:
    figure, axes = _figure("Calibration", "predicted probability", "churn rate")
    highest = 0.0
    for probability, label in (
        (forecast.uncalibrated, f"{name}, before calibration"),
        (forecast.probability, name),
    ):
        if probability is not None:
            said, happened = _binned(target, probability)
            axes.plot(said, happened, marker="o", label=label)
            highest = max(highest, float(said.max()), float(happened.max()))
    highest = max(highest, 1e-6) * 1.05
    axes.plot([0, highest], [0, highest], color="grey", linestyle=":", label="perfect")
    return _finished(figure, axes)


def _binned(target: Floats, probability: Floats) -> tuple[Floats, Floats]:
    """Return the mean probability and the churn rate of each bin."""
    order, starts = calibration_bins(probability, CALIBRATION_BINS)
    sizes = np.diff(np.append(starts, order.size))
    said = np.add.reduceat(probability[order], starts) / sizes
    return said, np.add.reduceat(target[order], starts) / sizes


def _importance(importance: Importance) -> Figure:
    figure, axes = _figure("Importance of features", "share", "")
    shares = importance.shares[:_SHOWN_FEATURES][::-1]
    axes.barh(list(importance.features[:_SHOWN_FEATURES][::-1]), list(shares))
    figure.tight_layout()
    return figure


def _figure(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    # Not by pyplot: no window, no global state, and any thread may draw.
    figure = Figure(figsize=(7, 5), dpi=100)
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes


def _finished(figure: Figure, axes: Axes) -> Figure:
    axes.legend()
    figure.tight_layout()
    return figure


def _line(axes: Axes, x: Floats, y: Floats, label: str) -> None:
    keep = np.unique(np.linspace(0, x.size - 1, _MOST_POINTS).astype(int))
    axes.plot(x[keep], y[keep], label=label)


def _from_zero(rising: Floats) -> Floats:
    return np.concatenate([[0.0], rising / rising[-1]])
