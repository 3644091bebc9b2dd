"""What audits found, for a person to read."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ml.audit.replay import ReplayResult


def of_replay(result: ReplayResult) -> RenderableType:
    """Return each date with its cells, the first cells that differ, and the verdict."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("relation", "as of", "data cut at"):
        table.add_column(name)
    for name in ("rows", "cells", "differ"):
        table.add_column(name, justify="right")
    for each in result.dates:
        table.add_row(
            each.relation,
            str(each.as_of_date),
            ", ".join(str(cut) for cut in each.cuts),
            f"{each.rows:,}",
            f"{each.cells:,}",
            Text(f"{each.different_cells:,}", style="green" if each.is_equal else "bold red"),
        )
    parts: list[RenderableType] = [table, ""]
    red = [each for each in result.dates if not each.is_equal]
    if red:
        parts += [_examples(result), ""]
    parts.append(_replay_verdict(result))
    parts.append(Text(f"Certificate: {result.certificate}", style="dim"))
    return Group(*parts)


def _examples(result: ReplayResult) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("customer", "as of", "column", "stands in gold", "rebuilt from what was known"):
        table.add_column(name)
    shown = 0
    for each in result.dates:
        for comparison in each.comparisons:
            for cell in comparison.examples:
                if shown < 10:
                    table.add_row(
                        cell.key,
                        str(each.as_of_date),
                        cell.column,
                        "null" if cell.standing is None else cell.standing,
                        "null" if cell.rebuilt is None else cell.rebuilt,
                    )
                    shown += 1
    return table


def _replay_verdict(result: ReplayResult) -> Text:
    dates = len({each.as_of_date for each in result.dates})
    if result.is_green:
        return Text(
            f"Green: at {dates} as-of dates all {result.cells:,} cells are the same when all that "
            "was known at the date or later is cut away. None of them has seen the future.",
            style="green",
        )
    return Text(
        f"Red: {result.different_cells:,} of {result.cells:,} cells differ when all that was known "
        "at the date or later is cut away. Either a feature has seen the future, or gold was built "
        "by other code or from other rows than stand now: run `dbt build`, then this again.",
        style="bold red",
    )
