"""Why a customer has its score: in words, in figures, and as it was written when it was scored."""

import io
import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import yaml
from model_fixtures import FEATURES, build_company, manifest
from rich.console import Console
from typer.testing import CliRunner

from ml import score as scoring
from ml import train as training
from ml.card.write import write_card
from ml.cli import app
from ml.contract import Feature, load_contract
from ml.errors import DataError, UsageError
from ml.explaining.customer import explain_customer, version_of
from ml.explaining.render import of_customer
from ml.reasons import Wording, date_before, reason_words, select_list
from ml.registry import Registry

NEWEST, EARLIER = date(2023, 12, 1), date(2023, 11, 1)
LEFT, LAST_SEEN = "c00007", date(2023, 9, 1)
FEATURES_YAML = Path(__file__).parents[2] / "models" / "gold" / "_features.yml"


def phrased_manifest():
    """Return the small company's manifest with the contracts that its features have in earnest."""
    models = yaml.safe_load(FEATURES_YAML.read_text())["models"]
    meta = {
        column["name"]: column["config"]["meta"]
        for model in models
        for column in model["columns"]
        if "config" in column
    }
    made = manifest(FEATURES)
    for node in made["nodes"].values():
        for name, column in node["columns"].items():
            column.get("config", {}).update(meta=meta.get(name, {}))
    return made


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    made = build_company(tmp_path_factory.mktemp("explained") / "company")
    made.settings.manifest_path.write_text(json.dumps(phrased_manifest()))
    made.sql(
        f"delete from gold.customer_360 where customer_id = '{LEFT}' "
        f"and as_of_date > date '{LAST_SEEN}'"
    )
    training.train(made.settings)
    scoring.score(made.settings, as_of=EARLIER)
    scoring.score(made.settings)
    return made


@pytest.fixture(scope="module")
def store(company):
    return Registry(company.settings.mlflow_uri, company.settings.artifact_root)


def shown(renderable, width=160):
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    return console.file.getvalue()


def test_parts_and_base_add_up_to_the_score_and_its_probability(company, store):
    explained = explain_customer(company.settings, "c00001")
    added = sum(part.contribution for part in explained.parts)
    assert explained.base + added == pytest.approx(explained.score)
    model = store.load_model(store.champion("churn"))
    assert explained.churn_probability == pytest.approx(
        model.calibrator.probability(np.array([explained.score]))[0]
    )
    sizes = [abs(part.contribution) for part in explained.parts]
    assert sizes == sorted(sizes, reverse=True) and min(sizes) > 0
    assert all((part.effect == "raises") == (part.contribution > 0) for part in explained.parts)


@pytest.mark.parametrize("customer", ["c00000", "c00123", "c00499"])
def test_score_and_rank_are_those_that_were_written(company, customer):
    explained = explain_customer(company.settings, customer)
    assert company.sql(
        "select rank, (select count(*) from ml.predictions as others "
        "where others.as_of_date = predictions.as_of_date) from ml.predictions "
        f"where customer_id = '{customer}' and as_of_date = '{NEWEST}'"
    ) == [(explained.rank, explained.customers)]
    ((score, probability),) = company.sql(
        "select score, churn_probability from ml.predictions "
        f"where customer_id = '{customer}' and as_of_date = '{NEWEST}'"
    )
    assert (score, probability) == pytest.approx((explained.score, explained.churn_probability))


def test_values_are_golds_now_and_before(company):
    explained = explain_customer(company.settings, "c00001")
    assert explained.earlier_dates == (EARLIER, date(2023, 10, 1), date(2023, 9, 1))
    logins = next(part for part in explained.parts if part.feature == "logins_30d")
    found = company.sql(
        "select logins_30d from gold.customer_360 where customer_id = 'c00001' "
        "and as_of_date >= '2023-09-01' order by as_of_date desc"
    )
    assert list(logins.values) == [row[0] for row in found]
    assert (explained.cohort, explained.value_tier, explained.monthly_revenue) == company.sql(
        "select cohort, value_tier, monthly_revenue::double from gold.customer_360 "
        f"where customer_id = 'c00001' and as_of_date = '{NEWEST}'"
    )[0]


