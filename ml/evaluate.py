"""Judge the champion again, with the labels as they are known now."""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from ml.champion import require_champion
from ml.errors import DataError
from ml.fit import forecasts
from ml.judge import Evaluation, judge
from ml.progress import Progress, silent
from ml.registry import Registry
from ml.sampling import choose_sample
from ml.settings import Settings
from ml.training_set import read_features, read_labelled_rows, require_features
from ml.warehouse import open_warehouse, require_warehouse


@dataclass(frozen=True)
class EvaluateResult:
    """The champion judged again on its test dates, with the labels as they are known now."""

    model_name: str
    model_version: int
    run_id: str
    estimator: str
    test_from: date
    test_to: date
    evaluations: tuple[Evaluation, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in asdict(self).items()
        }


def evaluate(settings: Settings, *, progress: Progress | None = None) -> EvaluateResult:
    """Judge the champion again on its recorded test dates.

    Labels that have changed since, because late data was known, are used as they are now.

    Raises
    ------
    HoldfastError
        If there is no champion, or the warehouse cannot be used.
    """
    say = progress or silent
    require_warehouse(settings)
    say("Loading the champion", 0, 0)
    store = Registry(settings.mlflow_uri, settings.artifact_root)
    champion = require_champion(store, settings.train.model_name)
    version, record = champion.version, champion.record
    model = store.load_model(version)
    say("Judging the champion", 0, 0)
    with open_warehouse(settings, read_only=True) as warehouse:
        sample = choose_sample(warehouse, settings.train.max_rows)
        data = read_labelled_rows(warehouse, sample)
        is_test = (data.as_of_date >= np.datetime64(record.test_from)) & (
            data.as_of_date <= np.datetime64(record.test_to)
        )
        if not is_test.any():
            raise DataError(
                f"Expected labelled rows from {record.test_from} to {record.test_to}, the test "
                "dates of the champion, found none in gold.training_set. Build gold for those "
                "dates, or train again: `holdfast train`."
            )
        require_features(warehouse, "gold.training_set", model.types)
        frame = read_features(warehouse, model.types, data)
    judged = judge(
        data.outcomes(is_test),
        data.segments(is_test),
        forecasts(model, frame.loc[is_test]),
        share=settings.train.capacity_share,
        samples=settings.train.bootstrap_samples,
        rng=np.random.default_rng(settings.seed),
    )
    return EvaluateResult(
        model_name=version.model_name,
        model_version=version.model_version,
        run_id=version.run_id,
        estimator=model.family,
        test_from=record.test_from,
        test_to=record.test_to,
        evaluations=judged.evaluations,
    )
