import json
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from ml import checks
from ml.errors import ContractError

TYPES = {"logins": "integer", "plan": "varchar", "flag": "boolean"}
NOW = datetime(2024, 1, 1)


def training():
    return pd.DataFrame(
        {
            "customer_id": pd.Series(["a", "b", "a"], dtype=object),
            "as_of_date": pd.to_datetime(["2024-01-01", "2024-01-01", "2024-02-01"]),
            "label_known_at": pd.to_datetime(["2024-03-01", "2024-03-01", "2024-04-01"]),
            "is_churn": [0.0, 1.0, 0.0],
            "sample_weight": [1.0, 3.0, 1.0],
            "monthly_revenue": [0.0, 10.0, 5.0],
            "logins": [1.0, np.nan, 3.0],
            "flag": [1.0, 0.0, np.nan],
            "plan": pd.Series(["x", None, "y"], dtype=object),
        }
    )


def predictions():
    return pd.DataFrame(
        {
            "customer_id": pd.Series(["a", "b", "c"], dtype=object),
            "as_of_date": pd.Timestamp("2024-01-01"),
            "score": [2.0, 0.0, -1.0],
            "churn_probability": [0.9, 0.5, 0.0],
            "rank": np.array([1, 2, 3], dtype=np.int32),
        }
    )


def checked_training(frame):
    return checks.check(
        frame,
        checks.training_expectations(TYPES),
        suite=checks.TRAINING_SUITE,
        run_id="run",
        checked_at=NOW,
    )


def checked_predictions(frame, rows=3):
    return checks.check(
        frame,
        checks.prediction_expectations(rows),
        suite=checks.PREDICTIONS_SUITE,
        run_id="run",
        checked_at=NOW,
    )


def test_a_sound_training_matrix_passes():
    report = checked_training(training())
    checks.require_success(report)
    assert len(report.results) > 15


@pytest.mark.parametrize(
    ("column", "values", "expectation"),
    [
        ("customer_id", ["a", None, "a"], "not_be_null"),
        ("as_of_date", pd.to_datetime(["2024-01-01", None, "2024-02-01"]), "not_be_null"),
        ("as_of_date", pd.to_datetime(["2024-01-01"] * 3), "compound_columns_to_be_unique"),
        ("is_churn", [0.0, np.nan, 1.0], "not_be_null"),
        ("is_churn", [0.0, 2.0, 1.0], "in_set"),
        ("sample_weight", [1.0, 0.0, 1.0], "between"),
        ("sample_weight", [1.0, np.nan, 1.0], "not_be_null"),
        ("monthly_revenue", [1.0, -0.01, 1.0], "between"),
        ("label_known_at", pd.to_datetime(["2024-01-01"] * 3), "a_to_be_greater_than_b"),
        ("logins", ["1", "2", "3"], "of_type"),
        ("plan", [1.0, 2.0, 3.0], "of_type"),
        ("flag", [0.0, 0.5, 1.0], "in_set"),
    ],
)
def test_a_broken_training_matrix_fails(column, values, expectation):
    frame = training()
    frame[column] = values
    report = checked_training(frame)
    found = [(result.expectation, result.column_name) for result in report.failures]
    assert any(expectation in name and column in columns for name, columns in found), found
    with pytest.raises(ContractError, match=expectation):
        checks.require_success(report)


@pytest.mark.parametrize(
    "frame", [training().drop(columns="logins"), training().assign(more=1), training().head(0)]
)
def test_missing_and_surplus_columns_and_no_rows_fail(frame):
    assert not checked_training(frame).is_success


def test_sound_predictions_pass():
    checks.require_success(checked_predictions(predictions()))


@pytest.mark.parametrize(
    ("column", "values", "expectation"),
    [
        ("customer_id", ["a", "a", "c"], "compound_columns_to_be_unique"),
        ("customer_id", ["a", None, "c"], "not_be_null"),
        ("churn_probability", [0.9, 0.5, -0.1], "between"),
        ("churn_probability", [1.1, 0.5, 0.1], "between"),
        ("churn_probability", [0.9, np.nan, 0.1], "not_be_null"),
        ("score", [2.0, np.nan, 1.0], "not_be_null"),
        ("rank", np.array([1, 2, 2], dtype=np.int32), "be_unique"),
        ("rank", np.array([0, 1, 2], dtype=np.int32), "between"),
        ("rank", np.array([1, 2, 4], dtype=np.int32), "between"),
        ("rank", [1.0, 2.0, 3.0], "of_type"),
    ],
)
def test_broken_predictions_fail(column, values, expectation):
    frame = predictions()
    frame[column] = values
    report = checked_predictions(frame)
    found = [(result.expectation, result.column_name) for result in report.failures]
    assert any(expectation in name and column in columns for name, columns in found), found


def test_a_customer_left_out_fails():
    assert not checked_predictions(predictions(), rows=4).is_success


def test_every_row_is_checked():
    count = 20_000
    frame = pd.DataFrame(
        {
            "customer_id": pd.Series([str(number) for number in range(count)], dtype=object),
            "as_of_date": pd.Timestamp("2024-01-01"),
            "score": 0.0,
            "churn_probability": 0.5,
            "rank": np.arange(1, count + 1, dtype=np.int32),
        }
    )
    assert checked_predictions(frame, count).is_success
    frame.loc[count - 1, "churn_probability"] = 1.5
    (failure,) = checked_predictions(frame, count).failures
    assert "1 unexpected of 20000" in failure.observed


def test_results_are_rows_and_json(tmp_path):
    frame = training()
    frame.loc[0, "sample_weight"] = 0
    report = checked_training(frame)
    rows = checks.to_rows(report).to_pylist()
    assert len(rows) == len(report.results)
    assert [row["column_name"] for row in rows if not row["is_success"]] == ["sample_weight"]
    assert {row["run_id"] for row in rows} == {"run"}
    content = json.loads(checks.write_json(report, tmp_path / "reports").read_text())
    assert content["is_success"] is False
    assert len(content["results"]) == len(rows)
    (written,) = (tmp_path / "reports").iterdir()
    assert written.name == "check_training_matrix.json"


def test_the_order_of_results_is_stable():
    names = [
        [(result.expectation, result.details) for result in checked_training(training()).results]
        for _ in range(2)
    ]
    assert names[0] == names[1] == sorted(names[0], key=lambda each: each[0])
