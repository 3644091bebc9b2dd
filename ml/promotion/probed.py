"""What the probes say of the training set of a version: read where it is told, else found out."""

import json
from dataclasses import dataclass

from ml.audit.probes.run import AUDIT, audit_frozen_set
from ml.contract import listed
from ml.frozen.sets import FrozenSet
from ml.progress import Progress
from ml.promotion.gates import NO_CRITICAL_PROBE, Gate
from ml.settings import Settings
from ml.warehouse import Warehouse, open_warehouse


@dataclass(frozen=True)
class Probed:
    """What a run of the probes over one training set found.

    Attributes
    ----------
    critical
        The features of critical findings.
    warnings
        How many findings warn.
    """

    audit_id: str
    critical: tuple[str, ...]
    warnings: int


def probed(settings: Settings, frozen: FrozenSet, *, progress: Progress) -> Probed:
    """Return what the newest probes of a training set found, probing it if none has.

    Features that someone has looked into and accepted (`holdfast audit probes --accept`) when the
    newest set was probed stay accepted.

    Raises
    ------
    DataError
        If the frozen file is gone or was changed.
    """
    with open_warehouse(settings, read_only=True) as warehouse:
        there = _newest(warehouse, frozen.training_set_id)
        accepted = () if there is not None else _accepted(warehouse)
    if there is not None:
        return there
    known = frozen.contract.types
    audit_frozen_set(
        settings,
        frozen,
        accepted=[name for name in accepted if name in known],
        progress=progress,
    )
    with open_warehouse(settings, read_only=True) as warehouse:
        found = _newest(warehouse, frozen.training_set_id)
    assert found is not None
    return found


def no_critical_probe(found: Probed) -> Gate:
    """Ask that no feature of the training set is known to hold the label's future."""
    evidence = (
        f"{found.audit_id} finds nothing critical, and {found.warnings} to look at"
        if not found.critical
        else f"{found.audit_id} finds critical: {listed(found.critical, most=5)}; look with "
        "`holdfast audit probes`, mend the feature, or --accept it there"
    )
    return Gate(NO_CRITICAL_PROBE, not found.critical, len(found.critical), None, 0, evidence)


def _newest(warehouse: Warehouse, training_set_id: str) -> Probed | None:
    rows = warehouse.query(
        "select audit_id, severity, subject, evidence "
        "from ml.audit_findings where audit = ? order by created_at desc, audit_id desc, subject",
        [AUDIT],
    ).to_pylist()
    told = [json.loads(row["evidence"] or "{}") for row in rows]
    of_set = [
        row
        for row, evidence in zip(rows, told, strict=True)
        if evidence.get("training_set_id") == training_set_id
    ]
    newest = [row for row in of_set if row["audit_id"] == of_set[0]["audit_id"]]
    if not newest:
        return None
    return Probed(
        audit_id=newest[0]["audit_id"],
        critical=tuple(row["subject"] for row in newest if row["severity"] == "critical"),
        warnings=sum(row["severity"] == "warning" for row in newest),
    )


def _accepted(warehouse: Warehouse) -> tuple[str, ...]:
    rows = warehouse.query(
        "select subject, evidence from ml.audit_findings where audit_id = ("
        "select audit_id from ml.audit_findings where audit = ? "
        "order by created_at desc, audit_id desc limit 1) order by subject",
        [AUDIT],
    ).to_pylist()
    return tuple(
        dict.fromkeys(
            row["subject"] for row in rows if json.loads(row["evidence"]).get("is_accepted")
        )
    )
