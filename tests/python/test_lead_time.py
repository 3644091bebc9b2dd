import numpy as np
import pytest

from ml.lead_time import lead_times

MONTHS = np.array(["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"], dtype="datetime64[D]")
NEVER = np.datetime64("NaT")


def series(*rows):
    """Rows of (customer, month, is_alert, churned_at)."""
    customer, month, is_alert, churned_at = zip(*rows, strict=True)
    return (
        np.array(customer),
        MONTHS[list(month)],
        np.array(is_alert),
        np.array(churned_at, dtype="datetime64[us]"),
    )


def test_the_first_alert_of_a_churn_counts():
    left = "2024-03-20T15:00"
    found = lead_times(
        *series((7, 0, False, left), (7, 1, True, left), (7, 2, False, left), (9, 0, False, NEVER))
    )
    assert (found.churns, found.caught_days.tolist(), found.early) == (1, [48], 1)
    assert found.caught_share == found.early_share == found.early_share_of_caught == 1


def test_45_days_are_not_more_than_45():
    for left, early in [("2024-02-15", 0), ("2024-02-16", 1)]:
        found = lead_times(*series((1, 0, True, left)))
        assert (found.in_reach, found.early) == (early, early)
        # The same a month later: the churn is in reach, and early only beyond 45 days.
        day = np.datetime64(left) + np.timedelta64(31, "D")
        found = lead_times(*series((2, 0, False, NEVER), (1, 1, True, str(day))))
        assert (found.in_reach, found.early) == (1, early)


def test_a_false_alarm_of_before_warns_of_nothing():
    found = lead_times(*series((1, 0, True, NEVER), (1, 3, False, "2024-04-10")))
    assert (found.churns, found.caught_days.size, found.in_reach, found.early) == (1, 0, 1, 0)
    assert found.median_days is None


def test_a_customer_who_came_back_churns_twice():
    found = lead_times(
        *series(
            (1, 0, True, "2024-01-11"),
            (1, 2, False, "2024-04-25"),
            (1, 3, True, "2024-04-25"),
            (2, 3, True, "2024-04-25"),
        )
    )
    assert (found.churns, found.caught_days.tolist()) == (3, [10, 24, 24])


def test_a_churn_soon_after_the_first_date_is_out_of_reach():
    found = lead_times(*series((1, 0, True, "2024-01-31"), (2, 1, True, "2024-03-31")))
    assert (found.churns, found.in_reach, found.early) == (2, 1, 1)
    assert found.early_share_of_caught == pytest.approx(0.5)


def test_no_churn_and_no_row_have_no_figures():
    for found in (
        lead_times(*series((1, 0, True, NEVER))),
        lead_times(*(column[:0] for column in series((1, 0, True, NEVER)))),
    ):
        assert found.churns == 0
        assert found.caught_share is found.early_share is found.median_days is None
        assert found.early_share_of_caught is None
