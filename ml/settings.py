"""Settings: ``ml/config.yml``, a project's ``holdfast.yml`` over it, and where things lie."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

from ml.errors import HoldfastError, UsageError

if TYPE_CHECKING:
    from ml.weights import Weighting

DEFAULTS_PATH = Path(__file__).with_name("config.yml")
OVERRIDES_NAME = "holdfast.yml"
DEFAULT_TARGET = "duckdb"

Section = TypeVar("Section")

Policy = Literal["capacity", "precision", "f1", "profit"]


@dataclass(frozen=True)
class DemoSettings:
    """The company that ``holdfast run --demo`` makes up."""

    customers: int
    months: int

    def __post_init__(self) -> None:
        """Refuse an empty company."""
        _at_least("demo.customers", self.customers, 1)
        _at_least("demo.months", self.months, 1)


@dataclass(frozen=True)
class TrainSettings:
    """How a model is trained and judged."""

    model_name: str
    families: Sequence[str]
    test_dates: int
    validation_dates: int
    calibration_share: float
    max_rows: int
    all_rows: bool
    min_train_rows: int
    min_positives: int
    bootstrap_samples: int
    capacity_share: float
    calibration_method: Literal["isotonic", "sigmoid", "none", "auto"]
    sample_weight: Literal["tier", "revenue"]
    sample_weight_power: float
    class_balance: float
    tune_trials: int
    tune_seconds: int
    lightgbm: Mapping[str, Any]
    logistic_regression: Mapping[str, Any]
    hist_gradient_boosting: Mapping[str, Any]
    random_forest: Mapping[str, Any]
    neural_network: Mapping[str, Any]
    xgboost: Mapping[str, Any]
    catboost: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Refuse values that no training could use."""
        _at_least("train.test_dates", self.test_dates, 1)
        _at_least("train.validation_dates", self.validation_dates, 1)
        _at_least("train.tune_trials", self.tune_trials, 0)
        _at_least("train.tune_seconds", self.tune_seconds, 1)
        _at_least("train.max_rows", self.max_rows, 1)
        _at_least("train.min_train_rows", self.min_train_rows, 1)
        _at_least("train.min_positives", self.min_positives, 1)
        _at_least("train.bootstrap_samples", self.bootstrap_samples, 1)
        _is_share("train.calibration_share", self.calibration_share)
        _is_power("train.sample_weight_power", self.sample_weight_power)
        _is_power("train.class_balance", self.class_balance)
        _is_share("train.capacity_share", self.capacity_share)

    @property
    def weighting(self) -> Weighting:
        """How much each training row counts."""
        # Here, so that a command that only reads settings starts without numpy.
        from ml.weights import Weighting

        return Weighting(self.sample_weight, self.sample_weight_power, self.class_balance)

    def options(self, family: str) -> Mapping[str, Any]:
        """Return a family's own section, handed to its library."""
        section: Mapping[str, Any] = getattr(self, family)
        return section

    def with_options(self, sections: Mapping[str, Mapping[str, Any]]) -> TrainSettings:
        """Return the settings with other sections of families."""
        return TrainSettings(**{**vars(self), **sections})

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON can hold them."""
        return {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in vars(self).items()
        }


@dataclass(frozen=True)
class DecideSettings:
    """Which probability is an alert."""

    policy: Policy
    least_recall: float
    alpha: float
    delta: float

    def __post_init__(self) -> None:
        """Refuse shares that no threshold could keep."""
        _is_share("decide.least_recall", self.least_recall)
        _is_share("decide.alpha", self.alpha)
        _is_share("decide.delta", self.delta)


@dataclass(frozen=True)
class ScoreSettings:
    """How customers are scored."""

    reasons: int
    batch_rows: int

    def __post_init__(self) -> None:
        """Refuse values that no scoring could use."""
        _at_least("score.reasons", self.reasons, 1)
        _at_least("score.batch_rows", self.batch_rows, 1)


@dataclass(frozen=True)
class PromoteSettings:
    """What a version must show before it serves; `ml.promotion.gates` says how each is measured."""

    automatic: bool
    min_churners: int
    min_gain: float
    min_lift: float
    max_calibration_error: float
    min_certified_dates: int

    def __post_init__(self) -> None:
        """Refuse gates that everything passes or nothing could be measured by."""
        _at_least("promote.min_churners", self.min_churners, 1)
        _at_least("promote.min_gain", self.min_gain, 0)
        _at_least("promote.min_lift", self.min_lift, 1)
        _is_share("promote.max_calibration_error", self.max_calibration_error)
        _at_least("promote.min_certified_dates", self.min_certified_dates, 1)


@dataclass(frozen=True)
class CardSettings:
    """What the card of a model version holds, and when it is written."""

    after_training: bool
    explained_rows: int
    countries: int

    def __post_init__(self) -> None:
        """Refuse values that no card could use."""
        _at_least("card.explained_rows", self.explained_rows, 1)
        _at_least("card.countries", self.countries, 1)


@dataclass(frozen=True)
class SummarySettings:
    """What the summary of a run shows."""

    customers: int

    def __post_init__(self) -> None:
        """Refuse a negative list."""
        _at_least("summary.customers", self.customers, 0)


@dataclass(frozen=True)
class Settings:
    """Everything a command needs to know: where things lie and how they are done.

    Attributes
    ----------
    project_dir
        The dbt project; absolute.
    local_dir
        Where everything generated lies: the environment's ``HOLDFAST_LOCAL``, else ``local`` in
        the project; absolute.
    target
        The dbt target.
    vars
        dbt vars given on the command line; they win over those of ``dbt_project.yml``.
    raw_dir
        Where raw files lie, unless models are named under the var ``inputs``.
    target_dir
        Where dbt leaves its artifacts; ``DBT_TARGET_PATH`` moves it for dbt and for us.
    profiles_dir
        Where dbt finds the profile: the project's own ``profiles.yml``, else where dbt looks.
    database
        The database of a server to use in place of the profile's; None: the profile's.
    """

    project_dir: Path
    local_dir: Path
    target: str
    vars: Mapping[str, Any]
    raw_dir: Path
    target_dir: Path
    profiles_dir: Path
    seed: int
    demo: DemoSettings
    train: TrainSettings
    decide: DecideSettings
    score: ScoreSettings
    promote: PromoteSettings
    card: CardSettings
    summary: SummarySettings
    experiments: Mapping[str, Mapping[str, Any]]
    database: str | None = None

    @property
    def warehouse_path(self) -> Path:
        """The DuckDB warehouse that dbt and Python share."""
        return self.local_dir / "warehouse.duckdb"

    @property
    def marts_path(self) -> Path:
        """The published copy of the marts, for readers."""
        return self.local_dir / "marts.duckdb"

    @property
    def truth_dir(self) -> Path:
        """The demo company's truth: beside the raw inputs, never among them."""
        return self.raw_dir.parent / "truth"

    @property
    def reports_dir(self) -> Path:
        """Reports for people."""
        return self.local_dir / "reports"

    @property
    def log_dir(self) -> Path:
        """Logs of dbt and of the command line."""
        return self.local_dir / "logs"

    @property
    def artifact_root(self) -> Path:
        """Where MLflow keeps models and pictures."""
        return self.local_dir / "mlartifacts"

    @property
    def mlflow_uri(self) -> str:
        """MLflow's own store of runs and models."""
        return f"sqlite:///{self.local_dir / 'mlflow.db'}"

    @property
    def manifest_path(self) -> Path:
        """The manifest that dbt leaves behind."""
        return self.target_dir / "manifest.json"


