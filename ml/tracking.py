"""What a training tells MLflow: settings as parameters, test figures as metrics."""

from ml.families import ALL_FAMILIES
from ml.judge import OVERALL, TEST, VALIDATION
from ml.metrics import METRICS
from ml.records import TrainingRecord
from ml.settings import Settings

_SHOWN = (
    "estimator",
    "calibration_method",
    "training_cutoff",
    "train_rows",
    "calibration_rows",
    "test_rows",
    "feature_count",
    "gold_fingerprint",
)


def logged_params(settings: Settings, record: TrainingRecord) -> dict[str, object]:
    """Return what the training was given, families' options as `<family>.<option>`."""
    options = settings.train.to_dict()
    families = {
        f"{name}.{key}": value for name in ALL_FAMILIES for key, value in options.pop(name).items()
    }
    return {
        **options,
        **families,
        **{name: getattr(record, name) for name in _SHOWN},
        "seed": settings.seed,
    }


def logged_metrics(record: TrainingRecord) -> dict[str, float]:
    """Return the overall figures.

    Those of the test rows as `<estimator>.<metric>`, and of the chosen family as `<metric>`; those
    of the dates before it as `validation.<estimator>.<metric>`.
    """
    prefixes = {TEST: "", VALIDATION: f"{VALIDATION}."}
    logged = {
        f"{prefixes[each.split]}{each.estimator}.{each.metric}": each.value
        for each in record.evaluations
        if each.segment_type == OVERALL and each.value is not None
    }
    chosen = {
        metric: logged[f"{record.estimator}.{metric}"]
        for metric in METRICS
        if f"{record.estimator}.{metric}" in logged
    }
    return {**logged, **chosen}
