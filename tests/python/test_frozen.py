"""Frozen training sets: deterministic bytes, verified reading, comparing, training on one."""

import hashlib
import json
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from model_fixtures import Company, build_company, manifest

from ml import train as training
from ml.errors import DataError, UsageError
from ml.frozen import parquet, sets
from ml.frozen.compare import diff
from ml.frozen.freeze import freeze
from ml.frozen.reproduce import reproduce
from ml.registry import Registry


@pytest.fixture
def own(tmp_path) -> Company:
    """Return a company that a test may change."""
    return build_company(tmp_path / "company", customers=300, months=10)


def change_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


# -- the file ----------------------------------------------------------------------------------


def rows(count):
    return pa.table(
        {
            "customer_id": [f"c{place:06d}" for place in range(count)],
            "amount": pa.array(
                [Decimal(place % 97) for place in range(count)], pa.decimal128(9, 2)
            ),
            "word": [None if place % 7 == 0 else f"w{place % 11}" for place in range(count)],
        }
    )


def test_equal_rows_give_equal_bytes_however_they_come(tmp_path):
    table = rows(45_000)
    whole = parquet.write(tmp_path / "a", table.schema, table.to_batches())
    pieces = parquet.write(tmp_path / "b", table.schema, table.to_batches(max_chunksize=777))
    assert whole == pieces
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert whole.sha256 == hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest()
    groups = pq.ParquetFile(tmp_path / "a").metadata
    assert [groups.row_group(place).num_rows for place in range(3)] == [20_000, 20_000, 5_000]
    assert pq.read_table(tmp_path / "a").equals(table)


def test_other_rows_and_another_order_give_other_bytes(tmp_path):
    table = rows(1000)
    first = parquet.write(tmp_path / "a", table.schema, table.to_batches())
    turned = table.take(list(reversed(range(1000))))
    for other in (turned, table.slice(1), table.rename_columns(["customer_id", "amount", "x"])):
        again = parquet.write(tmp_path / "b", other.schema, other.to_batches())
        assert again.sha256 != first.sha256
        assert again.content_sha256 != first.content_sha256


# -- freeze ------------------------------------------------------------------------------------


def test_a_frozen_set_holds_every_known_label_and_is_registered(own):
    result = freeze(own.settings)
    frozen = result.frozen
    path = own.settings.local_dir / frozen.path
    known = own.sql(
        "select * from gold.training_set order by as_of_date, customer_id",
        "select count(*), count(*) filter (where is_churn), max(label_known_at) "
        "from gold.training_set",
    )
    assert result.is_new
    assert [(frozen.row_count, frozen.churned, frozen.cutoff)] == known
    assert frozen.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert own.sql(
        "select training_set_id, row_count, cutoff, sha256, path from ml.training_sets"
    ) == [(frozen.training_set_id, frozen.row_count, frozen.cutoff, frozen.sha256, frozen.path)]
    written = pq.read_table(path)
    assert written.column_names == list(frozen.columns)
    keys = zip(written["as_of_date"].to_pylist(), written["customer_id"].to_pylist(), strict=True)
    listed = list(keys)
    assert listed == sorted(listed)
    assert [each.name for each in frozen.features] == [
        name for name in written.column_names if name in frozen.contract.types
    ]
    assert not freeze(own.settings).is_new
    assert own.sql("select count(*) from ml.training_sets") == [(1,)]


def test_an_earlier_moment_holds_what_was_known_then(own):
    until = datetime(2023, 6, 20)
    frozen = freeze(own.settings, known_until=until).frozen
    assert frozen.cutoff <= until
    assert own.sql(
        "select count(*), max(label_known_at) from gold.training_set "
        f"where label_known_at <= '{until}'"
    ) == [(frozen.row_count, frozen.cutoff)]
    own.sql(
        f"update silver.clock set data_until = timestamp '{until}'",
        "update gold.churn_labels set is_label_available = label_known_at <= "
        "(select data_until from silver.clock)",
    )
    again = freeze(own.settings)
    assert not again.is_new
    assert again.frozen == frozen


def test_some_rows_are_read_as_they_are_among_all(own, monkeypatch):
    monkeypatch.setattr(parquet, "_ROW_GROUP_ROWS", 300)
    frozen = freeze(own.settings).frozen
    kept = np.arange(frozen.row_count) % 3 == 1
    # Of one row group nothing is kept, of another all.
    kept[300:600], kept[600:900] = False, True
    whole, some = sets.read_frame(own.settings, frozen), sets.read_frame(own.settings, frozen, kept)
    pd.testing.assert_frame_equal(some, whole.loc[kept].reset_index(drop=True))
    with pytest.raises(ValueError, match="expected a flag for each of"):
        sets.read_frame(own.settings, frozen, kept[1:])


