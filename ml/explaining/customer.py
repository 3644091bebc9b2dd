"""Why one customer has the score it has: the parts, the values behind them, the scores before."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from ml import explain, matrix
from ml.champion import read_record, require_champion
from ml.contract import Feature, load_contract
from ml.errors import DataError
from ml.estimators import ChurnModel
from ml.progress import Progress, silent
from ml.promotion.versions import named, open_registry
from ml.reasons import Wording, date_before
from ml.registry import RegisteredVersion, Registry
from ml.score import ranking
from ml.settings import Settings
from ml.training_set import require_features
from ml.warehouse import Warehouse, open_warehouse, require_warehouse

_SOURCE = "gold.customer_360"
# How many earlier dates a value is shown at, each at least four weeks before the next.
_EARLIER_DATES = 3
_EXAMPLES = 3


@dataclass(frozen=True)
class Part:
    """What one feature adds to a customer's raw score.

    Attributes
    ----------
    reason
        Its value in words.
    effect
        raises or lowers the risk, or none.
    values
        At the date that is explained and at the earlier ones, newest first; None for null, and
        where the customer was not observed.
    """

    feature: str
    family: str
    reason: str
    contribution: float
    effect: str
    values: tuple[float | str | bool | None, ...]


@dataclass(frozen=True)
class PastScore:
    """One recorded prediction of the customer, and what became of it once that was known."""

    as_of_date: date
    model_version: int
    churn_probability: float
    rank: int
    customers: int
    is_churn: bool | None


@dataclass(frozen=True)
class Explanation:
    """One customer's score at one as-of date, divided among the features.

    Attributes
    ----------
    newest_date
        Of all customers.
    train_to
        The last as-of date of the rows that the model learnt from.
    rank
        Its place among the `customers` of that date, 1 the likeliest to churn.
    base
        The raw score of no particular customer; the parts and the base add up to `score`.
    parts
        Every feature that adds anything, by size.
    earlier_dates
        What the values after the first stand for.
    history
        The recorded predictions, oldest first.
    features
        The contract of each part's feature.
    """

    customer_id: str
    as_of_date: date
    newest_date: date
    train_to: date
    model_name: str
    model_version: int
    estimator: str
    cohort: str
    value_tier: str
    monthly_revenue: float
    horizon_days: int
    churn_probability: float
    rank: int
    customers: int
    base: float
    score: float
    parts: tuple[Part, ...]
    earlier_dates: tuple[date, ...]
    history: tuple[PastScore, ...]
    features: Mapping[str, Feature]

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as JSON can hold it."""
        own = {name: value for name, value in vars(self).items() if name != "features"}
        own["parts"] = [asdict(part) for part in self.parts]
        own["history"] = [asdict(each) for each in self.history]
        return own


def explain_customer(
    settings: Settings,
    customer_id: str,
    *,
    as_of: date | None = None,
    model: str | None = None,
    progress: Progress | None = None,
) -> Explanation:
    """Explain a customer's score.

    Parameters
    ----------
    as_of
        The as-of date; None: the newest at which the customer was observed.
    model
        The number or alias of a version; None: the champion.

    Raises
    ------
    DataError
        If the customer is unknown, or was not observed at that date.
    UsageError
        If no version has that number or alias.
    ContractError
        If the warehouse lacks a feature of the model or has it with another type.
    """
    say = progress or silent
    require_warehouse(settings)
    say("Loading the model", 0, 0)
    store = open_registry(settings)
    version = version_of(settings, store, model)
    fitted = store.load_model(version)
    record = read_record(store, version)
    say("Scoring the customers of the date", 0, 0)
    with open_warehouse(settings, read_only=True) as warehouse:
        require_features(warehouse, _SOURCE, fitted.types)
        dates = _dates_of(warehouse, customer_id)
        day = _chosen_date(customer_id, dates, as_of)
        shown = _shown_dates(dates, day)
        rows = _rows(warehouse, fitted, customer_id, shown)
        rank, customers = _rank(warehouse, fitted, customer_id, day, settings.score.batch_rows)
        history = _history(warehouse, version.model_name, customer_id)
        newest = warehouse.query(f"select max(as_of_date) as newest from {_SOURCE}")
    features = load_contract(settings.manifest_path).of(fitted.types)
    parts = explain.contributions(fitted, matrix.to_frame(rows.slice(0, 1), fitted.types))
    own = rows.slice(0, 1).to_pylist()[0]
    score = float(parts.raw_score[0])
    return Explanation(
        customer_id=customer_id,
        as_of_date=day,
        newest_date=matrix.as_date(newest["newest"][0].as_py()),
        train_to=record.train_to,
        model_name=version.model_name,
        model_version=version.model_version,
        estimator=fitted.family,
        cohort=own["cohort"],
        value_tier=own["value_tier"],
        monthly_revenue=float(own["monthly_revenue"]),
        horizon_days=own["horizon_days"],
        churn_probability=float(fitted.calibrator.probability(np.array([score]))[0]),
        rank=rank,
        customers=customers,
        base=float(parts.base[0]),
        score=score,
        parts=_parts(parts, rows, features, shown),
        earlier_dates=tuple(shown[1:]),
        history=history,
        features=features,
    )


def version_of(settings: Settings, store: Registry, name: str | None) -> RegisteredVersion:
    """Return the version that a number or an alias names; without one, the champion."""
    model_name = settings.train.model_name
    if name is None:
        return require_champion(store, model_name).version
    return named(store, model_name, name)


