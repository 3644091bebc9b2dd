"""One customer's explanation, for a person to read."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.text import Text

from ml.explaining.customer import Explanation, Part
from ml.page import lines, table, title
from ml.phrases import value_text

_SHOWN_PARTS = 12
_SHOWN_SCORES = 12
_WIDTH_OF_WORDS, _WIDTH_OF_VALUE = 60, 13
_ARROWS = {"raises": "▲", "lowers": "▼"}


def of_customer(explained: Explanation) -> RenderableType:
    """Return who the customer is, the score, its parts, and the scores before."""
    parts: list[RenderableType] = [
        title(f"{explained.customer_id} as of {explained.as_of_date}"),
        table(["", ""], _facts(explained), header=False),
        title("What makes the score"),
        _Parts(explained),
        *_sum(explained),
    ]
    if explained.history:
        parts += [title("Recorded scores"), _table_of_scores(explained)]
    return Group(*parts)


def _facts(explained: Explanation) -> list[list[str]]:
    facts = [
        [
            "churn",
            f"{explained.churn_probability:.1%} within {explained.horizon_days} days, rank "
            f"{explained.rank:,} of {explained.customers:,}",
        ],
        [
            "customer",
            f"{explained.cohort}, {explained.value_tier}, {explained.monthly_revenue:,.2f} a month",
        ],
        ["model", f"{explained.model_name} {explained.model_version}, {explained.estimator}"],
    ]
    if explained.as_of_date < explained.newest_date:
        facts.append(["note", f"the newest as-of date is {explained.newest_date}"])
    if explained.as_of_date <= explained.train_to:
        facts.append(
            ["note", f"the model has learnt from dates up to {explained.train_to}, this among them"]
        )
    return facts


@dataclass(frozen=True)
class _Parts:
    """The strongest parts, with values at as many dates as the page has room for."""

    explained: Explanation

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        explained = self.explained
        room = max((options.max_width - _WIDTH_OF_WORDS) // _WIDTH_OF_VALUE, 1)
        days = [explained.as_of_date, *explained.earlier_dates][:room]
        columns = ["adds", "why", *(str(day) for day in days)]
        rows = [
            [
                f"{_ARROWS[part.effect]} {part.contribution:+.3f}",
                part.reason,
                *_values(explained, part, len(days)),
            ]
            for part in explained.parts[:_SHOWN_PARTS]
        ]
        yield table(columns, rows, right=("adds", *columns[2:]))


def _values(explained: Explanation, part: Part, count: int) -> list[str]:
    feature = explained.features[part.feature]
    shown = [value_text(feature, value) for value in part.values[:count]]
    return [*shown, *[""] * (count - len(shown))]


def _sum(explained: Explanation) -> list[RenderableType]:
    rest = explained.parts[_SHOWN_PARTS:]
    shown = sum(part.contribution for part in explained.parts[:_SHOWN_PARTS])
    others = sum(part.contribution for part in rest)
    terms = [f"{explained.base:+.3f} base", f"{shown:+.3f} above"]
    if rest:
        terms.append(f"{others:+.3f} the other {len(rest)} features")
    sentence = f"{', '.join(terms)}: score {explained.score:+.3f}"
    calibrated = f"calibrated to {explained.churn_probability:.1%}; ▲ raises the risk, ▼ lowers it"
    return [Text(""), *lines([sentence, calibrated])]


def _table_of_scores(explained: Explanation) -> RenderableType:
    shown = explained.history[-_SHOWN_SCORES:]
    became = {True: "churned", False: "stayed", None: "not known yet"}
    drawn = table(
        ["as of", "version", "probability", "rank", "of", "what became of it"],
        [
            [
                str(each.as_of_date),
                str(each.model_version),
                f"{each.churn_probability:.1%}",
                f"{each.rank:,}",
                f"{each.customers:,}",
                became[each.is_churn],
            ]
            for each in shown
        ],
        right=("version", "probability", "rank", "of"),
    )
    left = len(explained.history) - len(shown)
    if not left:
        return drawn
    return Group(
        Padding(Text(f"{left} older ones are not shown.", style="dim"), (0, 0, 0, 2)), drawn
    )
