"""What came of promoting and comparing, for a person to read."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ml.judge import OVERALL
from ml.metrics import AVERAGE_PRECISION, METRICS, REVENUE_CAUGHT
from ml.page import lines, pairs, table, title
from ml.promotion.compare import MONTH, Compared, CompareResult, Difference
from ml.promotion.gates import Gate
from ml.promotion.promote import PromoteResult
from ml.promotion.rollback import RollbackResult

_GOOD, _BAD = "green", "bold red"


def of_gates(gates: Sequence[Gate]) -> RenderableType:
    """Return each gate with its verdict, its figure and what that is held against."""
    drawn = Table(box=None, pad_edge=False, header_style="dim")
    drawn.add_column("gate")
    drawn.add_column("")
    for name in ("figure", "least", "most"):
        drawn.add_column(name, justify="right")
    drawn.add_column("evidence", overflow="fold")
    for gate in gates:
        drawn.add_row(
            gate.gate.replace("_", " "),
            Text("passed", style=_GOOD) if gate.is_passed else Text("refused", style=_BAD),
            _figure(gate.figure),
            _figure(gate.least),
            _figure(gate.most),
            Text(gate.evidence),
        )
    return drawn


def of_promotion(result: PromoteResult) -> RenderableType:
    """Return every gate, and what became of the version."""
    style = _GOOD if result.is_allowed else _BAD
    return Group(of_gates(result.gates), "", Text(result.verdict, style=style))


def of_rollback(result: RollbackResult) -> RenderableType:
    """Return which version serves again."""
    return Text(result.verdict, style=_GOOD)


def of_comparison(result: CompareResult) -> RenderableType:
    """Return both versions, their figures over all rows and by part, and the recommendation."""
    versions = pairs(
        {
            "A": _version(result.a),
            "B": _version(result.b),
            "judged on": f"{result.observations:,} observations of {len(result.dates)} dates, "
            f"{result.dates[0]} to {result.dates[-1]}; {result.churners:,} customers churned; "
            "neither version was trained on any of them",
        }
    )
    overall = [each for each in result.differences if each.segment_type == OVERALL]
    parts: list[RenderableType] = [
        versions,
        title("All rows, 95 % intervals of the paired difference"),
        _table(overall, first="metric", names=[_metric(name) for name in METRICS]),
    ]
    kinds = dict.fromkeys(
        each.segment_type for each in result.differences if each.segment_type != OVERALL
    )
    for kind in kinds:
        found = result.of(kind, AVERAGE_PRECISION)
        words = "By month" if kind == MONTH else f"By {kind.replace('_', ' ')}"
        parts += [
            title(f"{words}: average precision"),
            _table(found, first=kind.replace("_", " "), names=[each.segment for each in found]),
        ]
    parts += [
        title(
            f"Monthly revenue of churners among the first {result.capacity_share:.0%}, added over "
            "the dates"
        ),
        _money(result),
    ]
    parts += [title(_preference(result)), *lines(result.recommendation.reasons)]
    return Group(*parts)


def _table(found: Sequence[Difference], *, first: str, names: Sequence[str]) -> RenderableType:
    return table(
        [first, "A", "B", "B less A", "interval", "surely better", "rows", "churned"],
        [
            [
                name,
                _figure(each.a),
                _figure(each.b),
                "" if each.difference.value is None else f"{each.difference.value:+.3f}",
                _interval(each),
                each.winner or "",
                f"{each.observations:,}",
                f"{each.churned:,}",
            ]
            for name, each in zip(names, found, strict=True)
        ],
        right=("A", "B", "B less A", "interval", "rows", "churned"),
    )


def _money(result: CompareResult) -> RenderableType:
    overall = result.overall(REVENUE_CAUGHT)
    rows = []
    for each in (overall, *result.of("value_tier", REVENUE_CAUGHT)):
        rows.append(
            [
                each.segment,
                f"{each.lost_monthly_revenue:,.0f}",
                *(
                    "" if side is None else f"{side * each.lost_monthly_revenue:,.0f}"
                    for side in (each.a, each.b)
                ),
                _interval(each, times=each.lost_monthly_revenue),
            ]
        )
    columns = ["value tier", "of all churners", "A", "B", "B less A"]
    return table(columns, rows, right=columns[1:])


def _preference(result: CompareResult) -> str:
    recommendation = result.recommendation
    if recommendation.prefers is None:
        return "Recommendation: no change"
    return f"Recommendation: {recommendation.prefers}, version {recommendation.model_version}"


def _version(compared: Compared) -> str:
    held = f" ({', '.join(compared.aliases)})" if compared.aliases else ""
    return (
        f"version {compared.model_version}{held}: {compared.estimator}, "
        f"{compared.feature_count} features, labels known by {compared.training_cutoff}"
    )


def _metric(name: str) -> str:
    return name.replace("_", " ")


def _interval(each: Difference, *, times: float | None = None) -> str:
    lower, upper = each.difference.lower, each.difference.upper
    if lower is None or upper is None:
        return ""
    if times is None:
        return f"[{lower:+.3f}, {upper:+.3f}]"
    return f"[{lower * times:+,.0f}, {upper * times:+,.0f}]"


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3f}"
