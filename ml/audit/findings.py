"""What audits found, as rows of `ml.audit_findings` and as a JSON file among the reports."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from ml.warehouse import Warehouse

Severity = Literal["critical", "warning", "note"]
Status = Literal["passed", "failed"]

FINDINGS_SCHEMA = pa.schema(
    [
        ("audit_id", pa.string()),
        ("audit", pa.string()),
        ("created_at", pa.timestamp("us")),
        ("severity", pa.string()),
        ("status", pa.string()),
        ("relation", pa.string()),
        ("as_of_date", pa.date32()),
        ("subject", pa.string()),
        ("finding", pa.string()),
        ("evidence", pa.string()),
    ]
)


@dataclass(frozen=True)
class Finding:
    """One thing that an audit found.

    Attributes
    ----------
    severity
        How grave it would be, or is: `critical` (gold or a claim cannot be trusted), `warning`
        (look at it), `note`.
    status
        `passed` where what was looked for was not there, `failed` where it was.
    subject
        What it is about: a feature, a fingerprint, a mutant.
    finding
        What was found, in a sentence.
    relation, as_of_date
        Where; None where it is about none.
    evidence
        The figures behind it.
    """

    severity: Severity
    status: Status
    subject: str
    finding: str
    relation: str | None = None
    as_of_date: date | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


def now() -> datetime:
    """Return the present moment in UTC; bookkeeping only."""
    return datetime.now(UTC).replace(tzinfo=None)


def new_audit_id(audit: str, created_at: datetime) -> str:
    """Return a name for one run of an audit, unique by its microsecond."""
    return f"{audit}-{created_at:%Y%m%dT%H%M%S%f}"


def write_findings(
    warehouse: Warehouse,
    *,
    audit: str,
    audit_id: str,
    created_at: datetime,
    findings: Sequence[Finding],
) -> int:
    """Add the findings of one run to `ml.audit_findings`; the same run twice, as once."""
    rows = pa.Table.from_pylist(
        [
            {
                "audit_id": audit_id,
                "audit": audit,
                "created_at": created_at,
                "severity": finding.severity,
                "status": finding.status,
                "relation": finding.relation,
                "as_of_date": finding.as_of_date,
                "subject": finding.subject,
                "finding": finding.finding,
                "evidence": json.dumps(dict(finding.evidence), sort_keys=True, default=str),
            }
            for finding in findings
        ],
        schema=FINDINGS_SCHEMA,
    )
    return warehouse.replace_slice("ml.audit_findings", rows, where={"audit_id": audit_id})


def write_report(path: Path, content: Mapping[str, Any]) -> Path:
    """Write a report as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.half")
    half.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
    os.replace(half, path)
    return path
