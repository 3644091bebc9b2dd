"""The gates: each asks one thing of a version, and answers with its figure.

Pure functions from figures to verdicts; `assess` measures, `promote` and `settle` act.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ml.contract import listed
from ml.metrics import Estimate

ENOUGH_CHURNERS = "enough_churners"
BEATS_RECENCY = "beats_recency"
AVERAGE_PRECISION = "average_precision"
CALIBRATED = "calibrated"
NOT_WORSE = "not_worse_than_champion"
CERTIFIED = "certified"
NO_CRITICAL_PROBE = "no_critical_probe"
FEATURES = "features_in_contract"

# Measured on rows of the warehouse, so without the features of gold they have no figure.
MEASURED = (ENOUGH_CHURNERS, BEATS_RECENCY, AVERAGE_PRECISION, CALIBRATED)


@dataclass(frozen=True)
class Gate:
    """The verdict of one gate.

    Attributes
    ----------
    figure
        What was measured; None where nothing could be.
    least, most
        What it is held against; None where the gate has no such bound.
    evidence
        The same in words, with the unit.
    """

    gate: str
    is_passed: bool
    figure: float | None
    least: float | None
    most: float | None
    evidence: str

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON can hold it."""
        return asdict(self)


def failed(gates: Sequence[Gate]) -> tuple[Gate, ...]:
    """Return the gates that refuse."""
    return tuple(gate for gate in gates if not gate.is_passed)


def in_words(gates: Sequence[Gate]) -> str:
    """Return what refused a version, with the figures."""
    return "refused by " + "; ".join(f"{gate.gate} ({gate.evidence})" for gate in gates)


def unmeasured(gate: str, reason: str) -> Gate:
    """Return the refusal of a gate that had nothing to measure."""
    return Gate(gate, False, None, None, None, reason)


def enough_churners(churners: int, rows: int, dates: int, *, least: int) -> Gate:
    """Ask for enough independent evidence: customers who churned, each counted once."""
    return Gate(
        ENOUGH_CHURNERS,
        churners >= least,
        churners,
        least,
        None,
        f"{churners:,} customers churned in {rows:,} observations of {dates} dates",
    )


def beats_recency(gain: Estimate, base_rate: float, *, baseline: str, min_gain: float) -> Gate:
    """Ask that the model is surely better than a rule of one column.

    The lower end of the paired interval of average precision must lie above `min_gain` times the
    label's variance, `base_rate * (1 - base_rate)`: the chance differences of two rankings without
    any signal grow with it.

    Parameters
    ----------
    gain
        Average precision of the model less that of the baseline, with its interval.
    baseline
        What was to be beaten, in words.
    """
    margin = min_gain * base_rate * (1 - base_rate)
    return Gate(
        BEATS_RECENCY,
        gain.lower is not None and gain.lower > margin,
        gain.lower,
        margin,
        None,
        f"average precision {written(gain, sign=True)} over {baseline}",
    )


def average_precision(precision: Estimate, base_rate: float, *, min_lift: float) -> Gate:
    """Ask that the lower end of average precision lies above the churn rate by a factor."""
    return Gate(
        AVERAGE_PRECISION,
        precision.lower is not None and precision.lower >= min_lift * base_rate,
        precision.lower,
        min_lift * base_rate,
        None,
        f"average precision {written(precision)} where {base_rate:.3f} churned",
    )


def calibrated(error: float, by_chance: float, base_rate: float, *, most: float) -> Gate:
    """Ask that probabilities are off by no more than a share of the churn rate, and chance.

    Parameters
    ----------
    error
        Expected calibration error.
    by_chance
        What true probabilities would show on as many customers.
    most
        As a share of the churn rate.
    """
    bound = by_chance + most * base_rate
    return Gate(
        CALIBRATED,
        error <= bound,
        error,
        None,
        bound,
        f"calibration error {error:.3f}; true probabilities would show {by_chance:.3f} by chance",
    )


def no_rival(reason: str) -> Gate:
    """Return the verdict where there is nobody to be worse than."""
    return Gate(NOT_WORSE, True, None, None, None, reason)


def not_worse_than_champion(difference: Estimate, champion: int, rows: int, dates: int) -> Gate:
    """Ask that the version is not surely worse: the interval of the difference reaches zero.

    Parameters
    ----------
    difference
        Average precision of the version less the champion's, paired on the same rows.
    champion
        Its version.
    """
    return Gate(
        NOT_WORSE,
        difference.upper is not None and difference.upper >= 0,
        difference.upper,
        0.0,
        None,
        f"average precision {written(difference, sign=True)} against version {champion}, on "
        f"{rows:,} observations of {dates} dates that neither was trained on",
    )


def features_in_contract(differences: Sequence[str], features: int) -> Gate:
    """Ask that every feature of the model is still declared and built with its type."""
    return Gate(
        FEATURES,
        not differences,
        len(differences),
        None,
        0,
        f"the warehouse does not fit: {listed(differences, most=5)}"
        if differences
        else f"all {features} features are declared and built",
    )


def written(estimate: Estimate, *, sign: bool = False) -> str:
    """Return an estimate with its interval, as text."""
    if estimate.value is None:
        return "unknown"
    shape = "+.3f" if sign else ".3f"
    value = format(estimate.value, shape)
    if estimate.lower is None or estimate.upper is None:
        return value
    return f"{value} [{estimate.lower:{shape}}, {estimate.upper:{shape}}]"
