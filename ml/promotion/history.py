"""`ml.alias_history` and `ml.gate_results`: what is told of promotions, for SQL to read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from ml.promotion.gates import Gate
from ml.registry import ALIAS_HISTORY_SCHEMA, RegisteredVersion
from ml.warehouse import Warehouse

GATE_RESULTS_SCHEMA = pa.schema(
    {
        "promotion_id": pa.string(),
        "model_name": pa.string(),
        "model_version": pa.int32(),
        "alias": pa.string(),
        "judged_at": pa.timestamp("us"),
        "judged_by": pa.string(),
        "gate": pa.string(),
        "is_passed": pa.bool_(),
        "figure": pa.float64(),
        "least": pa.float64(),
        "most": pa.float64(),
        "evidence": pa.string(),
    }
)


@dataclass(frozen=True)
class AliasChange:
    """One change of one alias: a row of `ml.alias_history`.

    Attributes
    ----------
    from_version, to_version
        None where the alias named nothing before, or was taken away.
    changed_by
        The person, or the command that did it by itself.
    evidence
        What it was decided on, as JSON.
    """

    model_name: str
    alias: str
    from_version: int | None
    to_version: int | None
    changed_at: datetime
    changed_by: str
    why: str
    evidence: str

    @property
    def is_rollback(self) -> bool:
        """Whether it undid an earlier one."""
        return is_rollback(self.evidence)


@dataclass(frozen=True)
class Verdict:
    """What all gates said of a version on its way to an alias, at one time."""

    promotion_id: str
    version: RegisteredVersion
    alias: str
    judged_at: datetime
    judged_by: str
    gates: tuple[Gate, ...]


def promotion_id(version: RegisteredVersion, alias: str, moment: datetime) -> str:
    """Return a name for one judging, unique by its microsecond."""
    return f"{alias}-{version.model_version}-{moment:%Y%m%dT%H%M%S%f}"


def is_rollback(evidence: str) -> bool:
    """Return whether evidence, as it stands in the history, is that of a rollback."""
    try:
        content = json.loads(evidence)
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("command") == "rollback"


def changes(warehouse: Warehouse, model_name: str, alias: str) -> tuple[AliasChange, ...]:
    """Return every change of an alias, the oldest first."""
    found = warehouse.query(
        f"select {', '.join(ALIAS_HISTORY_SCHEMA.names)} from ml.alias_history "
        "where model_name = ? and alias = ? order by changed_at, to_version nulls first",
        [model_name, alias],
    )
    return tuple(AliasChange(**row) for row in found.to_pylist())


def write_change(warehouse: Warehouse, change: AliasChange) -> None:
    """Append a change, unless it is there already."""
    there = changes(warehouse, change.model_name, change.alias)
    if any(
        (each.changed_at, each.to_version) == (change.changed_at, change.to_version)
        for each in there
    ):
        return
    warehouse.append(
        "ml.alias_history", pa.Table.from_pylist([vars(change)], schema=ALIAS_HISTORY_SCHEMA)
    )


def write_verdict(warehouse: Warehouse, verdict: Verdict) -> None:
    """Write what the gates said; the same judging twice, as once."""
    shared = {
        "promotion_id": verdict.promotion_id,
        "model_name": verdict.version.model_name,
        "model_version": verdict.version.model_version,
        "alias": verdict.alias,
        "judged_at": verdict.judged_at,
        "judged_by": verdict.judged_by,
    }
    warehouse.replace_slice(
        "ml.gate_results",
        pa.Table.from_pylist(
            [{**shared, **gate.to_dict()} for gate in verdict.gates], schema=GATE_RESULTS_SCHEMA
        ),
        where={"promotion_id": verdict.promotion_id},
    )


def newest_verdict(
    warehouse: Warehouse, version: RegisteredVersion, alias: str, *, since: datetime
) -> tuple[Gate, ...]:
    """Return what the gates said of a version the last time, or nothing if they never did.

    Parameters
    ----------
    since
        When the version was registered: what is older is of another version of its number, in a
        registry that was removed.
    """
    found = warehouse.query(
        "select gate, is_passed, figure, least, most, evidence from ml.gate_results "
        "where promotion_id = (select promotion_id from ml.gate_results "
        "where model_name = ? and model_version = ? and alias = ? and judged_at >= ? "
        "order by judged_at desc, promotion_id limit 1)",
        [version.model_name, version.model_version, alias, since],
    )
    return tuple(Gate(**row) for row in found.to_pylist())


def evidence_of(command: str, gates: Sequence[Gate] = (), **more: object) -> str:
    """Return evidence as JSON: the command, the gates with their figures, and more."""
    told = {"command": command, **more}
    if gates:
        told["gates"] = [gate.to_dict() for gate in gates]
    return json.dumps(told, sort_keys=True, default=str)
