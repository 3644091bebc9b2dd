"""Versions of the model and which of them serves: MLflow's store under `local/`, and `ml.*`.

MLflow holds the models and is asked which version serves. `ml.model_versions` and
`ml.alias_history` repeat what analysts need, so that SQL can join it.
"""

import logging
import os
import platform
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from matplotlib.figure import Figure

from ml.errors import DataError, HoldfastError, UsageError
from ml.estimators import ChurnModel
from ml.half_files import half_path, is_running, remove, remove_leftovers
from ml.shortage import shortage
from ml.warehouse import Warehouse

CANDIDATE = "candidate"
STAGING = "staging"
CHAMPION = "champion"
TRAINING_KEY = "training_key"
RECORD_FILE = "record.json"

_MODEL_FILE = "model"
_PROCESS = "holdfast.process"
_SQLITE = "sqlite:///"
# MLflow's filters are strings: only names that need no quoting reach them.
_MODEL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_TEXT, _WHOLE, _TIME, _DAY = pa.string(), pa.int32(), pa.timestamp("us"), pa.date32()

MODEL_VERSIONS_SCHEMA = pa.schema(
    {
        "model_name": _TEXT,
        "model_version": _WHOLE,
        "run_id": _TEXT,
        "estimator": _TEXT,
        "trained_at": _TIME,
        "training_cutoff": _TIME,
        "train_from": _DAY,
        "train_to": _DAY,
        "test_from": _DAY,
        "test_to": _DAY,
        "train_rows": _WHOLE,
        "calibration_rows": _WHOLE,
        "test_rows": _WHOLE,
        "features_hash": _TEXT,
        "feature_count": _WHOLE,
        "gold_fingerprint": _TEXT,
        "training_set_id": _TEXT,
    }
)
ALIAS_HISTORY_SCHEMA = pa.schema(
    {
        "model_name": _TEXT,
        "alias": _TEXT,
        "from_version": _WHOLE,
        "to_version": _WHOLE,
        "changed_at": _TIME,
        "changed_by": _TEXT,
        "why": _TEXT,
        "evidence": _TEXT,
    }
)


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a model in the registry."""

    model_name: str
    model_version: int
    run_id: str


class Registry:
    """MLflow's store of runs, models and aliases, open for this process.

    Parameters
    ----------
    uri
        `sqlite:///<path>`.
    artifact_root
        Folder of models and pictures.
    """

    def __init__(self, uri: str, artifact_root: Path) -> None:
        self._uri = uri
        self._artifact_root = artifact_root
        with _readable_errors(uri):
            Path(uri.removeprefix(_SQLITE)).parent.mkdir(parents=True, exist_ok=True)
            artifact_root.mkdir(parents=True, exist_ok=True)
            _create_whole(uri, artifact_root)
            self._client = _mlflow().MlflowClient(tracking_uri=uri, registry_uri=uri)

    def champion(self, model_name: str) -> RegisteredVersion | None:
        """Return the version that serves, or None."""
        return self.at_alias(model_name, CHAMPION)

    def at_alias(self, model_name: str, alias: str) -> RegisteredVersion | None:
        """Return the version that an alias names, or None."""
        with _readable_errors(self._uri):
            if not self._has_model(model_name):
                return None
            found = self._client.get_registered_model(model_name).aliases.get(alias)
            return None if found is None else self._version(model_name, int(found))

    def version(self, model_name: str, number: int) -> RegisteredVersion | None:
        """Return a version by its number, or None."""
        with _readable_errors(self._uri):
            numbers = self._numbers(model_name)
            return self._version(model_name, number) if number in numbers else None

    def aliases_of(self, version: RegisteredVersion) -> tuple[str, ...]:
        """Return the aliases that name a version, in the order of the alphabet."""
        with _readable_errors(self._uri):
            found = self._client.get_model_version(version.model_name, str(version.model_version))
            return tuple(sorted(found.aliases))

    def registered_at(self, version: RegisteredVersion) -> datetime:
        """Return when a version was registered: the moment in UTC, without a zone."""
        with _readable_errors(self._uri):
            found = self._client.get_model_version(version.model_name, str(version.model_version))
            moment = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)
            return moment.replace(tzinfo=None)

    def numbers(self, model_name: str) -> tuple[int, ...]:
        """Return the numbers of a model's versions, rising; none where there is no model."""
        with _readable_errors(self._uri):
            return self._numbers(model_name)

    def trained_with(self, model_name: str, training_key: str) -> RegisteredVersion | None:
        """Return the newest version trained with this key, or None."""
        with _readable_errors(self._uri):
            if not self._has_model(model_name):
                return None
            versions = self._client.search_model_versions(f"name = '{model_name}'")
            same = [each for each in versions if each.tags.get(TRAINING_KEY) == training_key]
            if not same:
                return None
            newest = max(same, key=lambda each: int(each.version))
            return RegisteredVersion(model_name, int(newest.version), str(newest.run_id))

    @contextmanager
    def run(self, experiment: str) -> Iterator[str]:
        """Open a run and yield its id; an error inside marks it as failed."""
        with _readable_errors(self._uri):
            found = self._client.get_experiment_by_name(experiment)
            experiment_id = (
                self._client.create_experiment(
                    experiment, artifact_location=self._artifact_root.resolve().as_uri()
                )
                if found is None
                else found.experiment_id
            )
            started = self._client.create_run(experiment_id, tags={_PROCESS: _process()})
            run_id = str(started.info.run_id)
        try:
            yield run_id
        except BaseException:
            # What went wrong is worth more than that it could not be marked, on a full disk say.
            with suppress(Exception):
                self._client.set_terminated(run_id, status="FAILED")
            raise
        with _readable_errors(self._uri):
            self._client.set_terminated(run_id, status="FINISHED")

    def end_killed(self, experiment: str) -> None:
        """Mark the runs as killed whose process is gone; they would seem at work for ever."""
        with _readable_errors(self._uri):
            found = self._client.get_experiment_by_name(experiment)
            if found is None:
                return
            for each in self._client.search_runs(
                [found.experiment_id], "attributes.status = 'RUNNING'"
            ):
                machine, _, process = str(each.data.tags.get(_PROCESS, "")).rpartition(" ")
                if machine == platform.node() and not is_running(int(process)):
                    self._client.set_terminated(each.info.run_id, status="KILLED")

    def keeps(self, run_id: str, path: str) -> bool:
        """Return whether a run's artifacts have this file or folder."""
        with _readable_errors(self._uri):
            return bool(self._client.list_artifacts(run_id, path))

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, object],
        metrics: Mapping[str, float],
        figures: Mapping[str, Figure],
        tags: Mapping[str, str],
    ) -> None:
        """Log what a run was given, what it reached, and its pictures."""
        from mlflow.entities import Metric, Param, RunTag

        with _readable_errors(self._uri):
            now = time.time_ns() // 1_000_000
            self._client.log_batch(
                run_id,
                metrics=[Metric(name, value, now, 0) for name, value in metrics.items()],
                params=[Param(name, str(value)) for name, value in params.items()],
                tags=[RunTag(name, value) for name, value in tags.items()],
            )
            for name, figure in figures.items():
                self._client.log_figure(run_id, figure, f"curves/{name}")

    def keep(self, run_id: str, path: Path, folder: str) -> None:
        """Keep a file, or a folder with all that is in it, in a folder of the run's artifacts."""
        with _readable_errors(self._uri):
            if path.is_dir():
                self._client.log_artifacts(run_id, str(path), f"{folder}/{path.name}")
            else:
                self._client.log_artifact(run_id, str(path), folder)

    def register(
        self,
        run_id: str,
        model_name: str,
        model: ChurnModel,
        *,
        record: Mapping[str, object],
        training_key: str,
        tags: Mapping[str, str],
    ) -> RegisteredVersion:
        """Store a fitted model and what was recorded of its training as the next version.

        Parameters
        ----------
        training_key
            What tells this training from every other.
        tags
            What else the version says of itself, such as the training set's name.
        """
        with _readable_errors(self._uri):
            mlflow = self._fluent()
            self._client.log_dict(run_id, dict(record), RECORD_FILE)
            with mlflow.start_run(run_id=run_id, log_system_metrics=False):
                logged = mlflow.sklearn.log_model(
                    model,
                    name=_MODEL_FILE,
                    # Named, so that MLflow does not start a second Python to find them out.
                    pip_requirements=["holdfast", "lightgbm", "scikit-learn"],
                    # The safer format cannot hold a LightGBM booster inside our own class; the
                    # store is this project's own folder.
                    serialization_format="cloudpickle",
                )
            if not self._has_model(model_name):
                self._client.create_registered_model(model_name)
            version = self._client.create_model_version(
                model_name,
                source=logged.model_uri,
                run_id=run_id,
                model_id=logged.model_id,
                tags={TRAINING_KEY: training_key, **tags},
            )
            return RegisteredVersion(model_name, int(version.version), run_id)

    def set_alias(self, model_name: str, alias: str, model_version: int) -> None:
        """Let an alias name this version."""
        with _readable_errors(self._uri):
            self._client.set_registered_model_alias(model_name, alias, str(model_version))

    def load_model(self, version: RegisteredVersion) -> ChurnModel:
        """Load a version's model.

        Raises
        ------
        DataError
            If code that is not there any more wrote it.
        HoldfastError
            If its files are gone or were written by something else.
        """
        try:
            with _readable_errors(self._uri):
                model = self._fluent().sklearn.load_model(
                    f"models:/{version.model_name}/{version.model_version}"
                )
        except (AttributeError, ImportError) as error:
            raise DataError(
                f"Version {version.model_version} of '{version.model_name}' was stored by other "
                f"code and cannot be read ({error}). Train again: `holdfast train`."
            ) from error
        if not isinstance(model, ChurnModel):
            raise HoldfastError(
                f"Expected version {version.model_version} of '{version.model_name}' to be a "
                f"Holdfast model, found a {type(model).__name__}. Train again: `holdfast train`."
            )
        return model

    def load_record(self, version: RegisteredVersion) -> dict[str, Any]:
        """Load what was recorded when a version was trained."""
        with _readable_errors(self._uri):
            record: dict[str, Any] = self._fluent().artifacts.load_dict(
                f"runs:/{version.run_id}/{RECORD_FILE}"
            )
        return record

    def _fluent(self) -> Any:
        """Return MLflow with this store as the one its functions use: some have no other way."""
        mlflow = _mlflow()
        mlflow.set_tracking_uri(self._uri)
        mlflow.set_registry_uri(self._uri)
        return mlflow

    def _has_model(self, model_name: str) -> bool:
        if not _MODEL_NAME.fullmatch(model_name):
            raise UsageError(
                f"A model's name is letters, digits, _ and -, from a letter on; '{model_name}' "
                "came. Change `train.model_name`."
            )
        return bool(self._client.search_registered_models(f"name = '{model_name}'"))

    def _numbers(self, model_name: str) -> tuple[int, ...]:
        if not self._has_model(model_name):
            return ()
        found = self._client.search_model_versions(f"name = '{model_name}'")
        return tuple(sorted(int(each.version) for each in found))

    def _version(self, model_name: str, number: int) -> RegisteredVersion:
        found = self._client.get_model_version(model_name, str(number))
        return RegisteredVersion(model_name, number, str(found.run_id))


