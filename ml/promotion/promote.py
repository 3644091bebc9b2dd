"""Promote a version: ask the gates, move the alias, write both down."""

from dataclasses import asdict, dataclass
from typing import Any

from ml.clock import utc_now
from ml.errors import UsageError
from ml.progress import Progress, silent
from ml.promotion import aliases, history
from ml.promotion.gates import FEATURES, Gate, failed, in_words
from ml.promotion.history import AliasChange, Verdict
from ml.promotion.judging import judge_for
from ml.promotion.lock import only_one
from ml.promotion.versions import named, open_registry, person
from ml.registry import CANDIDATE, CHAMPION, STAGING, RegisteredVersion, Registry
from ml.settings import Settings
from ml.warehouse import open_warehouse, require_warehouse

# No word of a person makes a model score features that are not there.
_UNFORCEABLE = (FEATURES,)


@dataclass(frozen=True)
class PromoteResult:
    """What became of a promotion.

    Attributes
    ----------
    from_version
        The version that had the alias before; None where none had it.
    is_allowed
        Whether the gates let it pass or were overruled, or it has the alias already.
    is_changed
        Whether the alias has moved: not in a dry run, nor where it named this version already.
    is_forced
        Whether gates that refused were overruled.
    verdict
        The outcome in one plain sentence.
    """

    model_name: str
    model_version: int
    alias: str
    from_version: int | None
    is_allowed: bool
    is_changed: bool
    is_forced: bool
    is_dry_run: bool
    verdict: str
    gates: tuple[Gate, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return asdict(self)


def promote(
    settings: Settings,
    name: str = CANDIDATE,
    *,
    to: str = CHAMPION,
    is_dry_run: bool = False,
    is_forced: bool = False,
    why: str = "",
    progress: Progress | None = None,
) -> PromoteResult:
    """Ask the gates whether a version may have an alias, and let it.

    Parameters
    ----------
    name
        A version's number, or an alias.
    to
        `staging` or `champion`.
    is_dry_run
        Ask the gates alone.
    is_forced
        Overrule gates that refuse, all but the one on features; recorded with them.
    why
        The reason in words; needed to force.

    Raises
    ------
    UsageError
        Where the name is of no version, or something is forced without a reason.
    HoldfastError
        Where the registry is gone, the warehouse cannot be used, or another promotion is under
        way. Nothing has changed then.
    """
    if to not in (STAGING, CHAMPION):
        raise UsageError(f"--to wants {STAGING} or {CHAMPION}, not '{to}'.")
    if is_forced and not why.strip():
        raise UsageError(
            "--force wants a reason, which is kept with the gates that failed: --why TEXT."
        )
    require_warehouse(settings)
    store = open_registry(settings)
    with only_one(settings):
        if not is_dry_run:
            aliases.mend(settings, store, settings.train.model_name)
        version = named(store, settings.train.model_name, name)
        before = store.at_alias(version.model_name, to)
        gates = judge_for(
            settings,
            store,
            version,
            to,
            certificate_may_be_missing=to == STAGING,
            progress=progress or silent,
        )
        refused = failed(gates)
        is_overruled = is_forced and not any(gate.gate in _UNFORCEABLE for gate in refused)
        is_allowed = not refused or is_overruled or before == version
        is_changed = is_allowed and not is_dry_run and before != version
        if not is_dry_run:
            _carry_out(settings, store, version, before, to, gates, why, is_changed=is_changed)
    return PromoteResult(
        model_name=version.model_name,
        model_version=version.model_version,
        alias=to,
        from_version=None if before is None else before.model_version,
        is_allowed=is_allowed,
        is_changed=is_changed,
        is_forced=is_changed and bool(refused),
        is_dry_run=is_dry_run,
        verdict=_verdict(
            version, before, to, refused, is_allowed=is_allowed, is_dry_run=is_dry_run
        ),
        gates=gates,
    )


def _carry_out(
    settings: Settings,
    store: Registry,
    version: RegisteredVersion,
    before: RegisteredVersion | None,
    to: str,
    gates: tuple[Gate, ...],
    why: str,
    *,
    is_changed: bool,
) -> None:
    moment, who = utc_now(), person()
    verdict = Verdict(
        promotion_id=history.promotion_id(version, to, moment),
        version=version,
        alias=to,
        judged_at=moment,
        judged_by=who,
        gates=gates,
    )
    if not is_changed:
        with open_warehouse(settings) as warehouse:
            history.write_verdict(warehouse, verdict)
        return
    refused = failed(gates)
    overruled = f"forced against {', '.join(gate.gate for gate in refused)}"
    change = AliasChange(
        model_name=version.model_name,
        alias=to,
        from_version=None if before is None else before.model_version,
        to_version=version.model_version,
        changed_at=moment,
        changed_by=who,
        why=": ".join(
            each
            for each in (overruled if refused else f"passes all {len(gates)} gates", why.strip())
            if each
        ),
        evidence=history.evidence_of(
            "promote", gates, promotion_id=verdict.promotion_id, is_forced=bool(refused)
        ),
    )
    aliases.move(settings, store, aliases.Planned(version, change, verdict))


def _verdict(
    version: RegisteredVersion,
    before: RegisteredVersion | None,
    to: str,
    refused: tuple[Gate, ...],
    *,
    is_allowed: bool,
    is_dry_run: bool,
) -> str:
    own = f"Version {version.model_version}"
    if before == version:
        again = f" It would not be let in again: {in_words(refused)}." if refused else ""
        return f"{own} is {to} already; nothing has changed.{again}"
    if not is_allowed:
        would = "would not become" if is_dry_run else "does not become"
        return f"{own} {would} {to}: {in_words(refused)}."
    forced = f", forced against {', '.join(gate.gate for gate in refused)}" if refused else ""
    rival = "which no version was before" if before is None else f"after {before.model_version}"
    would = "would become" if is_dry_run else "is now"
    return f"{own} {would} {to}, {rival}{forced}."
