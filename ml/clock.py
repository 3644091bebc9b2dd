"""The clock of the machine, for a run's own bookkeeping alone: nothing learnt depends on it."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the moment in UTC, without a zone, as the warehouse keeps it."""
    return datetime.now(UTC).replace(tzinfo=None)
