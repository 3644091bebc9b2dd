"""What a feature's value says of a customer, in words, from the feature's own contract.

Pure functions of a feature, its value, and its value some weeks before. The words come from the
`phrase`, `unit` and `null_means` of the feature's YAML, so a new feature needs no line here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from ml.contract import Feature

Value: TypeAlias = float | Decimal | str | bool | None

# A change by less than a fifth is not worth a word: counts of a month vary by that on their own.
_NOTABLE_CHANGE = 0.2
# Of fewer than five, a share says less than the numbers themselves.
_COUNTABLE = 5
# From a week on, what has not happened is the news; before it, that it has.
_LONG_AGO_DAYS = 7
_COMPARED_UNITS = ("count", "days", "hours", "minutes", "money")
_LAST_AGO = re.compile(r"last (?P<event>.+) \{value\} ago")
_MAYBE_PLURAL = re.compile(r"\(s\)")


@dataclass(frozen=True)
class Before:
    """The same feature of the same customer at an earlier as-of date.

    Attributes
    ----------
    value
        None where it was null then.
    weeks
        How long before, at least 1.
    """

    value: Value
    weeks: int


def phrase(
    feature: Feature,
    value: Value,
    *,
    before: Before | None = None,
    window_days: int | None = None,
) -> str:
    """Return what a value says of a customer.

    Parameters
    ----------
    feature
        One without a `phrase` is named, with its value.
    value
        None where the feature is null.
    before
        Told of where the feature is one that can be compared and has changed by much.
    window_days
        The cohort's own window, for features that look at it.

    Examples
    --------
    >>> logins = Feature(
    ...     "logins_30d", "bigint", "engagement", unit="count", reach_days=30,
    ...     phrase="{value} login(s) in 30 days",
    ... )
    >>> phrase(logins, 1)
    '1 login in 30 days'
    >>> phrase(logins, 3, before=Before(7, weeks=4))
    'logins in 30 days fell by 57 % in 4 weeks: 3, before 7'
    >>> phrase(logins, 0, before=Before(7, weeks=4))
    'no login in 30 days, before 7'
    """
    said = _said(feature, value, window_days)
    if before is None or before.value is None or not tells_change(feature):
        return said
    if feature.kind != "number":
        return said if before.value == value else f"{said}, before {before.value}"
    then = float(before.value)
    if value is None:
        return f"{said}, before {_amount(feature, then)}"
    now = float(value)
    if abs(now - then) < _NOTABLE_CHANGE * max(abs(now), abs(then)) or now == then:
        return said
    subject = _subject(feature, window_days)
    is_large = feature.unit != "count" or max(now, then) >= _COUNTABLE
    if subject is None or not is_large or min(now, then) <= 0:
        return f"{said}, before {_amount(feature, then)}"
    return (
        f"{subject} {_moved(now / then)} in {before.weeks} weeks: "
        f"{_amount(feature, now)}, before {_amount(feature, then)}"
    )


def tells_change(feature: Feature) -> bool:
    """Return whether a value some weeks before would add to the phrase.

    A distance in days moves by itself, a feature that compares two spans tells a change already,
    and one day is not compared with another.
    """
    if feature.phrase is None or "{value}" not in feature.phrase or feature.reach_days == 1:
        return False
    if _LAST_AGO.fullmatch(feature.phrase):
        return False
    if feature.kind != "number":
        return True
    return not (feature.unit == "days" and feature.reach_days == 0)


def looks_at_own_window(feature: Feature) -> bool:
    """Return whether the feature looks at the cohort's own window: another cohort, another."""
    return feature.phrase is not None and "{window}" in feature.phrase


def value_text(feature: Feature, value: Value) -> str:
    """Return a value with its unit, for a table; a dash for null."""
    if value is None:
        return "–"
    if feature.kind == "boolean":
        return "yes" if value else "no"
    return str(value) if isinstance(value, str) else _value(feature, float(value))


def label(feature: Feature) -> str:
    """Return the feature's name in words.

    Examples
    --------
    >>> label(Feature("days_since_last_login", "integer", "recency"))
    'days since last login'
    """
    return feature.name.replace("_", " ")


def _said(feature: Feature, value: Value, window_days: int | None) -> str:
    if value is None:
        return _of_null(feature)
    if feature.phrase is None:
        return f"{label(feature)} {value_text(feature, value)}"
    usual, _, other = (part.strip() for part in feature.phrase.partition("|"))
    if feature.kind == "boolean":
        return usual if value else other
    if feature.kind == "category":
        return usual.replace("{value}", str(value))
    number = float(value)
    if number == 0 and other:
        return _in_window(other, window_days)
    if number == 0 and usual.startswith("{value} "):
        return _in_window(_none_of(feature, usual), window_days)
    if (last := _LAST_AGO.fullmatch(usual)) and number >= _LONG_AGO_DAYS:
        return f"no {last['event']} for {_value(feature, number)}"
    words = usual.replace("{value}", _value(feature, number))
    words = words.replace("{change}", _change(feature, number))
    return _in_window(_MAYBE_PLURAL.sub("" if number == 1 else "s", words), window_days)