def write_model_version(warehouse: Warehouse, row: Mapping[str, object]) -> None:
    """Write one row of `ml.model_versions`; the same version twice, as once."""
    warehouse.replace_slice(
        "ml.model_versions",
        pa.Table.from_pylist([dict(row)], schema=MODEL_VERSIONS_SCHEMA),
        where={"model_name": row["model_name"], "model_version": row["model_version"]},
    )


def _process() -> str:
    return f"{platform.node()} {os.getpid()}"


def _create_whole(uri: str, artifact_root: Path) -> None:
    """Create MLflow's database, where there is none: whole, or not at all.

    MLflow creates it in a hundred steps that are not one transaction, and what is left of one that
    was cut off it can neither use nor mend.
    """
    path = Path(uri.removeprefix(_SQLITE))
    if path.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    _mlflow()
    remove_leftovers(path)
    half = half_path(path)
    try:
        SqlAlchemyStore(f"{_SQLITE}{half}", artifact_root.resolve().as_uri())._dispose_engine()
        # A name that is taken is left alone: another run has been faster.
        with suppress(FileExistsError):
            os.link(half, path)
    finally:
        remove(half)
        remove(half.with_name(f"{half.name}-journal"))


@cache
def _mlflow() -> Any:
    """Import MLflow when it is first needed: it takes seconds, would call home and is noisy."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # Without a git program MLflow would warn at every run; we record a hash of the code instead.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import mlflow
    import mlflow.sklearn

    for name in ("mlflow", "alembic", "git"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow


@contextmanager
def _readable_errors(uri: str) -> Iterator[None]:
    """Turn what MLflow and its database raise into one sentence that says what to do."""
    _mlflow()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        path = uri.removeprefix(_SQLITE)
        raise shortage(Path(path).parent, _first_line(error)) or HoldfastError(
            f"The model registry at {path} could not be used: {_first_line(error)} "
            "Check that the disk has room, that the folder can be written and that no other run "
            "is going on; then run again. Removing mlflow.db and mlartifacts/ starts anew."
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0] if lines else ''}".rstrip(". ")
    return f"{text}."
