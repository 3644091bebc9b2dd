"""All probes over one table, and how often they cry wolf on labels that mean nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

from ml.audit.findings import Finding, new_audit_id, now, write_findings, write_report
from ml.audit.probes.probes import (
    FROM_THE_START,
    OWN_AUC,
    UNLABELLED,
    Bounds,
    Figures,
    Suspicion,
    figures_of,
    looks_of,
    outcomes_of,
    suspect,
    views_of,
)
from ml.audit.probes.reading import read_file, read_frozen_set, read_training_set
from ml.audit.probes.strength import Outcome, own_auc
from ml.audit.probes.table import Bools, Table
from ml.contract import load_contract
from ml.errors import DataError, UsageError
from ml.frozen.sets import FrozenSet
from ml.progress import Progress, silent
from ml.settings import Settings
from ml.warehouse import open_warehouse

AUDIT = "probes"

CANNOT_SEE = (
    "a leak no stronger than an honest feature: a window that reaches a day too far, a late row "
    "counted too early",
    "a leak spread thinly over many columns, each weak alone",
    "when a value was written: a table holds values, not the days on which they became known",
)
REPLAY_SEES = (
    "`holdfast audit replay` sees all of these. It rebuilds gold from the rows known at each date "
    "and compares every cell, so a value from after the date shows however weak it is. It needs "
    "the raw rows with their arrival times, which a flat file has not."
)
# Fewer independent rows of the rarer class than this widen every interval past the lines.
_FEW = 30
_ORDER = ("critical", "warning", "note")


@dataclass(frozen=True)
class FalseAlarms:
    """How often labels that mean nothing set something off.

    Attributes
    ----------
    shuffles
        How many labellings were probed.
    critical, warning
        How many of them had anything critical; any warning or worse.
    critical_upper, warning_upper
        The shares' upper bounds with 95 % confidence (Clopper and Pearson, one side).
    strongest_auc
        The highest AUC of one column that chance alone gave.
    """

    shuffles: int
    critical: int
    critical_upper: float
    warning: int
    warning_upper: float
    strongest_auc: float


@dataclass(frozen=True)
class ProbeResult:
    """What the probes found in one table.

    Attributes
    ----------
    suspicions
        The gravest first.
    figures
        Every column's, the strongest first.
    not_run
        Which probes had nothing to work on, and why.
    report
        The JSON file that says all this.
    """

    audit_id: str
    created_at: datetime
    table: Table
    suspicions: Sequence[Suspicion]
    figures: Sequence[Figures]
    false_alarms: FalseAlarms | None
    remarks: Sequence[str]
    not_run: Sequence[str]
    report: Path | None = None

    @property
    def is_green(self) -> bool:
        """Whether nothing critical was found."""
        return self.count("critical") == 0

    def count(self, severity: str) -> int:
        """Return how many suspicions have a severity."""
        return sum(each.severity == severity for each in self.suspicions)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        table = self.table
        return {
            "audit_id": self.audit_id,
            "created_at": self.created_at,
            "is_green": self.is_green,
            "relation": table.name,
            "target": table.target_name,
            "rows": int(table.target.size),
            "rows_with_label": int(table.target.sum()),
            "customers": table.customers if table.has_customers else None,
            "columns": len(table.columns),
            **{severity: self.count(severity) for severity in _ORDER},
            "findings": [asdict(each) for each in self.suspicions],
            "figures": [asdict(each) for each in self.figures],
            "false_alarms": None if self.false_alarms is None else asdict(self.false_alarms),
            "remarks": list(self.remarks),
            "not_run": list(self.not_run),
            "cannot_see": list(CANNOT_SEE),
            "replay_sees": REPLAY_SEES,
            "report": None if self.report is None else str(self.report),
        }


def audit_training_set(
    settings: Settings,
    *,
    shuffles: int = 0,
    accepted: Sequence[str] = (),
    progress: Progress = silent,
) -> ProbeResult:
    """Probe gold.training_set; write a report, and the findings into `ml.audit_findings`.

    See `probe` for parameters and errors; `read_training_set` for more errors.
    """
    rng = np.random.default_rng(settings.seed)
    contract = load_contract(settings.manifest_path)
    with open_warehouse(settings, read_only=True) as warehouse:
        table = read_training_set(warehouse, contract, rng)
    return _probed(settings, table, rng, shuffles, accepted, progress)


def audit_frozen_set(
    settings: Settings,
    frozen: FrozenSet,
    *,
    accepted: Sequence[str] = (),
    progress: Progress = silent,
) -> ProbeResult:
    """Probe a frozen training set; write a report, and the findings into `ml.audit_findings`.

    See `probe` for parameters and errors; `read_frozen_set` for more errors.
    """
    rng = np.random.default_rng(settings.seed)
    table = read_frozen_set(settings, frozen, rng)
    return _probed(settings, table, rng, 0, accepted, progress)


def _probed(
    settings: Settings,
    table: Table,
    rng: np.random.Generator,
    shuffles: int,
    accepted: Sequence[str],
    progress: Progress,
) -> ProbeResult:
    result = probe(table, rng, shuffles=shuffles, accepted=accepted, progress=progress)
    result = _reported(settings, result)
    with open_warehouse(settings) as warehouse:
        write_findings(
            warehouse,
            audit=AUDIT,
            audit_id=result.audit_id,
            created_at=result.created_at,
            findings=findings_of(result),
        )
    return result


def audit_file(
    settings: Settings,
    path: Path,
    *,
    target: str,
    id_column: str | None = None,
    date: str | None = None,
    shuffles: int = 0,
    accepted: Sequence[str] = (),
    progress: Progress = silent,
) -> ProbeResult:
    """Probe a flat file and write a report; no warehouse is needed.

    See `probe` and `read_file` for parameters and errors.
    """
    rng = np.random.default_rng(settings.seed)
    table = read_file(path, target=target, id_column=id_column, date=date)
    result = probe(table, rng, shuffles=shuffles, accepted=accepted, progress=progress)
    return _reported(settings, result)


def probe(
    table: Table,
    rng: np.random.Generator,
    *,
    shuffles: int = 0,
    accepted: Sequence[str] = (),
    progress: Progress = silent,
) -> ProbeResult:
    """Run every probe over a table.

    Parameters
    ----------
    table
        What to probe.
    rng
        For folds and shuffles.
    shuffles
        How many times to probe shuffled labels too, to measure false alarms.
    accepted
        Columns that were looked into and found honest: their findings become notes.

    Raises
    ------
    UsageError
        If an accepted column is not in the table, or `shuffles` is below 0.
    DataError
        If the target has one class only.
    """
    names = [column.name for column in table.columns]
    unknown = [name for name in accepted if name not in names]
    if unknown:
        raise UsageError(f"--accept names {', '.join(unknown)}, which {table.name} has not.")
    if shuffles < 0:
        raise UsageError(f"--calibrate wants 0 shuffles or more, not {shuffles}.")
    if table.target.all() or not table.target.any():
        raise DataError(
            f"Expected two classes in the target '{table.target_name}', found one. Without rows "
            "of both there is nothing to compare."
        )
    looks = looks_of(table, rng)
    outcomes = outcomes_of(table, table.target, looks)
    noise = [outcomes_of(table, target, looks) for target in shuffled_targets(table, shuffles, rng)]
    bounds = Bounds.over(len(names))
    suspicions = _undated(table)
    figures = []
    alarms: list[set[str]] = [set() for _ in noise]
    strongest = 0.5
    for done, column in enumerate(table.columns):
        progress(column.name, done, len(names))
        views = views_of(column, table)
        figures.append(figures_of(column, outcomes[OWN_AUC], bounds))
        suspicions += suspect(views, outcomes, table, bounds)
        for alarm, noisy in zip(alarms, noise, strict=True):
            found = suspect(views, noisy, table, bounds)
            alarm |= {each.severity for each in found if each.probe not in UNLABELLED}
            strongest = max(strongest, own_auc(column, noisy[OWN_AUC], bounds.z).value)
    suspicions = [_accepted(each) if each.feature in accepted else each for each in suspicions]
    created_at = now()
    return ProbeResult(
        audit_id=new_audit_id(AUDIT, created_at),
        created_at=created_at,
        table=table,
        suspicions=sorted(
            suspicions, key=lambda each: (_ORDER.index(each.severity), each.feature, each.probe)
        ),
        figures=sorted(figures, key=lambda each: (-each.auc.value, each.feature)),
        false_alarms=_false_alarms(alarms, strongest) if alarms else None,
        remarks=[*table.remarks, *_few(outcomes[OWN_AUC])],
        not_run=_not_run(table, outcomes),
    )


def shuffled_targets(table: Table, samples: int, rng: np.random.Generator) -> list[Bools]:
    """Return labellings that have nothing to do with the features.

    Each customer's labels stay together in their order, customers are drawn in another order, and
    the row of labels is laid along the rows again. So the runs of labels stay as long as they were.
    Where each customer has one row this is a plain shuffle.
    """
    rows = table.by_customer
    group, labels = table.group[rows], table.target[rows]
    found = []
    for _ in range(samples):
        place = rng.permutation(table.customers)
        laid = np.empty_like(table.target)
        laid[rows] = labels[np.argsort(place[group], kind="stable")]
        found.append(laid)
    return found


def findings_of(result: ProbeResult) -> list[Finding]:
    """Return the suspicions as rows of `ml.audit_findings`; one row says so where there are none.

    A critical suspicion or a warning failed, a note passed.
    """
    of_set = {}
    if result.table.training_set_id is not None:
        of_set["training_set_id"] = result.table.training_set_id
    found = [
        Finding(
            severity=each.severity,
            status="passed" if each.severity == "note" else "failed",
            relation=result.table.name,
            subject=each.feature,
            finding=each.finding,
            evidence={"probe": each.probe, **of_set, **each.evidence},
        )
        for each in result.suspicions
    ]
    if any(each.status == "failed" for each in found):
        return found
    strongest = result.figures[0]
    return [
        *found,
        Finding(
            severity="note",
            status="passed",
            relation=result.table.name,
            subject="all features",
            finding=f"No probe suspects any of {len(result.figures)} features; the strongest alone "
            f"is {strongest.feature} with an AUC of {strongest.auc}.",
            evidence={
                "features": len(result.figures),
                "strongest_auc": strongest.auc.value,
                **of_set,
            },
        ),
    ]


def _undated(table: Table) -> list[Suspicion]:
    if table.day is not None:
        return []
    return [
        Suspicion(
            table.target_name,
            "target",
            "warning",
            "The target has no date, so it is as of the day of extraction, and so may be every "
            "column beside it: whether a value is older than the label cannot be seen here. Name "
            "the day of each row with --date, or take labels from dated events.",
        )
    ]


def _accepted(suspicion: Suspicion) -> Suspicion:
    return replace(
        suspicion,
        severity="note",
        finding=f"{suspicion.finding} Accepted (--accept).",
        evidence={**suspicion.evidence, "is_accepted": True},
    )


def _false_alarms(alarms: Sequence[set[str]], strongest_auc: float) -> FalseAlarms:
    shuffles = len(alarms)
    critical = sum("critical" in alarm for alarm in alarms)
    warning = sum(bool(alarm & {"critical", "warning"}) for alarm in alarms)

    def upper(count: int) -> float:
        return 1.0 if count == shuffles else float(beta.ppf(0.95, count + 1, shuffles - count))

    return FalseAlarms(shuffles, critical, upper(critical), warning, upper(warning), strongest_auc)


def _few(outcome: Outcome) -> list[str]:
    rarer = min(outcome.positives, outcome.negatives)
    if rarer >= _FEW:
        return []
    return [
        f"the rarer class is worth only {rarer:.0f} independent rows: even a perfect leak may show "
        "as a warning, or not at all"
    ]


def _not_run(table: Table, outcomes: Mapping[str, Outcome]) -> list[str]:
    missing = []
    if table.day is None:
        missing.append("later_date: rows have no date (--date names one)")
    history = "known_from_the_start, changes_with_label, changes_after_label"
    if table.day is None or not table.has_customers:
        missing.append(f"{history}: they need --id and --date")
    elif table.history is None:
        missing.append(f"{history}: customers do not come at several dates")
    elif FROM_THE_START not in outcomes:
        missing.append("known_from_the_start: every customer gets the label")
    return missing


def _reported(settings: Settings, result: ProbeResult) -> ProbeResult:
    result = replace(result, report=settings.reports_dir / f"{result.audit_id}.json")
    assert result.report is not None
    write_report(result.report, result.to_dict())
    return result
