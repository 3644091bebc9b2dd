from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from ml import matrix

TYPES = {"word": "varchar", "amount": "decimal(18,2)", "count": "bigint", "flag": "boolean"}


def rows():
    return pa.table(
        {
            "amount": pa.array([Decimal("1.25"), None, Decimal("-3.00")], pa.decimal128(18, 2)),
            "count": pa.array([1, 2, None], pa.int64()),
            "flag": pa.array([True, None, False]),
            "word": pa.array(["a", None, "b"]),
        }
    )


def test_numbers_and_booleans_become_floats_and_null_becomes_nan():
    frame = matrix.to_frame(rows(), TYPES)
    assert list(frame.columns) == ["amount", "count", "flag", "word"]
    np.testing.assert_array_equal(frame["amount"], [1.25, np.nan, -3.0])
    np.testing.assert_array_equal(frame["count"], [1, 2, np.nan])
    np.testing.assert_array_equal(frame["flag"], [1, np.nan, 0])
    assert frame["word"].tolist() == ["a", None, "b"]
    assert [str(kind) for kind in frame.dtypes] == ["float64", "float64", "float64", "object"]


def test_an_absent_feature_is_an_error_and_no_zero():
    with pytest.raises(KeyError):
        matrix.to_frame(rows().drop_columns(["count"]), TYPES)


def test_batches_give_the_frame_of_the_whole():
    table = rows()
    batches = [table.slice(0, 2), table.slice(2, 1)]
    frame = matrix.gather_frame(batches, TYPES, 3)
    assert frame.equals(matrix.to_frame(table, TYPES))


@pytest.mark.parametrize("count", [2, 4])
def test_other_than_the_expected_rows_are_an_error(count):
    with pytest.raises(ValueError, match=f"expected {count} rows"):
        matrix.gather_frame([rows()], TYPES, count)


def test_codes_number_the_sorted_words():
    codes, words = matrix.to_codes(pa.chunked_array([["b", "a"], ["b", "c"]]))
    assert words == ["a", "b", "c"]
    assert codes.tolist() == [1, 0, 1, 2]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (
            pa.array([Decimal("12.500000"), Decimal("0")], pa.decimal128(18, 6)),
            ["12.5", "0"],
        ),
        (pa.array([Decimal("100.00"), None], pa.decimal128(18, 2)), ["100", None]),
        (pa.array([True, None]), ["true", None]),
        (pa.array([10, 0], pa.int32()), ["10", "0"]),
        (pa.array(["1.50", "x"]), ["1.50", "x"]),
    ],
)
def test_values_read_as_a_person_writes_them(column, text):
    assert matrix.as_text(column).to_pylist() == text


def test_the_digest_is_of_the_values_and_not_of_their_chunks():
    table = rows()
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    sliced = pa.concat_tables([table, table]).slice(3, 3)
    assert matrix.digest(chunked) == matrix.digest(table) == matrix.digest(sliced)


@pytest.mark.parametrize(
    "change",
    [
        {"word": pa.array(["a", "", "b"])},
        {"word": pa.array(["ab", None, ""])},
        {"amount": pa.array([Decimal("1.25"), Decimal("0"), Decimal("-3")], pa.decimal128(18, 2))},
        {"count": pa.array([1, 2, 0], pa.int64())},
        {"count": pa.array([1, 2, None], pa.int32())},
        {"flag": pa.array([True, False, False])},
    ],
)
def test_the_digest_sees_every_change(change):
    table = rows()
    (name, column), *_ = change.items()
    other = table.set_column(table.column_names.index(name), name, column)
    assert matrix.digest(other) != matrix.digest(table)


def test_the_digest_sees_the_order_of_rows_and_names():
    table = rows()
    assert matrix.digest(table.take([1, 0, 2])) != matrix.digest(table)
    assert matrix.digest(table.rename_columns(["a", "b", "c", "d"])) != matrix.digest(table)


def test_dates_and_times_share_one_form():
    days = matrix.to_days(pa.array([date(2024, 2, 29), None]))
    times = matrix.to_days(pa.array([datetime(2024, 2, 29), None], pa.timestamp("ns")))
    np.testing.assert_array_equal(days, times)
    assert days.dtype == "datetime64[us]"


@pytest.mark.parametrize(
    "value", [date(2024, 2, 29), datetime(2024, 2, 29, 5), np.datetime64("2024-02-29T05:00", "us")]
)
def test_as_date(value):
    assert matrix.as_date(value) == date(2024, 2, 29)
