"""Move an alias: in the registry and in the history, both or neither."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml.clock import utc_now
from ml.promotion import history, lock
from ml.promotion.gates import Gate
from ml.promotion.history import AliasChange, Verdict
from ml.registry import CANDIDATE, CHAMPION, STAGING, RegisteredVersion, Registry
from ml.settings import Settings
from ml.warehouse import Warehouse, open_warehouse

ALIASES = (CANDIDATE, STAGING, CHAMPION)


@dataclass(frozen=True)
class Planned:
    """A change of an alias with all that is written of it.

    Attributes
    ----------
    version
        The version that the alias comes to.
    change
        The row of the history.
    verdict
        What the gates said; None where none were asked.
    """

    version: RegisteredVersion
    change: AliasChange
    verdict: Verdict | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON can hold it."""
        verdict = self.verdict
        return {
            "version": vars(self.version),
            "change": {**vars(self.change), "changed_at": self.change.changed_at.isoformat()},
            "verdict": None
            if verdict is None
            else {
                **vars(verdict),
                "version": vars(verdict.version),
                "judged_at": verdict.judged_at.isoformat(),
                "gates": [gate.to_dict() for gate in verdict.gates],
            },
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Planned":
        """Return the plan that `to_dict` wrote."""
        verdict, change = values["verdict"], values["change"]
        changed_at = datetime.fromisoformat(change["changed_at"])
        return cls(
            RegisteredVersion(**values["version"]),
            AliasChange(**{**change, "changed_at": changed_at}),
            None
            if verdict is None
            else Verdict(
                **{
                    **verdict,
                    "version": RegisteredVersion(**verdict["version"]),
                    "judged_at": datetime.fromisoformat(verdict["judged_at"]),
                    "gates": tuple(Gate(**gate) for gate in verdict["gates"]),
                }
            ),
        )


def move(settings: Settings, store: Registry, planned: Planned) -> None:
    """Carry a change out; the caller holds the lock.

    A change that the registry refuses leaves no trace. One that is cut off later is finished by
    the next command that takes the lock, from a note that lies beside the warehouse meanwhile.
    """
    with open_warehouse(settings) as warehouse:
        lock.write_note(settings, planned.to_dict())
        try:
            _set(store, planned)
        except Exception:
            lock.remove_note(settings)
            raise
        _tell(warehouse, planned)
    lock.remove_note(settings)


def finish(settings: Settings, store: Registry) -> None:
    """Finish the change that was cut off, if there is one; the caller holds the lock."""
    note = lock.read_note(settings)
    if note is None:
        return
    planned = Planned.from_dict(note)
    version = planned.version
    # Its registry may have been removed since; then there is nothing to finish.
    if store.version(version.model_name, version.model_version) == version:
        with open_warehouse(settings) as warehouse:
            _set(store, planned)
            _tell(warehouse, planned)
    lock.remove_note(settings)


def untold(warehouse: Warehouse, store: Registry, model_name: str) -> tuple[AliasChange, ...]:
    """Return the changes that the registry shows and the history does not tell.

    The registry's own tools can move an alias too, and a warehouse or a registry can be removed
    and made anew.
    """
    found = []
    for alias in ALIASES:
        told = history.changes(warehouse, model_name, alias)
        last = told[-1] if told else None
        last_version = None if last is None else last.to_version
        stands = store.at_alias(model_name, alias)
        if stands is None:
            is_told = last_version is None
        else:
            # A change older than the version was to another of its number.
            is_told = (
                last is not None
                and last_version == stands.model_version
                and last.changed_at >= store.registered_at(stands)
            )
        if not is_told:
            to_version = None if stands is None else stands.model_version
            found.append(
                AliasChange(
                    model_name=model_name,
                    alias=alias,
                    from_version=last_version,
                    to_version=to_version,
                    changed_at=utc_now(),
                    changed_by="not Holdfast",
                    why="found so in the registry, which the history did not tell of",
                    evidence=history.evidence_of("found"),
                )
            )
    return tuple(found)


def mend(settings: Settings, store: Registry, model_name: str) -> None:
    """Finish what was cut off and tell what is not told; the caller holds the lock."""
    finish(settings, store)
    with open_warehouse(settings, read_only=True) as warehouse:
        missing = untold(warehouse, store, model_name)
    if missing:
        with open_warehouse(settings) as warehouse:
            for change in missing:
                history.write_change(warehouse, change)


def is_whole(settings: Settings, warehouse: Warehouse, store: Registry, model_name: str) -> bool:
    """Return whether `mend` would change nothing."""
    return lock.read_note(settings) is None and not untold(warehouse, store, model_name)


def _set(store: Registry, planned: Planned) -> None:
    change, version = planned.change, planned.version
    store.set_alias(change.model_name, change.alias, version.model_version)


def _tell(warehouse: Warehouse, planned: Planned) -> None:
    if planned.verdict is not None:
        history.write_verdict(warehouse, planned.verdict)
    history.write_change(warehouse, planned.change)
