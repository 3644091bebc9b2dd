"""Roll back: the champion before this one serves again."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ml.clock import utc_now
from ml.contract import listed
from ml.errors import ContractError, HoldfastError, UsageError
from ml.promotion import aliases, history
from ml.promotion.history import AliasChange
from ml.promotion.judging import feature_differences
from ml.promotion.lock import only_one
from ml.promotion.versions import named, open_registry, person
from ml.registry import CHAMPION, RegisteredVersion, Registry
from ml.settings import Settings
from ml.warehouse import Warehouse, open_warehouse, require_warehouse


@dataclass(frozen=True)
class RollbackResult:
    """Which version serves again, and which did."""

    model_name: str
    from_version: int
    to_version: int
    why: str

    @property
    def verdict(self) -> str:
        """The outcome in one plain sentence."""
        return f"Version {self.to_version} serves again, after {self.from_version}: {self.why}."

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return {**asdict(self), "verdict": self.verdict}


def rollback(settings: Settings, *, to: str | None = None, why: str) -> RollbackResult:
    """Let the champion before this one serve again; no gate is asked but that on features.

    Rolling back twice goes two champions back.

    Parameters
    ----------
    to
        Another version that has served; the one before without it.
    why
        The reason in words.

    Raises
    ------
    UsageError
        Where no reason is given, or `to` names no version that has served.
    HoldfastError
        Where there is none to go back to, the registry is gone, the warehouse cannot be used, or
        another promotion is under way. Nothing has changed then.
    ContractError
        Where the warehouse lacks a feature of the version to go back to.
    """
    if not why.strip():
        raise UsageError("A rollback wants a reason, which is kept in the history: --why TEXT.")
    require_warehouse(settings)
    store = open_registry(settings)
    model_name = settings.train.model_name
    with only_one(settings):
        aliases.mend(settings, store, model_name)
        serves = store.champion(model_name)
        if serves is None:
            raise HoldfastError(
                f"Expected a champion of '{model_name}' to roll back from, found none. "
                "`holdfast promote` makes one."
            )
        with open_warehouse(settings, read_only=True) as warehouse:
            told = _of_standing_versions(
                store, history.changes(warehouse, model_name, CHAMPION), model_name
            )
            target = _target(store, told, serves, to)
            _require_features(settings, warehouse, store, target)
        change = AliasChange(
            model_name=model_name,
            alias=CHAMPION,
            from_version=serves.model_version,
            to_version=target.model_version,
            changed_at=utc_now(),
            changed_by=person(),
            why=why.strip(),
            evidence=history.evidence_of("rollback"),
        )
        aliases.move(settings, store, aliases.Planned(target, change))
    return RollbackResult(model_name, serves.model_version, target.model_version, why.strip())


def line_of_champions(told: Iterable[AliasChange]) -> list[int]:
    """Return the champions that follow on each other, rollbacks undone: the last serves.

    Parameters
    ----------
    told
        The changes of the alias, the oldest first.
    """
    line: list[int] = []
    for change in told:
        if change.is_rollback and change.to_version in line:
            # Back to where it stood last; whatever came after was undone.
            while line[-1] != change.to_version:
                line.pop()
        elif change.to_version is not None and line[-1:] != [change.to_version]:
            line.append(change.to_version)
    return line


def _of_standing_versions(
    store: Registry, told: Sequence[AliasChange], model_name: str
) -> list[AliasChange]:
    """Leave out changes to versions of an earlier registry, which had the same numbers."""
    registered = {
        number: store.registered_at(version)
        for number in store.numbers(model_name)
        if (version := store.version(model_name, number)) is not None
    }
    return [
        change
        for change in told
        if change.to_version in registered and change.changed_at >= registered[change.to_version]
    ]


def _target(
    store: Registry, told: Sequence[AliasChange], serves: RegisteredVersion, to: str | None
) -> RegisteredVersion:
    line = line_of_champions(told)
    served = sorted({change.to_version for change in told if change.to_version is not None})
    if to is None:
        earlier = [number for number in line if number != serves.model_version]
        if not earlier:
            raise HoldfastError(
                f"Expected a champion before version {serves.model_version}, found none in the "
                "history. `holdfast promote VERSION` lets another version serve."
            )
        return named(store, serves.model_name, str(earlier[-1]))
    target = named(store, serves.model_name, to)
    if target == serves or target.model_version not in served:
        others = ", ".join(str(number) for number in served if number != serves.model_version)
        raise UsageError(
            f"--to wants another version that has served before ({others or 'none has'}), not "
            f"{to}. `holdfast promote {to}` asks the gates of one that has not."
        )
    return target


def _require_features(
    settings: Settings, warehouse: Warehouse, store: Registry, target: RegisteredVersion
) -> None:
    differences = feature_differences(settings, warehouse, store.load_model(target))
    if differences:
        raise ContractError(
            f"Version {target.model_version} cannot serve: the warehouse does not fit its "
            f"features: {listed(differences, most=5)}. Name another version with --to, or train "
            "again: `holdfast train`."
        )
