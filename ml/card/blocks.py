"""What a card is put together from, and the same blocks as Markdown and as HTML."""

import html
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True)
class Heading:
    """The heading of a part; level 1 is the card's own."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Plain sentences."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """Sentences, one a line."""

    items: Sequence[str]


@dataclass(frozen=True)
class Grid:
    """Rows under their columns; those named in `right` hold numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[str] = field(default=())


@dataclass(frozen=True)
class Picture:
    """A picture, by the name of its file, and what it shows."""

    file: str
    caption: str


Block: TypeAlias = Heading | Paragraph | Bullets | Grid | Picture


def to_markdown(blocks: Sequence[Block], pictures: str) -> str:
    """Return the blocks as Markdown; `pictures` is the folder of the pictures, seen from it."""
    return "\n\n".join(_markdown(block, pictures) for block in blocks) + "\n"


def to_html(blocks: Sequence[Block], pictures: Path) -> str:
    """Return the blocks as one self-contained HTML page; the pictures are read and put into it."""
    name = next(block.text for block in blocks if isinstance(block, Heading))
    body = "\n".join(_html(block, pictures) for block in blocks)
    return _PAGE.replace("{title}", html.escape(name)).replace("{body}", body)


def _markdown(block: Block, pictures: str) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {_plain(block.text)}"
        case Paragraph():
            return _plain(block.text)
        case Bullets():
            return "\n".join(f"- {_plain(item)}" for item in block.items)
        case Grid():
            ruler = ["---:" if name in block.right else "---" for name in block.columns]
            lines = [block.columns, ruler, *block.rows]
            return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)
        case Picture():
            return (
                f"![{_plain(block.caption)}]({pictures}/{block.file})\n\n*{_plain(block.caption)}*"
            )


def _plain(text: str) -> str:
    # A customer's own words, such as a country, may hold what Markdown reads as markup.
    for sign in ("\\", "*", "_", "`", "<", "]("):
        text = text.replace(sign, f"\\{sign}")
    return text


def _cell(text: str) -> str:
    return text if set(text) <= {"-", ":"} else _plain(text).replace("|", "\\|")


def _html(block: Block, pictures: Path) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{html.escape(block.text)}</h{block.level}>"
        case Paragraph():
            return f"<p>{html.escape(block.text)}</p>"
        case Bullets():
            items = "".join(f"<li>{html.escape(item)}</li>" for item in block.items)
            return f"<ul>{items}</ul>"
        case Grid():
            return _html_table(block)
        case Picture():
            data = b64encode((pictures / block.file).read_bytes()).decode()
            caption = html.escape(block.caption)
            return (
                f'<figure><img src="data:image/png;base64,{data}" alt="{caption}">'
                f"<figcaption>{caption}</figcaption></figure>"
            )


def _html_table(grid: Grid) -> str:
    sides = [' class="number"' if name in grid.right else "" for name in grid.columns]

    def line(tag: str, cells: Sequence[str]) -> str:
        inside = "".join(
            f"<{tag}{side}>{html.escape(cell)}</{tag}>"
            for side, cell in zip(sides, cells, strict=True)
        )
        return f"<tr>{inside}</tr>"

    head = line("th", grid.columns) if any(grid.columns) else ""
    rows = "\n".join(line("td", row) for row in grid.rows)
    return f"<table><thead>{head}</thead><tbody>\n{rows}\n</tbody></table>"


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body { font: 16px/1.55 system-ui, sans-serif; color: #1c2733; background: #fff;
  max-width: 62rem; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.75rem; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; padding-top: 1rem;
  border-top: 1px solid #dde3ea; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
table { border-collapse: collapse; margin: .75rem 0; font-size: .9rem; }
th { text-align: left; color: #5b6b7b; font-weight: 600; }
th, td { padding: .3rem .9rem .3rem 0; border-bottom: 1px solid #edf1f5; vertical-align: top;
  overflow-wrap: anywhere; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1rem 0; }
img { max-width: 100%; }
figcaption { color: #5b6b7b; font-size: .9rem; }
</style>
</head>
<body>
{body}
</body>
</html>
"""
