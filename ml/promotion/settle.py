"""Let a trained version take effect: told in the warehouse, a candidate, and champion by the gates.

Every step can be done again without a change, so a run that was cut off is mended by the next.
"""

from dataclasses import dataclass

from ml.clock import utc_now
from ml.progress import Progress, silent
from ml.promotion import aliases, history
from ml.promotion.gates import Gate, failed, in_words
from ml.promotion.history import AliasChange, Verdict
from ml.promotion.judging import judge_for
from ml.promotion.lock import only_one
from ml.records import TrainingRecord, is_written, write_record
from ml.registry import CANDIDATE, CHAMPION, RegisteredVersion, Registry
from ml.settings import Settings
from ml.warehouse import Warehouse, open_warehouse

_COMMAND = "train"
_CHANGED_BY = "holdfast train"


@dataclass(frozen=True)
class Settlement:
    """What became of a version.

    Attributes
    ----------
    is_champion
        Whether it serves now.
    verdict
        The outcome in one plain sentence.
    gates
        What the gates said of it on its way to champion; empty where none were asked.
    """

    is_champion: bool
    verdict: str
    gates: tuple[Gate, ...]


def settle(
    settings: Settings,
    store: Registry,
    version: RegisteredVersion,
    record: TrainingRecord,
    *,
    progress: Progress | None = None,
) -> Settlement:
    """Let a registered version take effect; doing it again changes nothing.

    It becomes candidate once, when it is new. With `promote.automatic` the gates are then asked
    once whether it goes on to champion; a first certificate may be missing. After that only
    `holdfast promote` and `holdfast rollback` move it.

    Raises
    ------
    HoldfastError
        Where the warehouse or the registry cannot be used, or another promotion is under way.
    """
    with open_warehouse(settings, read_only=True) as warehouse:
        if is_settled(settings, warehouse, store, version):
            return _settlement(settings, store, version, warehouse)
    with only_one(settings):
        aliases.mend(settings, store, version.model_name)
        with open_warehouse(settings, read_only=True) as warehouse:
            is_told = is_written(warehouse, version)
            is_new = not _has_been(warehouse, store, version, CANDIDATE)
        if not is_told:
            with open_warehouse(settings) as warehouse:
                write_record(warehouse, version, record)
        if is_new:
            aliases.move(settings, store, _candidacy(store, version))
        if settings.promote.automatic:
            _promote(settings, store, version, progress or silent)
    with open_warehouse(settings, read_only=True) as warehouse:
        return _settlement(settings, store, version, warehouse)


def is_settled(
    settings: Settings, warehouse: Warehouse, store: Registry, version: RegisteredVersion
) -> bool:
    """Return whether `settle` would change nothing."""
    return (
        is_written(warehouse, version)
        and aliases.is_whole(settings, warehouse, store, version.model_name)
        and _has_been(warehouse, store, version, CANDIDATE)
        and (not settings.promote.automatic or _is_judged(warehouse, store, version))
    )


def _candidacy(store: Registry, version: RegisteredVersion) -> aliases.Planned:
    before = store.at_alias(version.model_name, CANDIDATE)
    return aliases.Planned(
        version,
        AliasChange(
            model_name=version.model_name,
            alias=CANDIDATE,
            from_version=None if before is None else before.model_version,
            to_version=version.model_version,
            changed_at=utc_now(),
            changed_by=_CHANGED_BY,
            why="the newest training",
            evidence=history.evidence_of(_COMMAND),
        ),
    )


def _promote(
    settings: Settings, store: Registry, version: RegisteredVersion, progress: Progress
) -> None:
    with open_warehouse(settings, read_only=True) as warehouse:
        if _is_judged(warehouse, store, version):
            return
    gates = judge_for(
        settings, store, version, CHAMPION, certificate_may_be_missing=True, progress=progress
    )
    moment = utc_now()
    verdict = Verdict(
        promotion_id=history.promotion_id(version, CHAMPION, moment),
        version=version,
        alias=CHAMPION,
        judged_at=moment,
        judged_by=_CHANGED_BY,
        gates=gates,
    )
    serves = store.champion(version.model_name)
    if failed(gates):
        with open_warehouse(settings) as warehouse:
            history.write_verdict(warehouse, verdict)
        return
    change = AliasChange(
        model_name=version.model_name,
        alias=CHAMPION,
        from_version=None if serves is None else serves.model_version,
        to_version=version.model_version,
        changed_at=moment,
        changed_by=_CHANGED_BY,
        why=why_promoted(gates, serves),
        evidence=history.evidence_of(_COMMAND, gates, promotion_id=verdict.promotion_id),
    )
    aliases.move(settings, store, aliases.Planned(version, change, verdict))


def why_promoted(gates: tuple[Gate, ...], serves: RegisteredVersion | None) -> str:
    """Return in words why a version that passes all gates takes the champion's place."""
    rival = "there was no champion" if serves is None else f"version {serves.model_version} served"
    return f"passes all {len(gates)} gates; {rival}"


def _is_judged(warehouse: Warehouse, store: Registry, version: RegisteredVersion) -> bool:
    """Return whether the gates need not be asked by themselves: it serves, or they were."""
    return store.champion(version.model_name) == version or bool(
        _verdict_of(warehouse, store, version)
    )


def _verdict_of(
    warehouse: Warehouse, store: Registry, version: RegisteredVersion
) -> tuple[Gate, ...]:
    since = store.registered_at(version)
    return history.newest_verdict(warehouse, version, CHAMPION, since=since)


def _has_been(
    warehouse: Warehouse, store: Registry, version: RegisteredVersion, alias: str
) -> bool:
    since = store.registered_at(version)
    return any(
        change.to_version == version.model_version and change.changed_at >= since
        for change in history.changes(warehouse, version.model_name, alias)
    )


def _settlement(
    settings: Settings, store: Registry, version: RegisteredVersion, warehouse: Warehouse
) -> Settlement:
    gates = _verdict_of(warehouse, store, version)
    serves = store.champion(version.model_name)
    is_champion = serves == version
    told = history.changes(warehouse, version.model_name, CHAMPION)
    if is_champion:
        verdict = f"The model serves as champion: {told[-1].why}."
    elif _has_been(warehouse, store, version, CHAMPION):
        verdict = "The model served as champion; another version has taken its place since."
    elif failed(gates):
        verdict = f"The model is not promoted: {in_words(failed(gates))}."
    else:
        verdict = "The model is a candidate: `holdfast promote` asks the gates and lets it serve."
    return Settlement(is_champion, verdict, gates)
