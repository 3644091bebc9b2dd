"""Which version serves, and what was recorded when it was trained."""

from dataclasses import dataclass

from ml.errors import DataError, HoldfastError
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
    return Champion(version, read_record(store, version))


def read_record(store: Registry, version: RegisteredVersion) -> TrainingRecord:
    """Return what was recorded when a version was trained.

    Raises
    ------
    DataError
        If other code wrote it, in another form.
    """
    values = store.load_record(version)
    try:
        return TrainingRecord.from_dict(values)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"Expected the record of version {version.model_version} in the form that this code "
            f"writes, found another ({type(error).__name__}: {error}): an earlier Holdfast trained "
            "it. Train again: `holdfast train`."
        ) from error


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
