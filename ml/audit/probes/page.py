"""What the probes found, for a person to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as Lines
from rich.text import Text

from ml.audit.probes.run import CANNOT_SEE, REPLAY_SEES, FalseAlarms, ProbeResult

_STYLES = {"critical": "bold red", "warning": "yellow", "note": "dim"}
# The strongest features, so that a reader sees how near the lines they come.
_SHOWN = 8


def of_probes(result: ProbeResult) -> RenderableType:
    """Return the findings, the strongest features, false alarms, and what no probe sees."""
    return Group(*_parts(result))


def _parts(result: ProbeResult) -> Iterator[RenderableType]:
    table = result.table
    customers = f" of {table.customers:,} customers" if table.has_customers else ""
    yield Text(
        f"{table.name}: {len(table.columns)} columns, {table.target.size:,} rows{customers}, "
        f"{table.target.mean():.1%} with the label {table.target_name}",
        style="bold",
    )
    if result.suspicions:
        yield Padding(_suspicions(result), (1, 0))
    yield _strongest(result)
    yield from _section("How often probes cry wolf", [_in_words(result.false_alarms)])
    yield from _section("Remarks", result.remarks)
    yield from _section("Not run", result.not_run)
    yield from _section("What no probe of a finished table can see", [*CANNOT_SEE, REPLAY_SEES])
    yield Text("")
    yield _verdict(result)
    yield Text(f"Report: {result.report}", style="dim")


def _suspicions(result: ProbeResult) -> RenderableType:
    lines = _lines("", "column", "probe", "what was found")
    for each in result.suspicions:
        # As text: a column's name may look like markup.
        lines.add_row(
            Text(each.severity, style=_STYLES[each.severity]),
            Text(each.feature),
            Text(each.probe, style="dim"),
            Text(each.finding),
        )
    return lines


def _strongest(result: ProbeResult) -> RenderableType:
    lines = _lines("strongest alone", "AUC", "correlation", "nulls")
    for each in result.figures[:_SHOWN]:
        lines.add_row(
            Text(each.feature), str(each.auc), f"{each.association:.2f}", f"{each.nulls:.1%}"
        )
    return lines


def _verdict(result: ProbeResult) -> Text:
    counts = f"{result.count('critical')} critical, {result.count('warning')} warnings"
    if result.is_green:
        return Text(f"Nothing critical ({counts}). That is no proof: see above.", style="green")
    return Text(
        f"Red: {counts}. Leave the critical columns out, or prove that each was known before the "
        "label and name it with --accept.",
        style="bold red",
    )


def _in_words(alarms: FalseAlarms | None) -> str:
    if alarms is None:
        return "Not measured here; --calibrate 50 probes 50 shuffles of the labels too."
    return (
        f"On {alarms.shuffles} shuffles of the labels, which mean nothing: critical in "
        f"{alarms.critical} (at most {alarms.critical_upper:.1%} with 95 % confidence), a warning "
        f"or worse in {alarms.warning} (at most {alarms.warning_upper:.1%}). The strongest AUC "
        f"that chance gave one column is {alarms.strongest_auc:.3f}."
    )


def _section(title: str, sentences: Sequence[str]) -> Iterator[RenderableType]:
    if sentences:
        yield Padding(Text(title, style="bold"), (1, 0, 0, 0))
        for sentence in sentences:
            yield Padding(Text(sentence), (0, 0, 0, 2))


def _lines(*names: str) -> Lines:
    lines = Lines(box=None, pad_edge=False, header_style="bold")
    for name in names:
        lines.add_column(name, overflow="fold")
    return lines