def test_a_customer_who_left_is_explained_at_the_last_date_seen(company):
    explained = explain_customer(company.settings, LEFT)
    assert (explained.as_of_date, explained.newest_date) == (LAST_SEEN, NEWEST)
    assert "the newest as-of date is 2023-12-01" in shown(of_customer(explained))


def test_the_history_tells_what_was_predicted_and_what_became_of_it(company):
    company.sql(
        "update gold.churn_labels set is_label_available = true, is_churn = true "
        f"where customer_id = 'c00002' and as_of_date = '{EARLIER}'"
    )
    history = explain_customer(company.settings, "c00002").history
    assert [(each.as_of_date, each.is_churn) for each in history] == [
        (EARLIER, True),
        (NEWEST, None),
    ]
    assert company.sql(
        f"select rank from ml.predictions where customer_id = 'c00002' and as_of_date = '{EARLIER}'"
    ) == [(history[0].rank,)]
    assert (history[0].customers, history[1].customers) == (499, 499)


def test_a_date_that_the_model_has_learnt_from_is_told(company):
    early = explain_customer(company.settings, "c00001", as_of=date(2023, 2, 1))
    assert "the model has learnt from dates up to" in shown(of_customer(early))
    late = explain_customer(company.settings, "c00001")
    assert "has learnt from" not in shown(of_customer(late))


def test_the_page_holds_words_values_and_the_sum(company):
    explained = explain_customer(company.settings, "c00001")
    page = shown(of_customer(explained))
    assert f"rank {explained.rank} of 499" in page
    assert explained.parts[0].reason in page
    assert f"score {explained.score:+.3f}" in page
    assert all(str(day) in page for day in (NEWEST, EARLIER))


@pytest.mark.parametrize(
    ("customer", "as_of", "model", "error", "says"),
    [
        ("nobody", None, None, DataError, "none called 'nobody'. It has 500 customers, such as c"),
        (LEFT, NEWEST, None, DataError, "as of 2023-12-01.*9 dates from 2023-01-01 to 2023-09-01"),
        ("c00001", date(2020, 1, 1), None, DataError, "as of 2020-01-01.*12 dates"),
        ("c00001", None, "7", UsageError, "got '7'. Versions: 1; aliases: .*champion"),
        ("c00001", None, "best", UsageError, "got 'best'. Versions: 1; aliases: .*champion"),
    ],
)
def test_what_is_unknown_is_told_with_what_there_is(company, customer, as_of, model, error, says):
    with pytest.raises(error, match=says):
        explain_customer(company.settings, customer, as_of=as_of, model=model)


def test_a_version_is_named_by_number_or_alias(company, store):
    champion = store.champion("churn")
    for name in (None, "1", "champion"):
        assert version_of(company.settings, store, name) == champion


def run_command(company, *words):
    where = ["--project-dir", str(company.settings.project_dir)]
    return CliRunner().invoke(app, ["explain", *words, *where])


def test_the_command_prints_one_json_object(company):
    ended = run_command(company, "c00001", "--as-of", str(EARLIER), "--json")
    assert ended.exit_code == 0
    result = json.loads(ended.stdout)
    assert (result["customer_id"], result["as_of_date"]) == ("c00001", str(EARLIER))
    assert {"feature", "reason", "contribution", "effect", "values"} <= set(result["parts"][0])


@pytest.mark.parametrize("words", [[], ["c00001", "--card"], ["--card", "--as-of", "2023-12-01"]])
def test_the_command_wants_a_customer_or_the_card(company, words):
    ended = run_command(company, *words)
    assert ended.exit_code == 2
    assert "Name a customer" in ended.stderr


def test_every_reason_is_written_in_words(company):
    rows = company.sql(
        "select reasons.feature, reasons.reason, reasons.feature_value, now.logins_30d, "
        "earlier.logins_30d from ml.prediction_reasons as reasons "
        "inner join gold.customer_360 as now using (customer_id, as_of_date) "
        "left join gold.customer_360 as earlier on earlier.customer_id = reasons.customer_id "
        f"and earlier.as_of_date = '{EARLIER}' where reasons.as_of_date = '{NEWEST}'"
    )
    assert rows and all(reason for _, reason, *_ in rows)
    wording = Wording(
        load_contract(company.settings.manifest_path).of({"logins_30d": "bigint"}), NEWEST, EARLIER
    )
    logins = [row for row in rows if row[0] == "logins_30d"]
    assert logins
    for _, reason, _, now, before in logins:
        assert reason == wording.phrase("logins_30d", now, before)
    assert any("before" in reason for _, reason, *_ in logins)
    csat = [reason for name, reason, *_ in rows if name == "csat_avg_90d"]
    assert set(csat) <= {"no rating in 90 days"}


