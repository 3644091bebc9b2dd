"""The limit: a compiled two-pointer kernel over sorted arrays with prefix sums.

What no general tool can be much faster than: every row is read once, sorted once by counting,
and every window's edge walks forward only.
"""

import numba
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.work import LAST, MEASURES, WINDOWS, Files, column, main

_NEVER = np.int32(-(2**31))


@numba.njit(cache=True, nogil=True)
def _order(customer, day, first_day, days, customers):
    """Return the order by customer, then day: two counting sorts, the second one stable."""
    by_day = _counting_sort(day - first_day, np.arange(len(day)), days)
    return _counting_sort(customer, by_day, customers)


@numba.njit(cache=True, nogil=True)
def _counting_sort(key, rows, size):
    starts = np.zeros(size + 1, np.int64)
    for row in rows:
        starts[key[row] + 1] += 1
    for value in range(size):
        starts[value + 1] += starts[value]
    ordered = np.empty(len(rows), np.int64)
    for row in rows:
        ordered[starts[key[row]]] = row
        starts[key[row]] += 1
    return ordered


@numba.njit(cache=True, parallel=True, nogil=True)
def _sweep(starts, day, known, values, row_starts, row, as_of, windows, sums, active, last):
    """Fill the sums of all observations, customer by customer.

    On time rows (known on their day) are in prefix sums, which two pointers a window cut; the few
    late ones are looked at one by one.
    """
    measures = values.shape[1]
    longest = windows[-1]
    for customer in numba.prange(len(starts) - 1):
        begin, end = starts[customer], starts[customer + 1]
        size = end - begin
        prefix = np.zeros((size + 1, measures + 1), np.int64)
        late = np.empty(size, np.int64)
        late_count = 0
        for at in range(size):
            here = begin + at
            for measure in range(measures + 1):
                prefix[at + 1, measure] = prefix[at, measure]
            if known[here] > day[here]:
                late[late_count] = here
                late_count += 1
            else:
                for measure in range(measures):
                    prefix[at + 1, measure] += values[here, measure]
                prefix[at + 1, measures] += 1
        upper = 0
        lower = np.zeros(len(windows), np.int64)
        for place in range(row_starts[customer], row_starts[customer + 1]):
            observation = row[place]
            cut = as_of[observation]
            while upper < size and day[begin + upper] < cut:
                upper += 1
            newest = _NEVER
            at = upper - 1
            # The newest day whose row was known in time; late rows before it are looked at below.
            while at >= 0 and known[begin + at] > day[begin + at]:
                at -= 1
            if at >= 0:
                newest = day[begin + at]
            for window in range(len(windows)):
                while lower[window] < size and day[begin + lower[window]] < cut - windows[window]:
                    lower[window] += 1
                for measure in range(measures):
                    sums[observation, measure, window] = (
                        prefix[upper, measure] - prefix[lower[window], measure]
                    )
                active[observation, window] = (
                    prefix[upper, measures] - prefix[lower[window], measures]
                )
            for number in range(late_count):
                here = late[number]
                if known[here] >= cut or day[here] >= cut:
                    continue
                newest = max(newest, day[here])
                if day[here] < cut - longest:
                    continue
                is_new = True
                # A day known in parts is one active day: an earlier part that is visible counts.
                other = here - 1
                while other >= begin and day[other] == day[here]:
                    if known[other] < cut:
                        is_new = False
                    other -= 1
                other = here + 1
                while other < end and day[other] == day[here]:
                    if known[other] <= day[other]:
                        is_new = False
                    other += 1
                for window in range(len(windows)):
                    if day[here] >= cut - windows[window]:
                        for measure in range(measures):
                            sums[observation, measure, window] += values[here, measure]
                        active[observation, window] += is_new
            last[observation] = newest


def _codes(column: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Return codes from 0 and what they stand for; the file stores the column as a dictionary."""
    joined = column.unify_dictionaries()
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in joined.chunks])
    return codes, joined.chunk(0).dictionary


def _days(column: pa.ChunkedArray) -> np.ndarray:
    return column.cast(pa.int32()).to_numpy()


def run(files: Files) -> None:
    """Two pointers over prefix sums, compiled."""
    activity = pq.read_table(files.activity, read_dictionary=["customer_id"])
    observations = pq.read_table(
        files.observations,
        columns=["customer_id", "as_of_date"],
        read_dictionary=["customer_id"],
    )
    customer, names = _codes(activity["customer_id"])
    day, known = _days(activity["activity_date"]), _days(activity["known_date"])
    observed, observed_names = _codes(observations["customer_id"])
    as_of = _days(observations["as_of_date"])
    # Customers who are observed and have no activity get the codes after the others.
    place = pc.index_in(observed_names, names).fill_null(-1).to_numpy(zero_copy_only=False)
    customers = len(names) + int((place < 0).sum())
    place = np.where(place < 0, len(names) - 1 + np.cumsum(place < 0), place)
    observed = place[observed]
    values = np.empty((len(day), len(MEASURES)), np.int64)
    for number, measure in enumerate(MEASURES):
        values[:, number] = _whole(activity[measure])
    first_day = min(int(day.min(initial=0)), int(as_of.min(initial=0)))
    days = max(int(day.max(initial=0)), int(as_of.max(initial=0))) - first_day + 1
    order = _order(customer, day, first_day, days, customers)
    row = _order(observed, as_of, first_day, days, customers)
    starts = np.concatenate([[0], np.cumsum(np.bincount(customer, minlength=customers))])
    row_starts = np.concatenate([[0], np.cumsum(np.bincount(observed, minlength=customers))])
    count = len(as_of)
    sums = np.empty((count, len(MEASURES), len(WINDOWS)), np.int64)
    active = np.empty((count, len(WINDOWS)), np.int64)
    last = np.empty(count, np.int32)
    _sweep(
        starts, day[order], known[order], values[order], row_starts, row, as_of,
        np.array(WINDOWS), sums, active, last,
    )  # fmt: skip
    found = {name: observations[name] for name in ("customer_id", "as_of_date")}
    for window, days in enumerate(WINDOWS):
        for number, measure in enumerate(MEASURES):
            found[column(measure, days)] = _stored(measure, sums[:, number, window])
        found[column("active_days", days)] = pa.array(active[:, window])
    found[LAST] = pa.array(last, mask=last == _NEVER).cast(pa.date32())
    pq.write_table(pa.table(found), files.out)


def _whole(column: pa.ChunkedArray) -> np.ndarray:
    """Return a measure in whole numbers: money-like decimals in hundredths, as they are stored."""
    if not pa.types.is_decimal(column.type):
        return column.to_numpy()
    # The low word of each 128-bit value: sums of minutes are far from 2**63.
    return np.concatenate(
        [
            np.frombuffer(chunk.buffers()[1], np.int64)[2 * chunk.offset :: 2][: len(chunk)]
            for chunk in column.chunks
        ]
    )


def _stored(measure: str, values: np.ndarray) -> pa.Array:
    """Return a sum as it is stored; minutes are decimals again."""
    if measure != "minutes":
        return pa.array(values)
    words = np.zeros((len(values), 2), np.int64)
    words[:, 0] = values
    words[:, 1] = values >> 63
    return pa.Array.from_buffers(
        pa.decimal128(18, 2), len(values), [None, pa.py_buffer(words.tobytes())]
    )


if __name__ == "__main__":
    main(run)
