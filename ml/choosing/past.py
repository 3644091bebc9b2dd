"""The past as `backtest` and `ablate` judge it: a fold for each date whose labels are all known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from ml import families, fit, splits
from ml.contract import FeatureContract, load_contract
from ml.errors import DataError
from ml.judge import Evaluation
from ml.leaderboard import Standing
from ml.progress import Progress
from ml.records import EVALUATIONS_SCHEMA
from ml.registry import Registry
from ml.sampling import choose_sample
from ml.settings import Settings, TrainSettings
from ml.splits import Enough, Split
from ml.training_set import read_features, read_history, require_features
from ml.warehouse import open_warehouse


@dataclass(frozen=True)
class Past:
    """Labelled rows with their features, and the folds that judge them.

    Attributes
    ----------
    split
        Its folds alone count: there is no test, every row may train.
    gold_fingerprint
        Of the rows' dates.
    """

    contract: FeatureContract
    material: fit.Material
    split: Split
    gold_fingerprint: str

    def wanted(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the families to try on the rows that the newest fold learns from."""
        learns = self.split.folds[-1].train
        return families.wanted(
            names, rows=int(learns.sum()), churned=int(self.material.data.is_churn[learns].sum())
        )


def read_past(settings: Settings, *, dates: int, say: Progress) -> Past:
    """Read the labelled rows and part the newest dates into folds.

    Parameters
    ----------
    dates
        How many of the newest dates whose labels are all known are judged, at most.

    Raises
    ------
    DataError
        If no date can be judged by what was known on it.
    """
    say("Reading labels and features", 0, 0)
    contract = load_contract(settings.manifest_path)
    with open_warehouse(settings, read_only=True) as warehouse:
        sample = choose_sample(warehouse, settings.train.max_rows)
        history = read_history(warehouse, contract, sample)
        require_features(warehouse, "gold.training_set", contract.types)
        folds = splits.rolling_folds(
            history.rows.learnable(),
            history.dates,
            until=history.data_until,
            count=dates,
            enough=Enough(settings.train.min_train_rows, settings.train.min_positives),
        )
        if not folds:
            raise DataError(
                "Expected a past date whose labels are all known, with enough labels known on it "
                f"to learn from ({settings.train.min_train_rows} rows, "
                f"{settings.train.min_positives} churned), found none (data until "
                f"{history.data_until:%Y-%m-%d}). Bring more history, or lower "
                "`train.min_train_rows` and `train.min_positives`."
            )
        frame = read_features(warehouse, contract.types, history.rows)
    nobody = np.zeros(len(frame), dtype=bool)
    return Past(
        contract=contract,
        material=fit.Material(contract.types, history.rows, frame),
        split=Split(train=~nobody, test=nobody, folds=folds),
        gold_fingerprint=history.gold_fingerprint(history.rows.as_of_date),
    )


def with_families(options: TrainSettings, names: str | None) -> TrainSettings:
    """Return the options with the families named on the command line, where any are."""
    if names is None:
        return options
    return replace(options, families=tuple(name.strip() for name in names.split(",")))


def record(
    settings: Settings,
    *,
    split: str,
    params: Mapping[str, object],
    figures: Mapping[str, float],
    pictures: Mapping[str, Any],
    evaluations: Sequence[Evaluation],
    evaluated_at: datetime,
) -> str:
    """Keep what was found as a run in MLflow and as rows of `ml.evaluations`; return the run's id.

    The rows of an earlier judgement of the same kind are replaced.
    """
    store = Registry(settings.mlflow_uri, settings.artifact_root)
    name = settings.train.model_name
    with store.run(name) as run_id:
        store.log(run_id, params=params, metrics=figures, figures=pictures, tags={"split": split})
    rows = [
        {
            "run_id": run_id,
            "model_name": name,
            "model_version": None,
            "evaluated_at": evaluated_at,
            **vars(each),
        }
        for each in evaluations
    ]
    with open_warehouse(settings) as warehouse:
        warehouse.replace_slice(
            "ml.evaluations",
            pa.Table.from_pylist(rows, schema=EVALUATIONS_SCHEMA),
            where={"model_name": name, "split": split},
        )
    return run_id


def figures_of(standings: Sequence[Standing]) -> dict[str, float]:
    """Return the standings' means as metrics of a run."""
    return {
        f"{each.estimator}.mean_average_precision": each.mean.value
        for each in standings
        if each.mean.value is not None
    }
