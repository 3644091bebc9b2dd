"""Score customers with the champion: stream gold in, write predictions and their reasons."""

import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml import checks, explain, matrix, reasons
from ml.champion import Champion, require_champion
from ml.clock import utc_now
from ml.contract import load_contract
from ml.door import require_pass
from ml.errors import ContractError, DataError
from ml.estimators import ChurnModel
from ml.profile import SPARKS, engine_of
from ml.progress import Progress, silent
from ml.reasons import Wording
from ml.registry import RegisteredVersion, Registry
from ml.scored_batch import scored_batch
from ml.settings import Settings
from ml.spool import Spool
from ml.training_set import require_features
from ml.warehouse import Warehouse, open_warehouse, require_warehouse

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SOURCE = "gold.customer_360"


@dataclass(frozen=True)
class ScoreResult:
    """What `score` came to.

    Attributes
    ----------
    is_new
        False when these predictions were there already and nothing was rewritten.
    mean_probability
        The expected share of churners among the scored.
    """

    as_of_date: date
    model_name: str
    model_version: int
    run_id: str
    is_new: bool
    predictions: int
    reasons: int
    mean_probability: float
    gold_fingerprint: str

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return {**asdict(self), "as_of_date": self.as_of_date.isoformat()}


@dataclass(frozen=True)
class _Slice:
    """One as-of date scored by one version: what keys its rows."""

    as_of_date: date
    version: RegisteredVersion
    trained_at: datetime
    features_hash: str
    gold_fingerprint: str
    rows: int
    wording: Wording

    @property
    def where(self) -> dict[str, object]:
        return {
            "as_of_date": self.as_of_date,
            "model_name": self.version.model_name,
            "model_version": self.version.model_version,
        }


@dataclass(frozen=True)
class _Scored:
    """All customers of a slice in the order they were read."""

    customer_id: pa.Array
    score: Floats
    probability: Floats


def score(
    settings: Settings, *, as_of: date | None = None, progress: Progress | None = None
) -> ScoreResult:
    """Score every customer of one as-of date, newest unless told otherwise.

    Predictions already made by the same version from the same features and gold rows are left
    as they are.

    Raises
    ------
    HoldfastError
        If there is no champion, or the warehouse or registry cannot be used.
    ContractError
        If the warehouse lacks a feature of the model or has it with another type, or if the
        predictions fail the check at the door.
    DataError
        If there is no customer at that date.
    """
    say = progress or silent
    require_warehouse(settings)
    say("Loading the champion", 0, 0)
    store = Registry(settings.mlflow_uri, settings.artifact_root)
    champion = require_champion(store, settings.train.model_name)
    model = store.load_model(champion.version)
    with open_warehouse(settings, read_only=True) as warehouse:
        require_features(warehouse, _SOURCE, model.types)
        wanted = _slice(settings, warehouse, champion, model, as_of)
        there = _existing(warehouse, wanted, model, settings.score.reasons)
        if there is not None:
            return there
    if engine_of(settings) in SPARKS:
        return _score_on_executors(settings, model, wanted, say)
    return _score_here(settings, model, wanted, say)


def has_champion(settings: Settings) -> bool:
    """Return whether any version serves, so that there is something to score with."""
    store = Registry(settings.mlflow_uri, settings.artifact_root)
    return store.champion(settings.train.model_name) is not None


def is_current(settings: Settings, *, as_of: date | None = None) -> bool:
    """Return whether `score` would find its very predictions there, and so change nothing.

    Raises
    ------
    HoldfastError
        As `score` does where there is no champion, no customer or no fitting feature.
    """
    require_warehouse(settings)
    store = Registry(settings.mlflow_uri, settings.artifact_root)
    champion = require_champion(store, settings.train.model_name)
    model = store.load_model(champion.version)
    with open_warehouse(settings, read_only=True) as warehouse:
        require_features(warehouse, _SOURCE, model.types)
        wanted = _slice(settings, warehouse, champion, model, as_of)
        return _existing(warehouse, wanted, model, settings.score.reasons) is not None


