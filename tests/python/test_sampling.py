"""A training on a sample of customers, where gold holds more rows than it may read."""

import hashlib
from dataclasses import replace
from datetime import datetime

import duckdb
import pyarrow.parquet as pq
import pytest
from model_fixtures import Company, build_company

from ml import train as training
from ml.contract import load_contract
from ml.evaluate import evaluate
from ml.frozen.freeze import freeze
from ml.frozen.reproduce import reproduce
from ml.sampling import EVERYBODY, CustomerSample, choose_sample
from ml.training_set import read_features, read_labelled_rows
from ml.warehouse import open_warehouse

IDS = [f"customer {number}" for number in range(20_000)]


@pytest.fixture(scope="module")
def company(tmp_path_factory) -> Company:
    return build_company(tmp_path_factory.mktemp("company"), customers=600, months=10)


def chosen(sample, ids=IDS):
    with duckdb.connect() as connection:
        connection.execute("create table ids as select unnest($1) as customer_id", [ids])
        found = connection.execute(f"select customer_id from ids where {sample.condition}")
        return {row[0] for row in found.fetchall()}


def with_most_rows(settings, rows):
    return replace(settings, train=replace(settings.train, max_rows=rows))


def labelled(company):
    return company.sql("select count(*) from gold.training_set")[0][0]


def keys_of(data):
    columns = data.keys.select(["customer_id", "as_of_date"]).to_pydict()
    return list(zip(*columns.values(), strict=True))


def test_a_sample_has_about_its_share_and_lies_within_a_larger_one():
    quarter, half = CustomerSample(1 << 30), CustomerSample(1 << 31)
    assert (quarter.share, quarter.weight) == (0.25, 4)
    # Four standard deviations of a binomial.
    assert abs(len(chosen(quarter)) - 5_000) < 4 * (20_000 * 0.25 * 0.75) ** 0.5
    assert chosen(quarter) < chosen(half) < chosen(EVERYBODY) == set(IDS)
    assert EVERYBODY.is_all and not half.is_all


def test_the_hash_is_the_one_that_every_engine_has():
    sample = CustomerSample(1 << 29)
    digits = {name: hashlib.md5(name.encode()).hexdigest()[:8] for name in IDS}
    assert chosen(sample) == {name for name in IDS if int(digits[name], 16) < 1 << 29}


def test_everybody_is_read_where_there_is_room(company):
    rows = labelled(company)
    with open_warehouse(company.settings, read_only=True) as warehouse:
        assert choose_sample(warehouse, rows) == EVERYBODY
        below = choose_sample(warehouse, rows - 1)
        earlier = choose_sample(warehouse, rows - 1, known_until=datetime(2023, 6, 20))
    assert below.share == pytest.approx((rows - 1) / rows)
    # Fewer labels were known then.
    assert earlier == EVERYBODY


def test_rows_and_features_are_of_the_same_customers_and_count_for_the_others(company):
    half = labelled(company) // 2
    with open_warehouse(company.settings, read_only=True) as warehouse:
        everybody = read_labelled_rows(warehouse, EVERYBODY)
        sample = choose_sample(warehouse, half)
        data = read_labelled_rows(warehouse, sample)
        types = load_contract(company.settings.manifest_path).types
        frame = read_features(warehouse, types, data)
    assert 0 < data.customer.size < everybody.customer.size
    assert set(data.customers) == chosen(sample, list(everybody.customers))
    assert len(frame) == data.customer.size
    by_key = dict(zip(keys_of(everybody), everybody.weight, strict=True))
    expected = [by_key[key] * sample.weight for key in keys_of(data)]
    assert list(data.weight) == pytest.approx(expected)


def test_a_training_beyond_the_room_reads_a_sample_and_says_so(company):
    settings = with_most_rows(company.settings, labelled(company) * 2 // 3)
    result = training.train(settings, families="lightgbm")
    frozen = freeze(settings).frozen
    assert frozen.training_set_id == result.record.training_set_id
    assert frozen.sample.share == pytest.approx(2 / 3, abs=0.001)
    ids = set(pq.read_table(settings.local_dir / frozen.path)["customer_id"].to_pylist())
    everybody = [
        row[0] for row in company.sql("select distinct customer_id from gold.training_set")
    ]
    assert ids == chosen(frozen.sample, everybody)
    (note,) = [note for note in result.record.notes if "train.max_rows" in note]
    assert f"{frozen.sample.share:.2%} of the customers, {frozen.row_count:,} rows" in note
    assert evaluate(settings).evaluations
    # The training is known by its rows: asked again, it is done already.
    assert not training.train(settings, families="lightgbm").is_new
    # What was frozen as a sample comes out as that sample, whatever may be read now.
    assert reproduce(company.settings, frozen.training_set_id).is_same
    assert freeze(company.settings).frozen.training_set_id != frozen.training_set_id