def load_settings(
    project_dir: Path,
    *,
    target: str | None = None,
    vars: Mapping[str, Any] | None = None,
) -> Settings:
    """Read the settings of a project.

    Parameters
    ----------
    project_dir
        A folder with a ``dbt_project.yml``.
    target
        The dbt target; without one, the profile's own default.
    vars
        dbt vars, as ``--vars`` gives them.

    Raises
    ------
    UsageError
        Where the folder is no dbt project.
    HoldfastError
        Where a settings file cannot be read, or has a key or a value that is not known.
    """
    project_dir = Path(project_dir).expanduser().resolve()
    project_path = project_dir / "dbt_project.yml"
    if not project_path.is_file():
        raise UsageError(
            f"No dbt project in {project_dir}: expected a dbt_project.yml. "
            "Go to the project's folder or name it with --project-dir."
        )
    project = _read_yaml(project_path)
    values = _merge(_read_yaml(DEFAULTS_PATH), _overrides(project_dir), where=OVERRIDES_NAME)
    local_dir = Path(os.environ.get("HOLDFAST_LOCAL") or "local").expanduser()
    given_vars = dict(vars or {})
    raw_path = _project_var("raw_path", given_vars, project)
    return Settings(
        project_dir=project_dir,
        local_dir=project_dir / local_dir,
        target=target or _default_target(project_dir, project),
        vars=MappingProxyType(given_vars),
        raw_dir=project_dir / (raw_path if raw_path else local_dir / "raw"),
        target_dir=project_dir / (os.environ.get("DBT_TARGET_PATH") or "target"),
        profiles_dir=_profiles_dir(project_dir),
        seed=_typed("seed", values["seed"], int),
        demo=_section(DemoSettings, "demo", values["demo"]),
        train=_section(TrainSettings, "train", values["train"]),
        decide=_section(DecideSettings, "decide", values["decide"]),
        score=_section(ScoreSettings, "score", values["score"]),
        promote=_section(PromoteSettings, "promote", values["promote"]),
        card=_section(CardSettings, "card", values["card"]),
        summary=_section(SummarySettings, "summary", values["summary"]),
        experiments=_experiments(values["experiments"]),
    )


