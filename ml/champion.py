"""Which version serves: find it, settle it after a training, and say it in words."""

from dataclasses import dataclass

from ml import registry
from ml.clock import utc_now
from ml.errors import HoldfastError
from ml.judge import Decision
from ml.records import TrainingRecord, is_written, write_record
from ml.registry import CHAMPION, RegisteredVersion, Registry
from ml.settings import Settings
from ml.warehouse import Warehouse


@dataclass(frozen=True)
class Champion:
    """The version that serves, and what was recorded when it was trained."""

    version: RegisteredVersion
    record: TrainingRecord


def find_champion(store: Registry, model_name: str) -> Champion | None:
    """Return the version that serves, or None."""
    version = store.champion(model_name)
    if version is None:
        return None
    return Champion(version, TrainingRecord.from_dict(store.load_record(version)))


def require_champion(store: Registry, model_name: str) -> Champion:
    """Return the version that serves.

    Raises
    ------
    HoldfastError
        If none does, saying why that may be and what to do.
    """
    champion = find_champion(store, model_name)
    if champion is None:
        raise HoldfastError(
            f"Expected a champion of the model '{model_name}', found none: either nothing was "
            "trained yet, or no model has beaten recency alone. Run `holdfast train` and read "
            "its verdict."
        )
    return champion


def settle(
    settings: Settings, store: Registry, version: RegisteredVersion, record: TrainingRecord
) -> None:
    """Let a registered version take effect: the rows that tell of it, then the alias.

    Doing it again changes nothing, so a run cut off between two steps is mended by the next.
    """
    with Warehouse.open(settings.warehouse_path, read_only=True) as warehouse:
        if is_settled(warehouse, version, record):
            return
    decision = record.decision
    with Warehouse.open(settings.warehouse_path) as warehouse:
        write_record(warehouse, version, record)
        if not decision.promotes or _has_served(warehouse, version, record):
            return
        serves = store.champion(version.model_name)
        if (None if serves is None else serves.model_version) == decision.from_version:
            store.set_alias(version.model_name, CHAMPION, version.model_version)
        elif serves != version:
            # Someone has promoted another version since: theirs is the last word.
            return
        registry.append_alias_change(
            warehouse,
            {
                "model_name": version.model_name,
                "alias": CHAMPION,
                "from_version": decision.from_version,
                "to_version": version.model_version,
                "changed_at": utc_now(),
                "changed_by": "holdfast train",
                "why": decision.why,
                "evidence": decision.evidence,
            },
        )


def is_settled(warehouse: Warehouse, version: RegisteredVersion, record: TrainingRecord) -> bool:
    """Return whether `settle` would change nothing."""
    if not is_written(warehouse, version):
        return False
    return not record.decision.promotes or _has_served(warehouse, version, record)


def verdict(decision: Decision, *, is_champion: bool) -> str:
    """Return what became of a version in one plain sentence."""
    if is_champion:
        return f"The model serves as champion: {decision.why}."
    if not decision.is_publishable:
        return f"The model is not published: {decision.why} ({decision.evidence})."
    if decision.promotes:
        return "The model served as champion; another version has taken its place since."
    return f"The champion stays: {decision.why} ({decision.evidence})."


def _has_served(warehouse: Warehouse, version: RegisteredVersion, record: TrainingRecord) -> bool:
    return registry.has_alias_change(
        warehouse,
        version.model_name,
        CHAMPION,
        version.model_version,
        since=record.trained_at,
    )
