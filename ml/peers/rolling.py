"""At one past date after another: our model, recency alone and BG/NBD on the same customers.

At every origin T each learns from what was known then: our model from labels known by T (the very
plan that `holdfast train` would have followed on that day), BG/NBD from the purchases known by T.
All are judged on the customers active at T, by what they did afterwards.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml import fit, matrix, metrics
from ml.baselines import RECENCY
from ml.contract import load_contract
from ml.costs import read_costs
from ml.errors import DataError
from ml.metrics import AVERAGE_PRECISION, BRIER, ROC_AUC, Estimate, Forecast
from ml.peers import bgnbd
from ml.peers.bgnbd import DAYS_A_WEEK
from ml.plan import Plan, plan_of
from ml.progress import Progress, silent
from ml.resampling import over_samples
from ml.sampling import choose_sample
from ml.settings import Settings
from ml.training_set import History, read_features, read_history, require_features
from ml.validation import validate
from ml.warehouse import Warehouse, open_warehouse

Floats = NDArray[np.float64]

HOLDFAST = "holdfast"
BG_NBD = "bg_nbd"
ESTIMATORS = (HOLDFAST, RECENCY, BG_NBD)
MEASURES = (ROC_AUC, AVERAGE_PRECISION, BRIER)


@dataclass(frozen=True)
class Origin:
    """What each said at one date, and what happened; arrays of shape `(n_customers,)`.

    Attributes
    ----------
    horizon_days
        In which a customer's silence is a churn; the longest, where cohorts have several.
    family
        The family that our model chose, by labels known on that date.
    customers
        The customers' ids.
    target
        1 where the customer bought nothing in the horizon.
    forecasts
        By estimator.
    """

    as_of_date: date
    horizon_days: int
    family: str
    train_rows: int
    customers: NDArray[np.object_]
    target: Floats
    forecasts: Mapping[str, Forecast]


@dataclass(frozen=True)
class Comparison:
    """One measure of one estimator, and our model's distance from it on the same customers.

    Attributes
    ----------
    as_of_date
        The origin; None: the mean over all origins.
    gap
        Our model's value less this one's; None for our model itself.
    """

    as_of_date: date | None
    estimator: str
    measure: str
    value: Estimate
    gap: Estimate | None


@dataclass(frozen=True)
class OriginSummary:
    """An origin without its arrays."""

    as_of_date: date
    horizon_days: int
    family: str
    train_rows: int
    customers: int
    churned: int


@dataclass(frozen=True)
class PeersResult:
    """What the comparison found."""

    origins: tuple[OriginSummary, ...]
    comparisons: tuple[Comparison, ...]
    left_out: Mapping[str, str]

    def find(self, as_of_date: date | None, estimator: str, measure: str) -> Comparison:
        """Return one measure of one estimator at one origin, or over all."""
        for each in self.comparisons:
            if (each.as_of_date, each.estimator, each.measure) == (as_of_date, estimator, measure):
                return each
        raise KeyError(f"{as_of_date} {estimator} {measure}")


def origins(
    settings: Settings, *, families: Sequence[str] = (), progress: Progress = silent
) -> tuple[tuple[Origin, ...], dict[str, str]]:
    """Return what each estimator said at every date that could be judged, oldest first.

    The second part says which dates were left out, and why.

    Parameters
    ----------
    families
        Families to try; those of the settings where none is named.

    Raises
    ------
    DataError
        If the warehouse has no orders, or no date can be judged.
    """
    options = replace(
        settings.train, test_dates=1, families=tuple(families) or settings.train.families
    )
    settings = replace(settings, train=options)
    contract = load_contract(settings.manifest_path)
    with open_warehouse(settings, read_only=True) as warehouse:
        require_features(warehouse, "gold.training_set", contract.types)
        sample = choose_sample(warehouse, settings.train.max_rows)
        whole = read_history(warehouse, contract, sample)
        frame = read_features(warehouse, contract.types, whole.rows)
        orders, costs = _orders(warehouse), read_costs(settings, warehouse)
        histories = {
            each.as_of_date: read_history(
                warehouse, contract, sample, known_until=each.label_known_at
            )
            for each in whole.dates
            if each.is_complete
        }
        horizons = {day: _horizons(warehouse, day) for day in histories}
    found: list[Origin] = []
    left_out: dict[str, str] = {}
    for at, (day, history) in enumerate(histories.items()):
        progress(f"As of {day}", at, len(histories))
        try:
            shorter = _until(whole, history, frame)
            plan = plan_of(settings, history, costs)
            found.append(_origin(settings, plan, shorter, orders, horizons[day]))
        except DataError as error:
            left_out[str(day)] = str(error)
    if not found:
        raise DataError(
            "Expected a date whose labels are known and before which others were, found none: "
            + (next(reversed(left_out.values())) if left_out else "no date has all its labels.")
        )
    return tuple(found), left_out


def compare(
    found: Sequence[Origin],
    *,
    samples: int,
    rng: np.random.Generator,
    left_out: Mapping[str, str],
) -> PeersResult:
    """Judge the estimators at each origin and over all, on the same samples of customers.

    Parameters
    ----------
    samples
        How many bootstrap samples; a customer counts equally often at all origins.
    """
    ids = np.unique(np.concatenate([each.customers for each in found]))
    weights = metrics.resample_customers(ids.size, samples, rng)
    values: dict[str, list[dict[str, Floats]]] = {name: [] for name in ESTIMATORS}
    drawn: dict[str, list[dict[str, Floats]]] = {name: [] for name in ESTIMATORS}
    for origin in found:
        code = np.searchsorted(ids, origin.customers)
        for name in ESTIMATORS:
            forecast = origin.forecasts[name]
            figures = _figures(origin.target, forecast)
            values[name].append(figures(None))
            parts = over_samples(figures, code, weights)
            drawn[name].append(
                {measure: np.concatenate([part[measure] for part in parts]) for measure in MEASURES}
            )
    comparisons = [
        _comparison(origin.as_of_date, name, measure, values, drawn, slice(at, at + 1))
        for at, origin in enumerate(found)
        for name in ESTIMATORS
        for measure in MEASURES
    ]
    comparisons += [
        _comparison(None, name, measure, values, drawn, slice(None))
        for name in ESTIMATORS
        for measure in MEASURES
    ]
    return PeersResult(tuple(_summary(each) for each in found), tuple(comparisons), left_out)


def _origin(
    settings: Settings,
    plan: Plan,
    frame: pd.DataFrame,
    orders: pd.DataFrame,
    horizons: "pd.Series[int]",
) -> Origin:
    data, test = plan.data, plan.split.test
    (day,) = plan.period.dates
    material = fit.Material(plan.contract.types, data, frame)
    pipelines = fit.build_all(plan.families, settings.train, material.types, settings.seed)
    rng = np.random.default_rng(settings.seed)
    validated = validate(material, plan.split, pipelines, settings.train, rng)
    family = validated.chosen
    model = fit.fit_model(
        family,
        pipelines[family],
        settings.train,
        plan.contract,
        material,
        plan.split,
        validated.scores[family],
    )
    said = fit.forecasts(model, frame.loc[test])
    customers = matrix.to_objects(data.keys.column("customer_id"))[test]
    horizon = horizons.reindex(customers).to_numpy(dtype=np.float64)
    silence = _bg_nbd(orders, customers, day, horizon / DAYS_A_WEEK)
    return Origin(
        as_of_date=day,
        horizon_days=int(horizon.max()),
        family=family,
        train_rows=int(plan.split.train.sum()),
        customers=customers,
        target=data.is_churn[test],
        forecasts={
            HOLDFAST: said[family],
            RECENCY: said[RECENCY],
            BG_NBD: Forecast(silence, silence),
        },
    )


def _until(whole: History, history: History, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the features of a shorter history's rows, which stand in the order of the whole's."""
    last = history.rows.label_known_at.max()
    shorter: pd.DataFrame = frame.loc[whole.rows.label_known_at <= last]
    return shorter.reset_index(drop=True)