def test_nothing_known_yet_is_an_error(own):
    with pytest.raises(DataError, match="Expected labels known by 2023-01-02, found none"):
        freeze(own.settings, known_until=datetime(2023, 1, 2))


# -- a changed file ----------------------------------------------------------------------------


def test_a_changed_byte_is_refused_everywhere(own):
    frozen = freeze(own.settings).frozen
    path = own.settings.local_dir / frozen.path
    whole = path.read_bytes()
    sets.verify(own.settings, frozen)
    change_a_byte(path)
    for read in (
        lambda: sets.read_frame(own.settings, frozen),
        lambda: sets.read_history(own.settings, frozen),
        lambda: training.train(own.settings, training_set=frozen.training_set_id),
        lambda: diff(own.settings, frozen.training_set_id, frozen.training_set_id),
        lambda: freeze(own.settings),
    ):
        with pytest.raises(DataError, match="was changed after it was frozen: expected SHA-256"):
            read()
    restored = reproduce(own.settings, frozen.training_set_id[:8])
    assert restored.is_same
    assert restored.is_restored
    assert path.read_bytes() == whole


def test_a_file_that_is_gone_is_told_and_put_back(own):
    frozen = freeze(own.settings).frozen
    (own.settings.local_dir / frozen.path).unlink()
    with pytest.raises(DataError, match="it is gone. Rebuild it"):
        sets.read_frame(own.settings, frozen)
    assert reproduce(own.settings, frozen.training_set_id).is_restored
    sets.verify(own.settings, frozen)


def test_a_name_must_name_one_set(own):
    with pytest.raises(UsageError, match="begins with 'abcd'.*none does. There are: none"):
        reproduce(own.settings, "abcd")
    frozen = freeze(own.settings).frozen
    assert sets.named(own.settings, frozen.training_set_id[:4]) == frozen
    with pytest.raises(UsageError, match=frozen.training_set_id[:12]):
        sets.named(own.settings, "../x")


# -- diff --------------------------------------------------------------------------------------


def test_the_figures_of_a_diff_are_those_of_what_was_changed(own):
    before = freeze(own.settings).frozen
    own.sql(
        "update gold.customer_360 set logins_30d = logins_30d + 1 "
        "where as_of_date = '2023-02-01' and customer_id <= 'c00009'",
        "update gold.customer_360 set csat_avg_90d = 3.5 "
        "where as_of_date = '2023-03-01' and customer_id = 'c00007'",
        "update gold.churn_labels set is_churn = not is_churn "
        "where as_of_date = '2023-02-01' and customer_id = 'c00003'",
        "delete from gold.churn_labels where as_of_date = '2023-04-01' and customer_id < 'c00005'",
        "update gold.fingerprints set fingerprint = md5(fingerprint) "
        "where as_of_date in ('2023-02-01', '2023-03-01')",
    )
    after = freeze(own.settings).frozen
    found = diff(own.settings, before.training_set_id, after.training_set_id)
    assert not found.is_same
    assert (found.rows_a, found.rows_b) == (before.row_count, before.row_count - 5)
    assert (found.rows_only_a, found.rows_only_b) == (5, 0)
    assert (found.columns_only_a, found.columns_only_b, found.other_types) == ((), (), {})
    changed = {each.column: each.cells for each in found.changed_columns}
    assert changed == {"logins_30d": 10, "csat_avg_90d": 1, "is_churn": 1}
    assert found.changed_cells == 12
    assert found.changed_dates == ("2023-02-01", "2023-03-01", "2023-04-01")
    (example,) = next(
        each for each in found.changed_columns if each.column == "csat_avg_90d"
    ).examples
    assert (example.customer_id, example.as_of_date) == ("c00007", "2023-03-01")
    assert (example.value_a, example.value_b) == (None, "3.500000")
    assert found.label_rate_a == pytest.approx(before.label_rate)
    assert found.label_rate_b == pytest.approx(after.churned / (before.row_count - 5))
    assert diff(own.settings, before.training_set_id, before.training_set_id).is_same