def _dates_of(warehouse: Warehouse, customer_id: str) -> list[date]:
    found = warehouse.query(
        f"select as_of_date from {_SOURCE} where customer_id = ? order by as_of_date",
        [customer_id],
    )
    dates = [matrix.as_date(day) for day in found["as_of_date"].to_pylist()]
    if dates:
        return dates
    known = warehouse.query(
        f"select count(distinct customer_id) as customers, max(as_of_date) as newest from {_SOURCE}"
    ).to_pylist()[0]
    if not known["customers"]:
        raise DataError(
            f"Expected customers in {_SOURCE}, found none. Check that the inputs hold active "
            "customers, then run `dbt build`."
        )
    # Those whose ids begin alike are what a slip of the finger meant.
    examples = warehouse.query(
        f"select customer_id from {_SOURCE} where as_of_date = ? "
        f"order by {warehouse.likeness('customer_id', '?')} desc, customer_id limit ?",
        [known["newest"], customer_id, _EXAMPLES],
    )
    alike = ", ".join(examples["customer_id"].to_pylist())
    raise DataError(
        f"Expected a customer of {_SOURCE}, found none called '{customer_id}'. It has "
        f"{known['customers']:,} customers, such as {alike}."
    )


def _chosen_date(customer_id: str, dates: Sequence[date], as_of: date | None) -> date:
    if as_of is None:
        return dates[-1]
    if as_of in dates:
        return as_of
    raise DataError(
        f"Expected the customer '{customer_id}' in {_SOURCE} as of {as_of}, found none. It is "
        f"there at {len(dates)} dates from {dates[0]} to {dates[-1]}: a customer is observed at "
        "the dates of gold.as_of_dates while active."
    )


def _shown_dates(dates: Sequence[date], day: date) -> list[date]:
    """Return the date and up to three before it, a month or so apart."""
    shown = [day]
    while len(shown) <= _EARLIER_DATES:
        earlier = date_before(dates, shown[-1])
        if earlier is None:
            break
        shown.append(earlier)
    return shown


def _rows(
    warehouse: Warehouse, model: ChurnModel, customer_id: str, dates: Sequence[date]
) -> pa.Table:
    """Return the customer's observations, newest first."""
    columns = ", ".join(f'"{name}"' for name in model.types)
    places = ", ".join("?" for _ in dates)
    return warehouse.query(
        "select cohort, value_tier, monthly_revenue, horizon_days, observation_days, "
        f"{columns} from {_SOURCE} where customer_id = ? and as_of_date in ({places}) "
        "order by as_of_date desc",
        [customer_id, *dates],
    )


def _rank(
    warehouse: Warehouse, model: ChurnModel, customer_id: str, day: date, batch_rows: int
) -> tuple[int, int]:
    """Return the customer's place among all of the date, as scoring ranks them, and how many."""
    columns = ", ".join(f'"{name}"' for name in model.types)
    ids: list[pa.Array] = []
    scores: list[np.ndarray[Any, np.dtype[np.float64]]] = []
    for batch in warehouse.stream(
        f"select customer_id, {columns} from {_SOURCE} where as_of_date = ?",
        [day],
        batch_rows=batch_rows,
    ):
        ids.append(batch.column("customer_id"))
        scores.append(model.raw_score(matrix.to_frame(batch, model.types)))
    customers, score = pa.concat_arrays(ids), np.concatenate(scores)
    order = ranking(customers, score, model.calibrator.probability(score))
    is_ours = matrix.to_objects(customers)[order] == customer_id
    return int(np.flatnonzero(is_ours)[0]) + 1, len(order)


def _parts(
    parts: explain.Contributions,
    rows: pa.Table,
    features: Mapping[str, Feature],
    shown: Sequence[date],
) -> tuple[Part, ...]:
    wording = Wording(features, shown[0], shown[1] if len(shown) > 1 else None)
    windows = [*rows["observation_days"].to_pylist(), None]
    found = []
    for name, contribution in zip(parts.features, parts.values[0], strict=True):
        if contribution == 0:
            continue
        values = [_plain(value) for value in rows[name].to_pylist()]
        before = values[1] if len(values) > 1 else None
        found.append(
            Part(
                feature=name,
                family=features[name].family,
                reason=wording.phrase(name, values[0], before, windows[0], windows[1]),
                contribution=float(contribution),
                effect="raises" if contribution > 0 else "lowers",
                values=tuple(values),
            )
        )
    return tuple(sorted(found, key=lambda part: (-abs(part.contribution), part.feature)))


def _history(warehouse: Warehouse, model_name: str, customer_id: str) -> tuple[PastScore, ...]:
    found = warehouse.query(
        """
        select
            own.as_of_date, own.model_version, own.churn_probability, own.rank,
            (
                select count(*) from ml.predictions as others
                where others.as_of_date = own.as_of_date
                    and others.model_name = own.model_name
                    and others.model_version = own.model_version
            ) as customers,
            case when labels.is_label_available then labels.is_churn end as is_churn
        from ml.predictions as own
        left join gold.churn_labels as labels
            on own.customer_id = labels.customer_id and own.as_of_date = labels.as_of_date
        where own.model_name = ? and own.customer_id = ?
        order by own.as_of_date, own.model_version
        """,
        [model_name, customer_id],
    )
    return tuple(PastScore(**row) for row in found.to_pylist())


def _plain(value: object) -> float | str | bool | None:
    if value is None or isinstance(value, str | bool):
        return value
    assert isinstance(value, int | float | Decimal)
    return float(value)