def _horizons(warehouse: Warehouse, day: date) -> "pd.Series[int]":
    """Return the days in which each customer's silence is a churn, by customer."""
    found: pd.DataFrame = warehouse.query(
        "select customer_id, horizon_days from gold.customer_360 where as_of_date = ? "
        f"order by {warehouse.in_code_order('customer_id')}",
        [day],
    ).to_pandas()
    return found.set_index("customer_id")["horizon_days"]


def _orders(warehouse: Warehouse) -> pd.DataFrame:
    orders: pd.DataFrame = warehouse.query(
        "select customer_id, cast(ordered_at as date) as bought_on, known_at from bronze.orders "
        "where not coalesce(is_return, false) "
        f"order by {warehouse.in_code_order('customer_id')}, ordered_at, "
        f"{warehouse.in_code_order('order_id')}"
    ).to_pandas()
    if orders.empty:
        raise DataError(
            "Expected orders to fit BG/NBD on, found none in bronze.orders. The comparison is for "
            "companies whose customers buy without a contract."
        )
    return orders


def _bg_nbd(
    orders: pd.DataFrame, customers: NDArray[np.object_], day: date, weeks: Floats
) -> Floats:
    """Return each customer's chance of silence, by the purchases of all that were known then."""
    known = orders[orders["known_at"] < pd.Timestamp(day)]
    code, names = pd.factorize(known["customer_id"], sort=True)
    # The last day that was seen is the one before.
    until = np.datetime64(day) - np.timedelta64(1, "D")
    purchases = bgnbd.summarise(code, known["bought_on"].to_numpy().astype("datetime64[D]"), until)
    row = pd.Index(names).get_indexer(pd.Index(customers))
    if (row < 0).any():
        raise DataError(
            f"Expected a purchase of every customer active on {day}, found none for "
            f"{int((row < 0).sum())}. BG/NBD cannot judge customers by other activity."
        )
    return bgnbd.fit(purchases).silence(purchases.at(row), weeks)


