"""What the comparison with others found, for a person to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from rich.console import Group, RenderableType

from ml.baselines import RECENCY
from ml.metrics import AVERAGE_PRECISION, BRIER, ROC_AUC, Estimate
from ml.page import lines, table, title
from ml.peers import published
from ml.peers.published import CountCorrelation, Published
from ml.peers.rolling import BG_NBD, ESTIMATORS, HOLDFAST, PeersResult

_SPOKEN = {
    HOLDFAST: "Holdfast",
    RECENCY: "recency alone",
    BG_NBD: "BG/NBD",
    ROC_AUC: "ROC AUC",
    AVERAGE_PRECISION: "average precision",
    BRIER: "Brier score",
}
_SHORT = {HOLDFAST: "ours", RECENCY: "recency", BG_NBD: "BG/NBD"}


@dataclass(frozen=True)
class Peers:
    """Everything that ``holdfast peers`` found.

    Attributes
    ----------
    published
        None where no sample was named.
    correlations
        On the paper's customers and date; empty where that date is none of the origins.
    """

    published: Published | None
    correlations: tuple[CountCorrelation, ...]
    compared: PeersResult


def of_peers(result: Peers) -> RenderableType:
    """Return the published figure, each date, and the mean over all."""
    compared = result.compared
    parts: list[RenderableType] = []
    if result.published is not None:
        parts += _published(result.published, result.correlations)
    dates = [each.as_of_date for each in compared.origins]
    parts += [title("At each date, on the customers active then"), _origins(compared)]
    for measure in (ROC_AUC, AVERAGE_PRECISION, BRIER):
        better = " (less is better)" if measure == BRIER else ""
        parts += [
            title(f"{_SPOKEN[measure]}{better}, with our distance from each"),
            _values(compared, measure, [*dates, None]),
        ]
    parts += [title("In words"), *lines([_verdict(compared, each) for each in (RECENCY, BG_NBD)])]
    if compared.left_out:
        parts += [
            title("Dates left out"),
            *lines(
                [", ".join(compared.left_out), f"The last: {[*compared.left_out.values()][-1]}"]
            ),
        ]
    return Group(*parts)


def _published(found: Published, correlations: Sequence[CountCorrelation]) -> list[RenderableType]:
    ours, theirs = found.found, published.PARAMETERS
    said = "reproduced" if found.is_reproduced else "not reproduced"
    parts = [
        title(f"BG/NBD on {found.customers:,} customers of CDNOW, as published: {said}"),
        table(
            ["", "correlation", "r", "alpha", "a", "b"],
            [
                [
                    name,
                    f"{correlation:.3f}",
                    *(f"{value:.3f}" for value in (of.r, of.alpha, of.a, of.b)),
                ]
                for name, correlation, of in (
                    ("found", found.correlation, ours),
                    ("published", published.CORRELATION, theirs),
                )
            ],
            right=["correlation", "r", "alpha", "a", "b"],
        ),
    ]
    if correlations:
        parts += [
            title("The same customers and weeks, with the models at that date"),
            table(
                ["purchases read from the chance of", "correlation", "less BG/NBD's expectation"],
                [
                    [_SPOKEN[each.estimator], f"{each.correlation:.3f}", _gap(each.gap)]
                    for each in correlations
                ],
                right=["correlation", "less BG/NBD's expectation"],
            ),
        ]
    return parts


def _origins(compared: PeersResult) -> RenderableType:
    return table(
        ["as of", "horizon", "customers", "left", "rows to learn from", "family"],
        [
            [
                str(each.as_of_date),
                f"{each.horizon_days} days",
                f"{each.customers:,}",
                f"{each.churned / each.customers:.1%}",
                f"{each.train_rows:,}",
                each.family,
            ]
            for each in compared.origins
        ],
        right=["horizon", "customers", "left", "rows to learn from"],
    )


def _values(compared: PeersResult, measure: str, dates: Sequence[date | None]) -> RenderableType:
    others = [name for name in ESTIMATORS if name != HOLDFAST]
    rows = []
    for day in dates:
        row = ["mean" if day is None else str(day)]
        row += [
            _short(f"{compared.find(day, name, measure).value.value:.3f}") for name in ESTIMATORS
        ]
        row += [_gap(compared.find(day, name, measure).gap) for name in others]
        rows.append(row)
    columns = [_SHORT[name] for name in ESTIMATORS]
    gaps = [f"less {_SHORT[name]}" for name in others]
    return table(["as of", *columns, *gaps], rows, right=[*columns, *gaps])


def _gap(gap: Estimate | None) -> str:
    if gap is None or gap.value is None or gap.lower is None or gap.upper is None:
        return ""
    return _short(f"{gap.value:+.3f} [{gap.lower:.3f}, {gap.upper:.3f}]")


def _short(written: str) -> str:
    """Return numbers below 1 without their zero, so that a row fits into 80 columns."""
    return written.replace("0.", ".")


def _verdict(compared: PeersResult, other: str) -> str:
    said = []
    for measure in (ROC_AUC, AVERAGE_PRECISION):
        gap = compared.find(None, other, measure).gap
        if gap is None or gap.lower is None or gap.upper is None:
            word = "cannot be told from"
        elif gap.lower > 0:
            word = "beats"
        else:
            word = "is beaten by" if gap.upper < 0 else "cannot be told from"
        said.append((_SPOKEN[measure], word))
    return f"Holdfast {' and '.join(f'{word} {_SPOKEN[other]} by {by}' for by, word in said)}."
