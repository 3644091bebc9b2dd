"""Which version serves, and what was recorded when it was trained."""

from dataclasses import dataclass

from ml.errors import HoldfastError
from ml.records import TrainingRecord
from ml.registry import RegisteredVersion, Registry


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
            "trained yet, or no model has passed the gates. Run `holdfast train` and read its "
            "verdict, or `holdfast promote --dry-run`."
        )
    return champion