def _slice(
    settings: Settings,
    warehouse: Warehouse,
    champion: Champion,
    model: ChurnModel,
    as_of: date | None,
) -> _Slice:
    found = warehouse.query(
        f"select as_of_date, count(*) as customers from {_SOURCE} group by as_of_date"
    )
    customers = {
        matrix.as_date(row["as_of_date"]): int(row["customers"]) for row in found.to_pylist()
    }
    if not customers:
        raise DataError(
            f"Expected customers to score in {_SOURCE}, found none. Check that the inputs hold "
            "active customers, then run `dbt build`."
        )
    day = max(customers) if as_of is None else as_of
    if day not in customers:
        raise DataError(
            f"Expected customers in {_SOURCE} as of {day}, found none. It has "
            f"{len(customers)} dates from {min(customers)} to {max(customers)}; name one of "
            "them, or let dbt build that date (`gold.as_of_dates` lists them)."
        )
    fingerprint = warehouse.query(
        "select fingerprint from gold.fingerprints "
        "where relation = 'customer_360' and as_of_date = ?",
        [day],
    ).to_pylist()
    if len(fingerprint) != 1:
        raise ContractError(
            f"Expected one fingerprint of {_SOURCE} as of {day}, found {len(fingerprint)}. "
            "Build gold again: `dbt build --select gold_fingerprints`."
        )
    return _Slice(
        as_of_date=day,
        version=champion.version,
        trained_at=champion.record.trained_at,
        features_hash=model.features_hash,
        gold_fingerprint=str(fingerprint[0]["fingerprint"]),
        rows=customers[day],
        wording=Wording(
            features=load_contract(settings.manifest_path).of(model.types),
            as_of_date=day,
            before_date=reasons.date_before(customers, day),
        ),
    )


def _existing(
    warehouse: Warehouse, wanted: _Slice, model: ChurnModel, most_reasons: int
) -> ScoreResult | None:
    """Return what was written before, if it is what would be written now."""
    keys = list(wanted.where.values())
    condition = "where as_of_date = ? and model_name = ? and model_version = ?"
    found = warehouse.query(
        "select features_hash, gold_fingerprint, min(run_id) as run_id, count(*) as rows, "
        "min(scored_at) as scored_at, avg(churn_probability) as mean_probability "
        f"from ml.predictions {condition} "
        "group by features_hash, gold_fingerprint",
        keys,
    ).to_pylist()
    same = [
        row
        for row in found
        if (row["features_hash"], row["gold_fingerprint"], row["rows"])
        == (wanted.features_hash, wanted.gold_fingerprint, wanted.rows)
        # What is older than the version is of another of its number, in a registry since removed.
        and row["scored_at"] >= wanted.trained_at
    ]
    if len(found) != 1 or not same:
        return None
    written = warehouse.query(
        "select count(*) as rows, coalesce(max(reason_rank), 0) as most, "
        "count(*) filter (where reason is null) as wordless "
        f"from ml.prediction_reasons {condition}",
        keys,
    ).to_pylist()[0]
    # Another number of reasons may be asked for now than was then, or then they had no words.
    if written["wordless"] or written["most"] != min(most_reasons, explain.used_features(model)):
        return None
    return _result(
        wanted, same[0]["run_id"], written["rows"], same[0]["mean_probability"], is_new=False
    )


def _score_on_executors(
    settings: Settings, model: ChurnModel, wanted: _Slice, say: Progress
) -> ScoreResult:
    from ml.score_spark import Task, score_on_executors

    say("Scoring on the executors", 0, 0)
    run_id = uuid.uuid4().hex
    with open_warehouse(settings, read_only=True) as warehouse:
        written, mean_probability = score_on_executors(
            settings,
            warehouse,
            Task(model, wanted.wording, wanted.where, wanted.rows, settings.score.reasons),
            query=_query(wanted.wording),
            params=_params(wanted),
            shared={
                "features_hash": wanted.features_hash,
                "gold_fingerprint": wanted.gold_fingerprint,
                "run_id": run_id,
            },
            scored_at=utc_now(),
        )
    return _result(wanted, run_id, written, mean_probability, is_new=True)


def _score_here(
    settings: Settings, model: ChurnModel, wanted: _Slice, say: Progress
) -> ScoreResult:
    run_id = uuid.uuid4().hex
    with TemporaryFile(dir=settings.local_dir) as file:
        spool = Spool(file)
        with open_warehouse(settings, read_only=True) as warehouse:
            scored = _score_rows(warehouse, model, wanted, settings, spool, say)
        scored_at = utc_now()
        say("Checking the predictions", 0, 0)
        predictions = _predictions(scored, wanted, run_id, scored_at)
        _check_door(settings, predictions, wanted, run_id, scored_at)
        say("Writing the predictions", 0, 0)
        with open_warehouse(settings) as warehouse:
            # Reasons first: predictions that are there have their reasons.
            written = warehouse.replace_slice(
                "ml.prediction_reasons", _reason_batches(spool, wanted), where=wanted.where
            )
            warehouse.replace_slice("ml.predictions", predictions, where=wanted.where)
    return _result(wanted, run_id, written, float(scored.probability.mean()), is_new=True)


