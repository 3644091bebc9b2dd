"""What audits found, for a person to read."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ml.audit.arrivals import MOST_REBUILT, ArrivalsResult
from ml.audit.fingerprint import FingerprintResult
from ml.audit.mutants import MutantsResult
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


def of_arrivals(result: ArrivalsResult) -> RenderableType:
    """Return the schedules by the order of their rows, those that ended elsewhere, the verdict."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rows came")
    names = ("histories", "builds", "same end", "dates rebuilt", "least")
    for name in names:
        table.add_column(name, justify="right")
    for order in sorted({each.order for each in result.schedules}):
        of_order = [each for each in result.schedules if each.order == order]
        table.add_row(
            order,
            f"{len(of_order):,}",
            f"{sum(each.builds for each in of_order):,}",
            f"{sum(each.is_equal for each in of_order):,}",
            f"{sum(each.dates_rebuilt for each in of_order):,}",
            f"{sum(each.dates_least for each in of_order):,}",
        )
    parts: list[RenderableType] = [table, ""]
    for each in result.failed[:5]:
        parts.append(
            Text(
                f"Seed {each.seed} ({each.order}) ended elsewhere in "
                f"{', '.join(each.different_tables)}. Again: holdfast audit arrivals --schedules 1 "
                f"--seed {each.seed} --customers {result.customers}",
                style="bold red",
            )
        )
    ratio = (
        "none had to be" if result.rebuilt_ratio is None else f"{result.rebuilt_ratio:.3f} times"
    )
    rebuilt = f"As-of dates rebuilt, by the least that had to be: {ratio} (at most {MOST_REBUILT})."
    if result.is_green:
        verdict = Text(
            f"Green: {len(result.schedules)} histories of arrival, {result.builds} builds; every "
            f"one ended in the same silver and gold as one full build. {rebuilt}",
            style="green",
        )
    else:
        verdict = Text(
            f"Red: {len(result.failed)} of {len(result.schedules)} histories ended elsewhere than "
            f"one full build. {rebuilt}",
            style="bold red",
        )
    return Group(*parts, verdict, Text(f"Report: {result.report}", style="dim"))


def of_fingerprint(result: FingerprintResult) -> RenderableType:
    """Return each configuration, and the verdict."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("built with")
    for name in ("memory", "spilled to disk"):
        table.add_column(name, justify="right")
    table.add_column("silver and gold")
    for each in result.configurations:
        table.add_row(
            each.name,
            "" if each.memory_megabytes is None else f"{each.memory_megabytes:,} MB",
            "" if each.spilled_bytes is None else f"{each.spilled_bytes / 1e6:,.1f} MB",
            Text("the same", style="green")
            if each.is_equal
            else Text(f"other: {', '.join(each.different_tables)}", style="bold red"),
        )
    count = len(result.configurations)
    if result.is_green:
        verdict = Text(
            f"Green: {count} ways to build the same {result.rows:,} rows, one fingerprint over "
            f"{result.tables} tables: {result.fingerprint[:16]}.",
            style="green",
        )
    else:
        verdict = Text(
            "Red: the same rows gave something else in "
            f"{sum(not each.is_equal for each in result.configurations)} of {count} ways.",
            style="bold red",
        )
    return Group(table, "", verdict, Text(f"Report: {result.report}", style="dim"))


def of_mutants(result: MutantsResult) -> RenderableType:
    """Return each mutant with what noticed it, and the verdict."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("mutant", "noticed by", "first of what it said"):
        table.add_column(name)
    for trial in result.trials:
        killers = ", ".join(alarm.killer for alarm in trial.alarms)
        said = trial.alarms[0].what if trial.alarms else ""
        table.add_row(
            trial.name if trial.is_leak else f"(harmless) {trial.name}",
            Text(
                killers or ("survived" if trial.is_leak else "nothing"),
                style="green" if trial.is_as_it_should_be else "bold red",
            ),
            said if len(said) <= 60 else f"{said[:57]}...",
        )
    killed = sum(bool(trial.alarms) for trial in result.leaks)
    alarms = sum(bool(trial.alarms) for trial in result.harmless)
    verdict = Text(
        f"{'Green' if result.is_green else 'Red'}: {killed} of {len(result.leaks)} leaks were "
        f"noticed; {alarms} of {len(result.harmless)} harmless rewrites raised an alarm.",
        style="green" if result.is_green else "bold red",
    )
    return Group(table, "", verdict, Text(f"Report: {result.report}", style="dim"))