def _figures(target: Floats, forecast: Forecast) -> Callable[[Floats | None], dict[str, Floats]]:
    """Return the measures of some rows by their weights; see `metrics.Figure`."""
    of: dict[str, metrics.Figure] = {
        ROC_AUC: metrics.roc_auc_of(target, forecast.score),
        AVERAGE_PRECISION: metrics.average_precision_of(target, forecast.score),
        BRIER: partial(metrics.brier, target, forecast.probability),
    }
    return lambda weight: {measure: figure(weight) for measure, figure in of.items()}


def _comparison(
    as_of_date: date | None,
    name: str,
    measure: str,
    values: Mapping[str, list[dict[str, Any]]],
    drawn: Mapping[str, list[dict[str, Floats]]],
    at: slice,
) -> Comparison:
    def mean(of: Mapping[str, list[dict[str, Any]]], estimator: str) -> Any:
        return np.mean([each[measure] for each in of[estimator][at]], axis=0)

    value, sample = mean(values, name), mean(drawn, name)
    gap = None
    if name != HOLDFAST:
        gap = metrics.estimate(mean(values, HOLDFAST) - value, mean(drawn, HOLDFAST) - sample)
    return Comparison(as_of_date, name, measure, metrics.estimate(value, sample), gap)


def _summary(origin: Origin) -> OriginSummary:
    return OriginSummary(
        as_of_date=origin.as_of_date,
        horizon_days=origin.horizon_days,
        family=origin.family,
        train_rows=origin.train_rows,
        customers=origin.target.size,
        churned=int(origin.target.sum()),
    )
