"""What a column's name says of the time at which it was written."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ml.audit.findings import Severity


@dataclass(frozen=True)
class Hint:
    """What a name gives away.

    Attributes
    ----------
    word
        The part of the name that does.
    severity
        How grave it is on its own.
    reason
        Why, as the end of a sentence.
    is_outcome
        Whether it names the outcome itself rather than what follows from it.
    """

    word: str
    severity: Severity
    reason: str
    is_outcome: bool = False


# A word is a whole part of the name, split at `_`, spaces and humps; a trailing * takes any ending.
_OUTCOMES = ("churn*", "attrit*", "retained", "target", "label", "outcome", "lapsed", "survived")
_HINTS: tuple[tuple[tuple[str, ...], Severity, str], ...] = (
    (
        ("cancel*", "terminat*", "unsubscrib*", "deactivat*", "disconnect*", "resign*"),
        "warning",
        "it is written when a customer leaves",
    ),
    (
        ("exit", "exited", "lost", "left", "leaver", "leaving", "departed", "winback", "offboard*"),
        "warning",
        "it is written when a customer leaves, or after",
    ),
    (("reason*",), "warning", "reasons are asked of those who leave, and of hardly anyone else"),
    (
        ("closed", "closing", "ended", "expired", "inactive", "dormant"),
        "note",
        "an end is known only once it has come",
    ),
    (("status", "state", "stage"), "note", "a status is of the day of extraction, not of the past"),
    (("final", "last", "latest", "current"), "note", "the newest value may be newer than the row"),
    (
        ("sent", "emails", "mails", "mailings", "contacted"),
        "note",
        "what the company sends stops when a customer leaves",
    ),
    (
        ("total", "lifetime", "ltv", "cumulative"),
        "note",
        "a sum to date grows with the time stayed",
    ),
    (("refund*", "reactivat*", "survey"), "note", "it often follows on a customer's leaving"),
)
# `end_date`, `closed_at` and the like: a moment of leaving.
_END_MOMENT = re.compile(
    r"(^|_)(end|ended|close|closed|stop|stopped|expiry|expiration)_(date|at|day|time|on|ts)$"
)
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# What a name may have around the word that counts.
_FILLERS = {"is", "has", "was", "will", "flag", "y", "d", "30", "60", "90"}
# How a bounded window or a distance to the row's date ends; such names have said their time.
_BOUNDED = re.compile(r"(_\d+d|_obs|^days_(since|to)_.*)$")


def hint(name: str, target_name: str) -> Hint | None:
    """Return what a name gives away beside the name of the target, None if nothing.

    Examples
    --------
    >>> hint("CancelReason", "y").word, hint("end_date", "y").severity
    ('cancel', 'warning')
    >>> hint("churn_flag", "y").is_outcome, hint("upgraded_flag", "is_upgraded").is_outcome
    (True, True)
    >>> hint("days_since_last_login", "y"), hint("leftover_credit", "y")
    (None, None)
    """
    parts = _parts(name)
    wanted = [part for part in _parts(target_name) if part not in _FILLERS]
    if wanted and set(wanted) <= set(parts):
        word = "_".join(wanted)
        return Hint(word, "warning", "that is the name of the target", is_outcome=True)
    for part in parts:
        if _fits(part, _OUTCOMES):
            return Hint(part, "warning", "that names the outcome itself", is_outcome=True)
    joined = "_".join(parts)
    if _END_MOMENT.search(joined):
        return Hint(joined, "warning", "the moment of an end is known only once it has come")
    for words, severity, reason in _HINTS:
        if severity == "note" and _BOUNDED.search(name):
            continue
        for part in parts:
            if _fits(part, words):
                return Hint(part, severity, reason)
    return None


def _parts(name: str) -> list[str]:
    return [part.lower() for part in _PARTS.findall(name)]


def _fits(part: str, words: tuple[str, ...]) -> bool:
    return any(part.startswith(word[:-1]) if word[-1] == "*" else part == word for word in words)