def test_a_diff_names_columns_that_one_side_lacks(own):
    before = freeze(own.settings).frozen
    own.settings.manifest_path.write_text(
        json.dumps(manifest({"recency": {"days_since_last_activity": "integer"}}))
    )
    after = freeze(own.settings).frozen
    found = diff(own.settings, before.training_set_id, after.training_set_id)
    assert "logins_30d" in found.columns_only_a
    assert found.columns_only_b == ()
    assert found.changed_cells == 0


# -- reproduce ---------------------------------------------------------------------------------


def test_what_gold_no_longer_gives_is_told_with_its_columns(own):
    frozen = freeze(own.settings).frozen
    own.sql("update gold.customer_360 set mrr = mrr + 1 where customer_id = 'c00001'")
    found = reproduce(own.settings, frozen.training_set_id)
    assert not found.is_green
    assert found.sha256_now != found.sha256_then
    assert [each.column for each in found.difference.changed_columns] == ["mrr"]
    assert "every input row known before the cutoff" in found.verdict
    own.sql(
        "update silver.arrivals set row_count = 1001 "
        "where entity = 'activity' and known_date = '2023-03-01'"
    )
    said = reproduce(own.settings, frozen.training_set_id).verdict
    assert "altered, removed or back-dated since in activity (" in said
    sets.verify(own.settings, frozen)


def test_rows_that_came_after_the_cutoff_do_not_count(own):
    frozen = freeze(own.settings).frozen
    own.sql(
        f"insert into silver.arrivals values ('activity', date '{frozen.cutoff:%Y-%m-%d}', 5, 'x')",
        "update gold.churn_labels set is_churn = not is_churn "
        f"where label_known_at > '{frozen.cutoff}'",
        "update silver.clock set data_until = data_until + interval 60 day",
        "update gold.churn_labels set is_label_available = label_known_at <= "
        "(select data_until from silver.clock)",
    )
    assert freeze(own.settings).frozen.row_count > frozen.row_count
    assert reproduce(own.settings, frozen.training_set_id).is_same


# -- train -------------------------------------------------------------------------------------


def test_a_model_names_the_frozen_set_it_was_trained_on(own):
    trained = training.train(own.settings)
    record = trained.record
    frozen = sets.named(own.settings, record.training_set_id)
    assert record.training_set_sha256 == frozen.sha256
    assert own.sql(
        "select versions.model_version, sets.sha256, sets.path from ml.model_versions as versions "
        "inner join ml.training_sets as sets on versions.training_set_id = sets.training_set_id"
    ) == [(1, frozen.sha256, frozen.path)]
    store = Registry(own.settings.mlflow_uri, own.settings.artifact_root)
    version = store._client.get_model_version("churn", "1")
    run = store._client.get_run(trained.run_id)
    for tags in (version.tags, run.data.tags):
        assert tags["training_set_id"] == frozen.training_set_id
        assert tags["training_set_sha256"] == frozen.sha256


def test_a_frozen_set_trains_what_the_warehouse_trained(own):
    first = training.train(own.settings)
    named = first.record.training_set_id[:10]
    assert not training.train(own.settings, training_set=named).is_new
    # Gold moves on; the frozen set does not.
    own.sql(
        "update gold.customer_360 set logins_30d = 0, mrr = 0",
        "update gold.fingerprints set fingerprint = md5(fingerprint)",
    )
    second = training.train(own.settings)
    assert second.is_new
    again = training.train(own.settings, training_set=named)
    assert (again.is_new, again.model_version) == (False, first.model_version)
    # Other settings ask for a new training, on the very rows of then.
    other = own.with_settings(train={"capacity_share": 0.2})
    third = training.train(other.settings, training_set=named)
    assert third.is_new
    assert third.record.standings == first.record.standings
    assert third.record.training_set_sha256 == first.record.training_set_sha256
    assert third.record.standings != second.record.standings


def test_a_set_of_other_features_trains_nothing(own):
    frozen = freeze(own.settings).frozen
    own.settings.manifest_path.write_text(
        json.dumps(manifest({"recency": {"days_since_last_activity": "integer"}}))
    )
    with pytest.raises(DataError, match="to have the features of gold, found others"):
        training.train(own.settings, training_set=frozen.training_set_id)


def test_the_metadata_come_back_whole(own):
    frozen = freeze(own.settings).frozen
    again = sets.FrozenSet.from_dict(json.loads(json.dumps(frozen.to_dict())))
    assert again == frozen
    assert isinstance(again.dates[0].as_of_date, date)