def _score_rows(
    warehouse: Warehouse,
    model: ChurnModel,
    wanted: _Slice,
    settings: Settings,
    spool: Spool,
    say: Progress,
) -> _Scored:
    """Score batch by batch; the reasons go into the spool."""
    customers: list[pa.Array] = []
    scores: list[Floats] = []
    done = 0
    for batch in warehouse.stream(
        _query(wanted.wording), _params(wanted), batch_rows=settings.score.batch_rows
    ):
        score, top = scored_batch(model, batch, wanted.wording, settings.score.reasons)
        # A copy: a column of the engine's batch would hold all the others in memory with it.
        customers.append(batch.column("customer_id").take(pa.array(np.arange(batch.num_rows))))
        scores.append(score)
        spool.append(top)
        done += batch.num_rows
        say("Scoring", done, wanted.rows)
    raw = np.concatenate(scores)
    return _Scored(pa.concat_arrays(customers), raw, model.calibrator.probability(raw))


def _query(wording: Wording) -> str:
    """Return the query of the observations to score, beside those of the date before."""
    return (
        f"select {reasons.select_list(wording)} from {_SOURCE} as now "
        f"left join {_SOURCE} as earlier "
        "on now.customer_id = earlier.customer_id and earlier.as_of_date = ? "
        "where now.as_of_date = ?"
    )


def _params(wanted: _Slice) -> list[object]:
    return [wanted.wording.before_date, wanted.as_of_date]


def ranking(customer_id: pa.Array, score: Floats, probability: Floats) -> Integers:
    """Return the rows in order of rank, `(n_customers,)`: the likeliest to churn first.

    Calibration makes ties; the score and then the key decide them.
    """
    rows = pa.table(
        {"probability": -probability, "score": -score, "customer_id": customer_id.cast(pa.string())}
    )
    return np.asarray(pc.sort_indices(rows, [(name, "ascending") for name in rows.column_names]))


def _predictions(scored: _Scored, wanted: _Slice, run_id: str, scored_at: datetime) -> pa.Table:
    """Return rows of `ml.predictions`, in order of rank."""
    order = ranking(scored.customer_id, scored.score, scored.probability)
    count = len(order)
    shared = {
        **wanted.where,
        "features_hash": wanted.features_hash,
        "gold_fingerprint": wanted.gold_fingerprint,
        "run_id": run_id,
        "scored_at": scored_at,
    }
    types = {
        "as_of_date": pa.date32(),
        "model_version": pa.int32(),
        "scored_at": pa.timestamp("us"),
    }
    own = {
        "customer_id": scored.customer_id.take(pa.array(order)),
        "score": pa.array(scored.score[order]),
        "churn_probability": pa.array(scored.probability[order]),
        "rank": pa.array(np.arange(1, count + 1, dtype=np.int32)),
    }
    repeated = {
        name: pa.repeat(pa.scalar(value, types.get(name, pa.string())), count)
        for name, value in shared.items()
    }
    return pa.table({**own, **repeated})


def _reason_batches(spool: Spool, wanted: _Slice) -> Iterator[pa.RecordBatch]:
    """Yield rows of `ml.prediction_reasons`."""
    types = {"as_of_date": pa.date32(), "model_version": pa.int32()}
    for batch in spool.read():
        repeated = {
            name: pa.repeat(pa.scalar(value, types.get(name, pa.string())), batch.num_rows)
            for name, value in wanted.where.items()
        }
        own = dict(zip(batch.schema.names, batch.columns, strict=True))
        yield pa.RecordBatch.from_pydict({**own, **repeated})


def _check_door(
    settings: Settings, predictions: pa.Table, wanted: _Slice, run_id: str, checked_at: datetime
) -> None:
    frame = pd.DataFrame(
        {
            "customer_id": pd.Series(
                matrix.to_objects(predictions.column("customer_id")), dtype=object
            ),
            "as_of_date": pd.Timestamp(wanted.as_of_date),
            **{
                name: predictions.column(name).to_numpy()
                for name in ("score", "churn_probability", "rank")
            },
        }
    )
    require_pass(
        settings,
        frame,
        checks.prediction_expectations(wanted.rows),
        suite=checks.PREDICTIONS_SUITE,
        run_id=run_id,
        checked_at=checked_at,
    )


def _result(
    wanted: _Slice, run_id: str, reasons: int, mean_probability: float, *, is_new: bool
) -> ScoreResult:
    return ScoreResult(
        as_of_date=wanted.as_of_date,
        model_name=wanted.version.model_name,
        model_version=wanted.version.model_version,
        run_id=run_id,
        is_new=is_new,
        predictions=wanted.rows,
        reasons=reasons,
        mean_probability=mean_probability,
        gold_fingerprint=wanted.gold_fingerprint,
    )