def test_reasons_without_words_are_written_anew(company):
    company.sql(f"update ml.prediction_reasons set reason = null where as_of_date = '{NEWEST}'")
    assert not scoring.is_current(company.settings)
    assert scoring.score(company.settings).is_new
    assert company.sql(
        f"select count(*) from ml.prediction_reasons "
        f"where reason is null and as_of_date = '{NEWEST}'"
    ) == [(0,)]
    assert not scoring.score(company.settings).is_new


@pytest.mark.parametrize(
    ("day", "before"),
    [
        (date(2026, 2, 28), date(2026, 1, 1)),
        (date(2026, 3, 1), date(2026, 2, 1)),
        (date(2026, 2, 1), date(2026, 1, 1)),
        (date(2026, 1, 1), None),
        # Where dates were left out, nothing near enough is there.
        (date(2026, 6, 1), None),
    ],
)
def test_the_date_to_compare_with_is_a_month_or_so_before(day, before):
    dates = [date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1), day]
    assert date_before(dates, day) == before


def test_a_window_that_grew_with_the_cohort_is_not_compared():
    import pyarrow as pa

    own = Feature(
        "logins_obs",
        "bigint",
        "engagement",
        unit="count",
        reach_days=60,
        phrase="{value} login(s) in {window}",
    )
    wording = Wording({"logins_obs": own}, date(2026, 3, 1), date(2026, 2, 1))
    rows = pa.table(
        {
            "customer_id": ["a", "b", "c"],
            "observation_days": [30, 60, 60],
            "logins_obs": [5, 5, 5],
            "before__observation_days": [30, 30, None],
            "before__logins_obs": [20, 20, None],
        }
    )
    names = [f'now."{name}"' for name in ("customer_id", "observation_days", "logins_obs")]
    assert select_list(wording).startswith(", ".join(names))
    words = reason_words(rows, wording, np.array([0, 1, 2]), pa.array(["logins_obs"] * 3))
    assert words.to_pylist() == [
        "logins in 30 days fell by 75 % in 4 weeks: 5, before 20",
        "5 logins in 60 days",
        "5 logins in 60 days",
    ]


def test_a_card_tells_of_the_version_and_is_kept_with_it(company, store):
    version = store.champion("churn")
    written = write_card(company.settings, store, version)
    page, text = written.html.read_text(), written.markdown.read_text()
    record = store.load_record(version)
    for fact in (
        record["training_set_sha256"],
        record["gold_fingerprint"],
        version.run_id,
    ):
        assert fact in page
    for heading in ("What it was made from", "How it was judged", "Where it is weak", "Limits"):
        assert f"## {heading}" in text
    assert text.count("![") == page.count("<img ") == len(list(written.pictures.iterdir())) == 4
    kept = store._client.list_artifacts(version.run_id, "card")
    assert {each.path for each in kept} == {
        "card/model_card_1",
        "card/model_card_1.html",
        "card/model_card_1.md",
    }
    assert not list(company.settings.reports_dir.glob(".*"))


def test_a_card_of_a_version_whose_training_set_is_gone_is_an_error(company, store):
    (folder,) = {path.parent for path in company.settings.local_dir.rglob("*.parquet")}
    away = folder.rename(folder.with_name("away"))
    try:
        with pytest.raises(DataError, match="found none. Put it back: `holdfast freeze"):
            write_card(company.settings, store, store.champion("churn"))
    finally:
        away.rename(folder)


def test_training_writes_the_card_where_it_is_asked_to(company):
    # Other settings are another training; its card is the second.
    other = company.with_settings(
        card={"after_training": True, "explained_rows": 50}, train={"calibration_method": "sigmoid"}
    )
    try:
        version = training.train(other.settings).model_version
    finally:
        company.with_settings()
    assert (company.settings.reports_dir / f"model_card_{version}.html").is_file()
