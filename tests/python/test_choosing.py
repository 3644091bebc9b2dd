"""Histories, ablation and tuning, on a small company of a year and a half."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from model_fixtures import Company, build_company
from typer.testing import CliRunner

from ml import families, fit, leaderboard, metrics
from ml import train as training
from ml.choosing import past, tuning
from ml.choosing.ablation import ablate
from ml.choosing.backtest import backtest
from ml.choosing.experiments import experiment_of, features_of
from ml.cli import app
from ml.contract import load_contract
from ml.errors import DataError, HoldfastError, UsageError
from ml.metrics import Outcomes
from ml.progress import silent
from ml.weights import Weighting

OWN = {"logins_30d", "actions_30d_vs_prior_ratio", "segment", "days_since_last_activity"}


@pytest.fixture(scope="module")
def company(tmp_path_factory) -> Company:
    made = build_company(tmp_path_factory.mktemp("choosing") / "company", months=18)
    return made.with_settings(
        experiments={
            "without_recency": {"without_families": ["recency"]},
            "money": {"families": ["contract"]},
        }
    )


# -- the leaderboard ------------------------------------------------------------------------------


def judged(seed=0, count=3000):
    rng = np.random.default_rng(seed)
    target = (rng.random(count) < 0.2).astype(float)
    fold = np.repeat([0, 1, 2], count // 3)
    customer = np.tile(np.arange(count // 3), 3)
    outcomes = Outcomes(target, np.where(target > 0, 5.0, np.nan), np.ones(count), customer)
    noise = rng.normal(size=count)
    scores = {
        "sharp": target + 0.5 * noise,
        "same": target + 0.5 * noise,
        "blunt": target + 2 * rng.normal(size=count),
        "recency": rng.normal(size=count),
    }
    weights = metrics.resample_customers(count // 3, 200, rng)
    return leaderboard.leaderboard(outcomes, fold, ["a", "b", "c"], scores, weights)


def test_the_best_comes_first_and_differences_are_paired():
    standings = judged()
    assert [each.estimator for each in standings] == ["sharp", "same", "blunt", "recency"]
    sharp, same, blunt, recency = standings
    assert sharp.gap is None
    assert (same.gap.value, same.gap.lower, same.gap.upper) == (0, 0, 0)
    assert blunt.gap.upper < 0 < blunt.gain.lower
    assert recency.gain is None
    # Pairing takes out what both share, so the interval of a difference is no wider than theirs.
    width = sharp.mean.upper - sharp.mean.lower
    assert blunt.gap.upper - blunt.gap.lower < width + blunt.mean.upper - blunt.mean.lower
    assert sharp.worst == min(sharp.by_fold.values())


def test_a_standing_is_read_back_as_it_was_written():
    for each in judged():
        plain = json.loads(json.dumps(each, default=vars))
        assert leaderboard.Standing.from_dict(plain) == each


# -- backtest --------------------------------------------------------------------------------------


def test_every_date_is_judged_by_what_was_known_on_it(company):
    result = backtest(company.settings, dates=4)
    assert len(result.dates) == 4
    rows = past.read_past(company.settings, dates=4, say=silent)
    for fold in rows.split.folds:
        day = np.datetime64(fold.name)
        assert (rows.material.data.label_known_at[fold.train] <= day).all()
        assert (rows.material.data.as_of_date[fold.judge] == day).all()
    assert {each.estimator for each in result.standings} == {
        "lightgbm",
        "logistic_regression",
        "recency",
        "base_rate",
    }
    for lead in result.leads:
        assert 0 < lead.caught_ratio < 1
        assert 0 <= lead.early_ratio <= lead.early_ratio_of_caught <= 1
    assert result.bound.splits == 200
    assert result.bound.exceeded_share <= company.settings.decide.delta
    assert company.sql(
        "select count(*), any_value(model_version), any_value(run_id) from ml.evaluations "
        "where split = 'backtest' and metric = 'mean_average_precision'"
    ) == [(4, None, result.run_id)]


def test_a_label_changed_after_a_date_changes_nothing_of_its_training(company, tmp_path):
    own = build_company(tmp_path / "changed", months=18)
    before = backtest(own.settings, dates=1, families="logistic_regression")
    (day,) = before.dates
    own.sql(
        f"update gold.churn_labels set is_churn = not is_churn where label_known_at > '{day}' "
        f"and as_of_date != '{day}'"
    )
    after = backtest(own.settings, dates=1, families="logistic_regression")
    assert after.dates == (day,)
    assert after.standings == before.standings


def test_a_backtest_takes_the_place_of_the_one_before(company):
    backtest(company.settings, dates=2, families="logistic_regression")
    last = backtest(company.settings, dates=1, families="logistic_regression")
    assert company.sql("select distinct run_id from ml.evaluations where split = 'backtest'") == [
        (last.run_id,)
    ]


def test_no_date_to_judge_is_an_error(tmp_path):
    short = build_company(tmp_path / "short", months=5)
    with pytest.raises(DataError, match="Expected a past date whose labels are all known"):
        backtest(short.settings, dates=3)


def test_families_are_named_on_the_command_line(company):
    with pytest.raises(UsageError, match="found tarot"):
        backtest(company.settings, dates=1, families="lightgbm,tarot")
    ended = CliRunner().invoke(
        app,
        ["backtest", "--dates", "1", "--families", "logistic_regression", "--json"]
        + ["--project-dir", str(company.settings.project_dir)],
    )
    assert ended.exit_code == 0
    told = json.loads(ended.stdout)
    assert [each["estimator"] for each in told["standings"]][0] == "logistic_regression"


@pytest.mark.parametrize("library", ["xgboost", "catboost"])
def test_a_family_whose_extra_is_not_installed_says_how_to_install_it(
    company, library, monkeypatch
):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(HoldfastError, match=rf"'{library}' needs a library.*holdfast\[boosters\]"):
        backtest(company.settings, dates=1, families=library)


def test_families_that_do_not_suit_the_size_are_left_out_unless_named():
    assert families.wanted(["auto"], rows=5000, churned=150) == ("lightgbm", "logistic_regression")
    assert "neural_network" in families.wanted(["auto"], rows=50_000, churned=3000)
    assert "random_forest" not in families.wanted(["auto"], rows=900_000, churned=30_000)
    assert families.wanted(["neural_network"], rows=500, churned=20) == ("neural_network",)
    assert families.wanted(["auto", "xgboost"], rows=500, churned=20)[-1] == "xgboost"


# -- ablation --------------------------------------------------------------------------------------


def test_what_is_left_out_is_missed_where_it_counts(company):
    result = ablate(
        company.settings,
        names=["money", "without_recency"],
        family="logistic_regression",
        dates=3,
    )
    trials = {each.experiment: each for each in result.trials}
    assert list(trials) == ["all", "money", "without_recency"]
    assert trials["all"].loss is None
    assert trials["money"].features == 1
    assert trials["money"].loss.lower > 0
    assert trials["without_recency"].features == 6
    assert company.sql(
        "select count(*) from ml.evaluations where split = 'ablation' and segment = 'money'"
    ) == [(4,)]


@pytest.mark.parametrize(
    ("experiment", "said"),
    [
        ({"features": ["logins_31d"]}, "features 'logins_31d', which the feature contract"),
        ({"without_features": ["nothing"]}, "features 'nothing'"),
        ({"families": ["astrology"]}, "families 'astrology'.*It has: contract"),
        ({"tiers": [8]}, "tiers 8"),
        ({"tier": [1]}, "a key that Holdfast does not know: tier"),
        ({"tiers": 1}, "wants a list for tiers, found 1"),
        ({"without_families": ["all"]}, "families 'all'"),
        ({"features": ["mrr"], "without_features": ["mrr"]}, "leaves no feature"),
    ],
)
def test_an_experiment_that_asks_for_what_is_not_there_is_an_error(company, experiment, said):
    contract = load_contract(company.settings.manifest_path)
    with pytest.raises(UsageError, match=said):
        features_of("own", experiment, contract)


@pytest.mark.parametrize(
    ("experiment", "said"),
    [
        ({"model_by": "star_sign"}, "a model for each 'star_sign'; there are segments by cohort"),
        ({"sample_weight": "mood"}, "count by 'mood'"),
        ({"sample_weight_power": 2}, "to the power 2; expected tier or revenue"),
        ({"sample_weight_power": "much"}, "to the power 'much'"),
        ({"class_balance": -1}, "a class_balance of -1; expected 0 to 1"),
    ],
)
def test_an_experiment_that_cannot_be_done_is_an_error(company, experiment, said):
    contract = load_contract(company.settings.manifest_path)
    with pytest.raises(UsageError, match=said):
        experiment_of("own", experiment, contract, company.settings.train)


def test_a_model_for_each_segment_learns_from_that_segment_alone(company):
    own = company.with_settings(experiments={"each": {"model_by": "cohort"}})
    seen = []
    plain = fit.Material.fitted

    def spy(material, pipeline, rows, weighting):
        cohorts = material.data.keys.column("cohort").to_pylist()
        seen.append({cohorts[at] for at in np.flatnonzero(rows)})
        return plain(material, pipeline, rows, weighting)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit.Material, "fitted", spy)
        result = ablate(own.settings, names=["each"], family="logistic_regression", dates=1)
    assert seen.count({"mature"}) == seen.count({"established"}) == 1
    assert result.trials[1].loss.value != 0


def test_weights_by_revenue_tier_and_class():
    tier, revenue, churned = np.array([1.0, 9, 9]), np.array([0.0, 99, 99]), np.array([0.0, 0, 1])
    assert Weighting("tier", 0.5).weights(tier, revenue, churned).tolist() == [1, 3, 3]
    assert Weighting("revenue", 0.5).weights(tier, revenue, churned).tolist() == [1, 10, 10]
    assert Weighting("revenue", 0).weights(tier, revenue, churned).tolist() == [1, 1, 1]
    balanced = Weighting("tier", 0, class_balance=1).weights(tier, revenue, churned)
    assert balanced[churned > 0].sum() == balanced[churned == 0].sum()


def test_an_unknown_experiment_is_an_error(company):
    with pytest.raises(UsageError, match="found 'luck'. They have: "):
        ablate(company.settings, names=["luck"], family="lightgbm", dates=1)


def test_experiments_add_up_and_take_away(company):
    contract = load_contract(company.settings.manifest_path)
    everything = features_of("all", {}, contract)
    assert features_of("same", {"tiers": [1]}, contract) == everything == contract.types
    some = features_of("some", {"families": ["profile"], "features": ["mrr"]}, contract)
    assert set(some) == {"segment", "mrr"}
    left = features_of("less", {"without_families": ["contract", "support"]}, contract)
    assert set(left) == OWN


# -- tuning ----------------------------------------------------------------------------------------


def tuned(company, trials, key="a key", seconds=600):
    settings = company.settings
    settings = replace(
        settings, train=replace(settings.train, tune_trials=trials, tune_seconds=seconds)
    )
    rows = past.read_past(settings, dates=2, say=silent)
    steps = []
    best = tuning.tune(
        settings,
        "logistic_regression",
        rows.material,
        rows.split,
        key,
        lambda *step: steps.append(step),
    )
    return best, steps, rows


def reached(company, params, rows):
    pipeline = families.build(
        "logistic_regression", rows.material.types, params, np.random.default_rng(0)
    )
    score = fit.validate(
        {"it": pipeline}, rows.material, rows.split.folds, company.settings.train.weighting
    )["it"]
    data, fold = rows.material.data, rows.split.fold
    target = data.is_churn[rows.split.validate]
    return np.mean(
        [metrics.average_precision(target[fold == at], score[fold == at]) for at in (0, 1)]
    )


def test_tuning_never_ends_below_what_it_was_given(company):
    best, steps, rows = tuned(company, 4)
    given = dict(company.settings.train.logistic_regression)
    assert set(best) >= set(given)
    assert reached(company, best, rows) >= reached(company, given, rows)
    assert steps[-1] == ("Tuning logistic_regression", 4, 4)


def test_a_search_goes_on_where_it_ended(company):
    tuned(company, 2, key="another")
    _, steps, _ = tuned(company, 3, key="another")
    assert [step[1] for step in steps] == [2, 3]
    _, steps, _ = tuned(company, 3, key="another")
    assert steps == []


def test_tuning_looks_at_no_test_date(tmp_path):
    own = build_company(tmp_path / "own", months=18)
    first = training.train(own.settings, families="logistic_regression", tune_trials=3)
    assert first.record.tuned
    own.sql(
        "update gold.churn_labels set is_churn = not is_churn "
        f"where as_of_date >= '{first.record.test_from}'"
    )
    second = training.train(own.settings, families="logistic_regression", tune_trials=3)
    assert second.is_new
    assert second.record.tuned == first.record.tuned
    assert second.record.standings == first.record.standings


def test_without_optuna_tuning_says_how_to_install_it(company, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(HoldfastError, match=r"holdfast\[tune\]"):
        tuned(company, 2, key="third")
