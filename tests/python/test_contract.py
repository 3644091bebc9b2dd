import json

import pytest
from model_fixtures import FEATURES, manifest

from ml.contract import (
    features_hash,
    kind_of,
    load_contract,
    normal_type,
    parse_contract,
    require_types,
    type_differences,
)
from ml.errors import ContractError, DataError


def one_feature(**column):
    return {
        "nodes": {
            "model.holdfast.gold_features_x": {
                "name": "gold_features_x",
                "resource_type": "model",
                "columns": {"f": {"name": "f", "data_type": "integer", **column}},
            }
        }
    }


def test_features_come_in_the_order_of_family_and_yaml():
    names = parse_contract(manifest()).names
    assert names == (
        "mrr",
        "logins_30d",
        "actions_30d_vs_prior_ratio",
        "segment",
        "days_since_last_activity",
        "csat_avg_90d",
        "has_complaint_near_renewal",
    )


def test_keys_without_family_are_no_features():
    assert "customer_id" not in parse_contract(manifest()).names


@pytest.mark.parametrize(
    "column",
    [
        {"meta": {"family": "x", "tier": 2}},
        {"config": {"meta": {"family": "x", "tier": 2}}},
        {"meta": {}, "config": {"meta": {"family": "x", "tier": 2}}},
    ],
)
def test_meta_is_read_where_dbt_puts_it(column):
    (feature,) = parse_contract(one_feature(**column)).features
    assert (feature.family, feature.tier) == ("x", 2)


def test_models_of_other_names_and_unit_tests_are_ignored():
    content = manifest()
    other = one_feature(meta={"family": "x"})["nodes"]["model.holdfast.gold_features_x"]
    content["nodes"]["model.holdfast.gold_customer_360"] = {**other, "name": "gold_customer_360"}
    content["nodes"]["test.x"] = {**other, "resource_type": "test"}
    assert "f" not in parse_contract(content).names


def test_a_feature_declared_twice_is_an_error():
    twice = {"engagement": {"logins_30d": "bigint"}, "velocity": {"logins_30d": "bigint"}}
    with pytest.raises(ContractError, match="'logins_30d'.*'engagement'.*'velocity'"):
        parse_contract(manifest(twice))


@pytest.mark.parametrize("data_type", ["date", "timestamp", "integer[]"])
def test_a_type_no_model_can_read_is_an_error(data_type):
    with pytest.raises(ContractError, match="'f'"):
        parse_contract(one_feature(meta={"family": "x"}, data_type=data_type))


def test_a_feature_without_type_is_an_error():
    with pytest.raises(ContractError, match="no data_type"):
        parse_contract(one_feature(meta={"family": "x"}, data_type=None))


def test_a_manifest_without_features_is_an_error():
    with pytest.raises(ContractError, match="No feature is declared"):
        parse_contract({"nodes": {}})


def test_an_absent_manifest_says_what_to_run(tmp_path):
    with pytest.raises(DataError, match="dbt build"):
        load_contract(tmp_path / "manifest.json")


@pytest.mark.parametrize("content", ["{", json.dumps([1]), json.dumps({"metadata": {}})])
def test_a_broken_manifest_is_an_error(tmp_path, content):
    path = tmp_path / "manifest.json"
    path.write_text(content)
    with pytest.raises(DataError, match="manifest"):
        load_contract(path)


def test_a_manifest_is_read_from_its_file(tmp_path):
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest()))
    assert load_contract(path) == parse_contract(manifest())


def test_the_hash_depends_on_names_types_and_order_alone():
    types = {"a": "integer", "b": "decimal(18,2)"}
    assert features_hash(types) == features_hash({"a": "INT", "b": "NUMERIC(18, 2)"})
    for other in (
        {"a": "integer"},
        {"a": "bigint", "b": "decimal(18,2)"},
        {"b": "decimal(18,2)", "a": "integer"},
        {"a": "integer", "c": "decimal(18,2)"},
    ):
        assert features_hash(types) != features_hash(other)


def test_the_hash_of_a_contract_is_that_of_its_types():
    contract = parse_contract(manifest())
    assert contract.features_hash == features_hash(contract.types)
    fewer = {name: columns for name, columns in FEATURES.items() if name != "support"}
    assert contract.features_hash != parse_contract(manifest(fewer)).features_hash


@pytest.mark.parametrize(
    ("spelled", "normal"),
    [
        ("VARCHAR", "varchar"),
        ("character varying", "varchar"),
        ("string", "varchar"),
        ("INTEGER", "integer"),
        ("int8", "bigint"),
        ("DECIMAL(18,6)", "decimal(18,6)"),
        ("numeric(18, 6)", "decimal(18,6)"),
        ("BOOLEAN", "boolean"),
        ("double precision", "double"),
    ],
)
def test_engines_spellings_of_a_type_are_one(spelled, normal):
    assert normal_type(spelled) == normal


def test_kinds():
    assert kind_of("f", "decimal(18,6)") == "number"
    assert kind_of("f", "boolean") == "boolean"
    assert kind_of("f", "text") == "category"


def test_differences_name_what_is_missing_and_what_is_changed():
    expected = {"a": "integer", "b": "varchar", "c": "decimal(18,2)"}
    found = {"a": "INTEGER", "b": "BIGINT", "z": "DATE"}
    assert type_differences(expected, found) == [
        "'b' should be varchar and is bigint",
        "'c' (decimal(18,2)) is missing",
    ]
    assert type_differences(expected, {**expected, "more": "integer"}) == []


def test_required_types_raise_with_the_remedy():
    require_types({"a": "integer"}, {"a": "INT"}, what="gold.x", remedy="Do this.")
    with pytest.raises(ContractError, match="gold.x does not fit: 'a' .* is missing. Do this."):
        require_types({"a": "integer"}, {}, what="gold.x", remedy="Do this.")