def _of_null(feature: Feature) -> str:
    means = feature.null_means
    if means is None or means == "never null":
        return f"{label(feature)} unknown"
    return means if means.startswith(("no ", "not ")) else f"{label(feature)}: {means}"


def _none_of(feature: Feature, usual: str) -> str:
    """Return what is said of a zero where a phrase begins with the number."""
    unit = _UNIT_WORDS.get(feature.unit or "")
    nothing = "no" if unit is None else f"no {unit}"
    return _MAYBE_PLURAL.sub("", usual.replace("{value}", nothing, 1))


def _subject(feature: Feature, window_days: int | None) -> str | None:
    """Return what of a phrase rises or falls, or None where that cannot be said of it."""
    usual = (feature.phrase or "").partition("|")[0].strip()
    if feature.unit not in _COMPARED_UNITS:
        return None
    if usual.startswith("{value} "):
        unit = _UNIT_WORDS.get(feature.unit)
        named = (
            usual.removeprefix("{value} ") if unit is None else usual.replace("{value}", f"{unit}s")
        )
    elif usual.endswith(" {value}"):
        named = usual.removesuffix(" {value}")
    else:
        return None
    return _in_window(_MAYBE_PLURAL.sub("s", named), window_days)


def _in_window(words: str, window_days: int | None) -> str:
    window = "the cohort's own window" if window_days is None else _days(window_days)
    return words.replace("{window}", window)


def _change(feature: Feature, number: float) -> str:
    """Return how far something rose or fell: a ratio from 1, anything else from 0."""
    if feature.unit == "ratio":
        return _moved(number)
    if number == 0:
        return "did not change"
    unit, _, span = (feature.unit or "").partition(" per ")
    by = _number(abs(number)) if span or unit == "money" else _value(feature, abs(number))
    return f"{'rose' if number > 0 else 'fell'} by {by}{f' a {span}' if span else ''}"


def _moved(ratio: float) -> str:
    """Return what became of something that is `ratio` times what it was, above 0."""
    if 0.45 <= ratio <= 0.55:
        return "fell by half"
    if 1.9 <= ratio <= 2.1:
        return "doubled"
    if ratio > 2.1:
        return f"rose {_number(ratio) if ratio < 10 else f'{ratio:,.0f}'}-fold"
    percent = round(100 * abs(ratio - 1))
    if percent == 0:
        return "did not change"
    if percent == 100 and ratio < 1:
        return "fell by more than 99 %"
    return f"{'rose' if ratio > 1 else 'fell'} by {percent} %"


def _amount(feature: Feature, number: float) -> str:
    """Return a value beside another whose unit was said."""
    if number == 0 and feature.unit in _NOTHING:
        return _NOTHING[feature.unit]
    return _value(feature, number) if feature.unit == "ratio" else _number(number)


def _value(feature: Feature, number: float) -> str:
    unit = feature.unit or ""
    if unit in _UNIT_WORDS:
        return _counted(number, _UNIT_WORDS[unit])
    return _SPELLED.get(unit, _number)(number)


def _percent(number: float) -> str:
    percent = 100 * number
    return f"{percent:.0f} %" if abs(percent) >= 1 or percent == 0 else f"{percent:.1f} %"


def _days(number: float) -> str:
    return _counted(number, "day")


def _counted(number: float, unit: str) -> str:
    text = _number(number)
    return f"{text} {unit}" if text == "1" else f"{text} {unit}s"


def _number(number: float) -> str:
    """Return a number as a person writes it: whole from ten on, two digits below.

    Examples
    --------
    >>> _number(1234.5), _number(12.34), _number(3.14), _number(0.5), _number(3.0)
    ('1,234', '12', '3.1', '0.5', '3')
    """
    size = abs(number)
    places = 0 if size >= 10 else 1 if size >= 1 else 2
    text = f"{number:,.{places}f}"
    return text.rstrip("0").rstrip(".") if places else text


_UNIT_WORDS = {"days": "day", "hours": "hour", "minutes": "minute", "months": "month"}
_NOTHING = {"count": "none", "days": "none", "money": "nothing"}
_SPELLED: dict[str, Callable[[float], str]] = {"ratio": _percent}
