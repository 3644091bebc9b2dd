"""What the gates hold against their bounds: figures of a version on rows it has never seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml import metrics
from ml.baselines import BASE_RATE, RECENCY
from ml.estimators import ChurnModel
from ml.metrics import Estimate, Forecast, Outcomes, Sampled
from ml.promotion.rows import JudgedRows

Floats = NDArray[np.float64]

# Enough to know the mean error of a calibrated model to a few percent of itself.
_CHANCE_DRAWS = 50


@dataclass(frozen=True)
class Measured:
    """A version on the rows it is judged on.

    Attributes
    ----------
    base_rate
        The share of the rows that churned.
    precision
        Average precision.
    gain
        The same less the baseline's, paired.
    baseline
        What that is, in words.
    calibration_error, calibration_by_chance
        Expected calibration error, and what true probabilities would show of it.
    """

    base_rate: float
    precision: Estimate
    gain: Estimate
    baseline: str
    calibration_error: float
    calibration_by_chance: float


def measure(
    rows: JudgedRows, model: ChurnModel, *, samples: int, rng: np.random.Generator
) -> Measured:
    """Measure a version beside recency alone, or beside the churn rate where nobody has recency.

    Parameters
    ----------
    rows
        With both classes.
    samples
        How many bootstrap samples of customers.
    """
    outcomes, forecasts = rows.outcomes, rows.forecasts(model)
    own = forecasts[model.family]
    baseline = RECENCY if RECENCY in forecasts else BASE_RATE
    drawn = metrics.draw_customers(outcomes, samples, rng)
    precision = _precision(outcomes, own, drawn)
    return Measured(
        base_rate=float(outcomes.target.mean()),
        precision=precision.estimate,
        gain=precision.less(_precision(outcomes, forecasts[baseline], drawn)),
        baseline="recency alone" if baseline == RECENCY else "the churn rate alone",
        calibration_error=float(metrics.calibration_error(outcomes.target, own.probability)),
        calibration_by_chance=calibration_by_chance(outcomes.customer, own.probability, rng),
    )


def precision_gain(
    outcomes: Outcomes,
    forecast: Forecast,
    other: Forecast,
    *,
    samples: int,
    rng: np.random.Generator,
) -> Estimate:
    """Return how much more average precision one forecast has than another, by paired bootstrap.

    Customers are drawn, and both are judged on the same draws.
    """
    drawn = metrics.draw_customers(outcomes, samples, rng)
    return _precision(outcomes, forecast, drawn).less(_precision(outcomes, other, drawn))


def calibration_by_chance(
    customer: NDArray[np.int64],
    probability: Floats,
    rng: np.random.Generator,
) -> float:
    """Return the mean calibration error that true probabilities would show on these customers.

    A customer's rows share one draw: months that follow on each other share their horizon, so
    their labels are no independent evidence. That is the most they can depend on one another.

    Parameters
    ----------
    customer
        Codes of the rows' customers, `(n,)`.
    probability
        Taken as the truth, `(n,)`.
    """
    customers = int(customer.max()) + 1
    # Each draw sorts the rows again, which takes no time where they are sorted.
    order = np.argsort(probability)
    customer, probability = customer[order], probability[order]
    errors = [
        float(
            metrics.calibration_error(
                (rng.random(customers)[customer] < probability).astype(np.float64), probability
            )
        )
        for _ in range(_CHANCE_DRAWS)
    ]
    return float(np.mean(errors))


def _precision(outcomes: Outcomes, forecast: Forecast, drawn: Floats) -> Sampled:
    of_score = metrics.average_precision_of(outcomes.target, forecast.score)
    return metrics.sampled(of_score, outcomes.customer, drawn)