def _profiles_dir(project_dir: Path) -> Path:
    if (project_dir / "profiles.yml").is_file():
        return project_dir
    elsewhere = os.environ.get("DBT_PROFILES_DIR")
    return Path(elsewhere).expanduser() if elsewhere else Path.home() / ".dbt"


def _overrides(project_dir: Path) -> dict[str, Any]:
    path = project_dir / OVERRIDES_NAME
    return _read_yaml(path) if path.is_file() else {}


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise HoldfastError(f"Cannot read {path}: {reason}. Mend the file.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise HoldfastError(
            f"{path} must be a mapping of keys to values, not a {type(content).__name__}."
        )
    return content


# A project may add keys to them: those of the libraries they are handed to, and its experiments.
_OPEN_SECTIONS = (
    "train.lightgbm",
    "train.logistic_regression",
    "train.hist_gradient_boosting",
    "train.random_forest",
    "train.neural_network",
    "train.xgboost",
    "train.catboost",
    "experiments",
)


def _merge(
    defaults: Mapping[str, Any], given: Mapping[str, Any], *, where: str, prefix: str = ""
) -> dict[str, Any]:
    """Lay the given values over the defaults, key by key, refusing keys that are not known."""
    merged = dict(defaults)
    for key, value in given.items():
        name = f"{prefix}{key}"
        if key not in defaults and prefix.rstrip(".") not in _OPEN_SECTIONS:
            known = ", ".join(sorted(defaults))
            raise HoldfastError(
                f"{where} has a key that Holdfast does not know: {name}. Known here: {known}."
            )
        default = defaults.get(key)
        # An experiment is named anew as a whole.
        if isinstance(default, Mapping) and prefix != "experiments.":
            if not isinstance(value, Mapping):
                raise HoldfastError(f"{where}: {name} must be a mapping, but is {value!r}.")
            merged[key] = _merge(default, value, where=where, prefix=f"{name}.")
        else:
            merged[key] = value
    return merged


def _experiments(values: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    return MappingProxyType(
        {
            str(name): _typed(f"experiments.{name}", value or {}, Mapping)
            for name, value in values.items()
        }
    )


def _section(kind: type[Section], name: str, values: Mapping[str, Any]) -> Section:
    hints = get_type_hints(kind)
    typed = {
        field.name: _typed(f"{name}.{field.name}", values[field.name], hints[field.name])
        for field in fields(kind)  # type: ignore[arg-type]
    }
    return kind(**typed)


def _typed(name: str, value: Any, kind: Any) -> Any:
    """Return the value as `kind`, or say what was expected and what came."""
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
        raise HoldfastError(
            f"The setting {name} must be one of {', '.join(get_args(kind))}, but is {value!r}."
        )
    if Mapping in (kind, get_origin(kind)):
        if isinstance(value, Mapping):
            return MappingProxyType(dict(value))
        raise HoldfastError(f"The setting {name} must be a mapping, but is {value!r}.")
    if get_origin(kind) is Sequence:
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return tuple(value)
        raise HoldfastError(f"The setting {name} must be a list of words, but is {value!r}.")
    # YAML writes 1 for 1.0; and True is an int in Python, which no setting means.
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise HoldfastError(f"The setting {name} must be {kind.__name__}, but is {value!r}.")


def _at_least(name: str, value: float, least: float) -> None:
    if value < least:
        raise HoldfastError(f"The setting {name} must be at least {least}, but is {value}.")


def _is_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise HoldfastError(f"The setting {name} must lie between 0 and 1, but is {value}.")


def _is_power(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise HoldfastError(f"The setting {name} must be from 0 to 1, but is {value}.")


def _project_var(name: str, given: Mapping[str, Any], project: Mapping[str, Any]) -> Any:
    """Return a dbt var as dbt resolves it for the package: command line, package scope, project."""
    project_vars = project.get("vars") or {}
    scopes = (
        given.get("holdfast"),
        given,
        project_vars.get("holdfast"),
        project_vars,
    )
    for scope in scopes:
        if isinstance(scope, Mapping) and scope.get(name) is not None:
            return scope[name]
    return None


def _default_target(project_dir: Path, project: Mapping[str, Any]) -> str:
    """Return the default target of the project's own profile, where it has one in plain words."""
    path = project_dir / "profiles.yml"
    if not path.is_file():
        return DEFAULT_TARGET
    profile = _read_yaml(path).get(str(project.get("profile")))
    target = profile.get("target") if isinstance(profile, Mapping) else None
    return target if isinstance(target, str) and "{{" not in target else DEFAULT_TARGET
