"""The certificate of the newest replay, held against the gold that a version was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from ml.promotion.gates import CERTIFIED, Gate
from ml.warehouse import Warehouse

# As `ml.audit.replay` writes them.
_AUDIT, _FEATURES = "replay", "gold.customer_360"
# Each certified date with the fingerprint that stands, as the test
# `assert_replay_certificate_holds` reads them.
_CERTIFIED = """
    select
        findings.audit_id,
        findings.relation,
        findings.as_of_date,
        findings.status,
        findings.subject as certified,
        fingerprints.fingerprint as standing
    from ml.audit_findings as findings
    left join gold.fingerprints as fingerprints
        on findings.as_of_date = fingerprints.as_of_date
        and findings.relation = concat('gold.', fingerprints.relation)
    where findings.audit_id = (
        select audit_id from ml.audit_findings where audit = $1
        order by created_at desc, audit_id desc limit 1
    )
    order by findings.relation, findings.as_of_date
"""


@dataclass(frozen=True)
class Certificate:
    """What the newest replay says, and whether it is still true.

    Attributes
    ----------
    red
        The relations and dates of which cells differed.
    stale
        Those whose rows in gold are no longer the certified ones.
    fingerprints
        Of `gold.customer_360`, by certified date.
    """

    audit_id: str
    red: tuple[str, ...]
    stale: tuple[str, ...]
    fingerprints: Mapping[date, str]


def newest_certificate(warehouse: Warehouse) -> Certificate | None:
    """Return the certificate of the newest replay; None where there was none."""
    rows = warehouse.query(_CERTIFIED, [_AUDIT]).to_pylist()
    if not rows:
        return None
    named = [(f"{row['relation']} as of {row['as_of_date']}", row) for row in rows]
    return Certificate(
        audit_id=rows[0]["audit_id"],
        red=tuple(name for name, row in named if row["status"] == "failed"),
        stale=tuple(name for name, row in named if row["certified"] != row["standing"]),
        fingerprints={
            row["as_of_date"]: row["certified"] for row in rows if row["relation"] == _FEATURES
        },
    )


def certified(
    certificate: Certificate | None,
    trained_on: Mapping[date, str],
    *,
    least: int,
    may_be_missing: bool,
) -> Gate:
    """Ask for a green certificate of the very gold that a version was trained on.

    Parameters
    ----------
    trained_on
        Fingerprints of `gold.customer_360` by date, as they were when the training set was frozen;
        empty where the set is gone.
    least
        How many of these dates must be certified; all, where there are fewer.
    may_be_missing
        Whether to pass without any certificate. A red or stale one never passes.
    """
    remedy = "run `holdfast audit replay`"
    if certificate is None:
        told = "there is no certificate" + (
            ", and none is asked for here" if may_be_missing else ""
        )
        return _gate(may_be_missing, None, None, f"{told}: {remedy}")
    name = certificate.audit_id
    least = min(least, len(trained_on))
    if certificate.red:
        return _gate(False, None, least, f"{name} is red: cells of {certificate.red[0]} differed")
    if certificate.stale:
        told = f"{name} is stale: {certificate.stale[0]} has other rows now; {remedy}"
        return _gate(False, None, least, told)
    if not trained_on:
        return _gate(False, None, None, "the frozen set that it was trained on is gone")
    shared = certificate.fingerprints.keys() & trained_on.keys()
    other = sorted(day for day in shared if certificate.fingerprints[day] != trained_on[day])
    if other:
        told = f"{name} is of other gold than it was trained on, as of {other[0]}; train again"
        return _gate(False, len(shared) - len(other), least, told)
    count = f"{len(shared)} of the {len(trained_on)} dates it was trained on"
    return _gate(
        len(shared) >= least,
        len(shared),
        least,
        f"{name} is green for {count}" + ("" if len(shared) >= least else f"; {remedy}"),
    )


def _gate(is_passed: bool, figure: int | None, least: int | None, evidence: str) -> Gate:
    return Gate(CERTIFIED, is_passed, figure, least, None, evidence)
