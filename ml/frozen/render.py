"""What came of freezing, comparing and reproducing, for a person to read."""

from rich.console import Group, RenderableType
from rich.text import Text

from ml.frozen.compare import Difference
from ml.frozen.freeze import FreezeResult
from ml.frozen.reproduce import Reproduction
from ml.page import pairs, table

_SHOWN_COLUMNS = 15
_SHOWN_DATES = 6


def of_freeze(result: FreezeResult) -> RenderableType:
    """Return what was frozen."""
    frozen = result.frozen
    return pairs(
        {
            "training_set": frozen.training_set_id,
            "is_new": result.is_new,
            "labels known until": f"{frozen.cutoff:%Y-%m-%d}",
            "as-of dates": f"{len(frozen.dates)}, {frozen.from_date} to {frozen.to_date}",
            "rows": frozen.row_count,
            "customers": "all" if frozen.sample.is_all else f"a sample, {frozen.sample.share:.2%}",
            "churned": f"{frozen.churned:,} ({frozen.label_rate:.2%})",
            "features": len(frozen.features),
            "sha256": frozen.sha256,
            "file": frozen.path,
        }
    )


def of_diff(difference: Difference) -> RenderableType:
    """Return how two sets differ: rows, columns, label rate, values."""
    rate_a, rate_b = (
        "" if rate is None else f"{rate:.4%}"
        for rate in (difference.label_rate_a, difference.label_rate_b)
    )
    counts = table(
        ["", "A", "B"],
        [
            ["rows", f"{difference.rows_a:,}", f"{difference.rows_b:,}"],
            ["rows that the other lacks"]
            + [f"{rows:,}" for rows in (difference.rows_only_a, difference.rows_only_b)],
            [
                "columns that the other lacks",
                ", ".join(difference.columns_only_a) or "0",
                ", ".join(difference.columns_only_b) or "0",
            ],
            *(
                [f"type of {name}", type_a, type_b]
                for name, (type_a, type_b) in difference.other_types.items()
            ),
            ["label rate", rate_a, rate_b],
        ],
        right=["A", "B"],
    )
    parts = [counts]
    if difference.changed_columns:
        parts += ["", _cells(difference)]
    if difference.is_same:
        sentence = f"Nothing differs in {difference.shared_rows:,} rows."
    else:
        sentence = (
            f"{difference.changed_cells:,} cells differ in {difference.shared_rows:,} rows that "
            f"both have; as-of dates touched: {_dates(difference.changed_dates)}."
        )
    return Group(*parts, "", Text(sentence))


def of_reproduction(result: Reproduction) -> RenderableType:
    """Return whether a set came out as it was frozen, and what differs if it did not."""
    parts = [
        pairs(
            {
                "training_set": result.training_set_id,
                "sha256 then": result.sha256_then,
                "sha256 now": result.sha256_now,
            }
        ),
        "",
    ]
    if result.difference is not None:
        parts += [of_diff(result.difference), ""]
    parts.append(Text(result.verdict, style="green" if result.is_green else "bold red"))
    return Group(*parts)


def _cells(difference: Difference) -> RenderableType:
    most = sorted(difference.changed_columns, key=lambda each: (-each.cells, each.column))
    rows = []
    for each in most[:_SHOWN_COLUMNS]:
        first = each.examples[0]
        rows.append(
            [
                each.column,
                f"{each.cells:,}",
                f"{first.customer_id} as of {first.as_of_date}",
                "null" if first.value_a is None else first.value_a,
                "null" if first.value_b is None else first.value_b,
            ]
        )
    if len(most) > _SHOWN_COLUMNS:
        left = most[_SHOWN_COLUMNS:]
        rows.append([f"{len(left)} more", f"{sum(each.cells for each in left):,}", "", "", ""])
    return table(
        ["column", "cells that differ", "such as", "A", "B"], rows, right=["cells that differ"]
    )


def _dates(dates: tuple[str, ...]) -> str:
    if len(dates) <= _SHOWN_DATES:
        return ", ".join(dates)
    return f"{len(dates)}, {dates[0]} to {dates[-1]}"
