"""What a page for a terminal is put together from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text


def pairs(values: Mapping[str, Any]) -> RenderableType:
    """Return plain values as a table of names and values; long lists are only counted."""
    return table(
        ["", ""],
        [
            [name.replace("_", " "), _spoken(value)]
            for name, value in values.items()
            if value is not None
        ],
        header=False,
    )


def title(words: str, style: str = "bold") -> RenderableType:
    """Return the heading of a part, a line above it."""
    return Padding(Text(words, style=f"bold {style}"), (1, 0, 0, 0))


def lines(sentences: Sequence[str]) -> list[RenderableType]:
    """Return sentences, indented, one a line."""
    return [Padding(Text(sentence), (0, 0, 0, 2)) for sentence in sentences]


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str] = (),
    header: bool = True,
) -> RenderableType:
    """Return rows under their columns, indented; columns named in `right` align right."""
    drawn = Table(box=None, show_header=header, header_style="dim", pad_edge=False)
    for column in columns:
        drawn.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        # As text: a customer's id may look like markup.
        drawn.add_row(*(Text(cell) for cell in row))
    return Padding(drawn, (0, 0, 0, 2))


def _spoken(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_spoken(item)}" for name, item in value.items())
    if isinstance(value, list):
        return f"{len(value)}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
