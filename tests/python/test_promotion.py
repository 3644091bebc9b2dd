"""Promoting, rolling back and comparing versions of a small company."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace

import duckdb
import pytest
from model_fixtures import FEATURES, REPOSITORY, Company, build_company, manifest
from typer.testing import CliRunner

from ml import score as scoring
from ml import terminal
from ml import train as training
from ml.cli import app
from ml.errors import ContractError, HoldfastError, UsageError
from ml.metrics import Estimate
from ml.promotion import aliases, history, lock, probed
from ml.promotion.compare import Difference, compare, recommend
from ml.promotion.promote import promote
from ml.promotion.render import of_comparison, of_promotion
from ml.promotion.rollback import rollback
from ml.registry import Registry
from ml.settings import load_settings

HOLD_THE_LOCK = """
import sys
from pathlib import Path
from ml.promotion.lock import only_one
from ml.settings import load_settings
with only_one(load_settings(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def store_of(company):
    return Registry(company.settings.mlflow_uri, company.settings.artifact_root)


def champion_of(company):
    found = store_of(company).champion("churn")
    return None if found is None else found.model_version


def told(company, alias="champion"):
    return company.sql(
        f"select from_version, to_version, why from ml.alias_history where alias = '{alias}' "
        "order by changed_at"
    )


def gate_of(result, name):
    (found,) = [gate for gate in result.gates if gate.gate == name]
    return found


def certify(company, **changed):
    """Write the certificate of a replay of every date; `changed` columns go to one of them."""
    values = {"status": "'passed'", "subject": "fingerprint", **changed}
    company.sql(
        "insert into ml.audit_findings by name select "
        "'replay-' || (select count(*) from ml.audit_findings) as audit_id, 'replay' as audit, "
        "now()::timestamp as created_at, 'note' as severity, 'gold.customer_360' as relation, "
        "as_of_date, 'found' as finding, '{}' as evidence, "
        f"case when as_of_date = '2023-03-01' then {values['status']} else 'passed' end as status, "
        f"case when as_of_date = '2023-03-01' then {values['subject']} else fingerprint end "
        "as subject from gold.fingerprints"
    )


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Return a company with two versions: 1 serves, 2 is the candidate."""
    company = build_company(tmp_path_factory.mktemp("promotion") / "company")
    company = company.with_settings(train={"families": ["lightgbm"]})
    first = training.train(company.settings)
    assert first.is_champion
    company = company.with_settings(
        train={"families": ["logistic_regression"]}, promote={"automatic": False}
    )
    second = training.train(company.settings)
    assert not second.is_champion
    return company


@pytest.fixture
def company(original, tmp_path):
    """Return a copy that a test may change; the models stay where they are."""
    folder = tmp_path / "company"
    shutil.copytree(original.settings.project_dir, folder)
    return Company(load_settings(folder))


@pytest.fixture
def certified(company):
    certify(company)
    return company


# -- promote -----------------------------------------------------------------------------------


def test_without_automatic_promotion_a_version_waits_as_candidate(original):
    assert champion_of(original) == 1
    assert told(original, "candidate") == [
        (None, 1, "the newest training"),
        (1, 2, "the newest training"),
    ]
    again = training.train(original.settings)
    assert again.verdict.startswith("The model is a candidate: `holdfast promote`")
    assert again.gates == ()


def test_a_version_that_passes_every_gate_serves_and_all_is_told(certified):
    result = promote(certified.settings, why="a better month")
    assert (result.is_allowed, result.is_changed, result.is_forced) == (True, True, False)
    assert (result.model_version, result.from_version) == (2, 1)
    assert result.verdict == "Version 2 is now champion, after 1."
    assert champion_of(certified) == 2
    assert told(certified)[-1] == (1, 2, "passes all 8 gates: a better month")
    rows = certified.sql(
        "select gate, is_passed, figure, least, most, evidence from ml.gate_results "
        "where alias = 'champion' and model_version = 2"
    )
    assert rows == [
        (gate.gate, gate.is_passed, gate.figure, gate.least, gate.most, gate.evidence)
        for gate in result.gates
    ]
    ((evidence,),) = certified.sql(
        "select evidence from ml.alias_history where alias = 'champion' and to_version = 2"
    )
    assert json.loads(evidence)["gates"][0]["figure"] == result.gates[0].figure
    of_promotion(result)
    json.dumps(result.to_dict())
    # The warehouse scores with it, and says so.
    scoring.score(certified.settings)
    assert certified.sql("select distinct model_version from ml.predictions") == [(2,)]


def test_promoting_the_champion_again_changes_nothing(certified):
    before = told(certified)
    result = promote(certified.settings, "champion")
    assert (result.is_allowed, result.is_changed) == (True, False)
    assert result.verdict.startswith("Version 1 is champion already; nothing has changed.")
    assert told(certified) == before


def test_a_dry_run_asks_and_changes_nothing(certified):
    def state():
        return [
            certified.sql(f"select * from ml.{table} order by all")
            for table in ("alias_history", "gate_results")
        ]

    before = state()
    result = promote(certified.settings, "2", is_dry_run=True)
    assert (result.is_allowed, result.is_changed) == (True, False)
    assert result.verdict == "Version 2 would become champion, after 1."
    assert champion_of(certified) == 1
    assert state() == before


def test_without_a_certificate_staging_is_open_and_the_champion_stays(company):
    result = promote(company.settings)
    assert not result.is_allowed
    assert result.verdict.startswith("Version 2 does not become champion: refused by certified (")
    assert champion_of(company) == 1
    # What refused is told all the same.
    assert company.sql(
        "select gate from ml.gate_results where model_version = 2 and not is_passed"
    ) == [("certified",)]
    assert promote(company.settings, to="staging").is_changed
    assert told(company, "staging") == [(None, 2, "passes all 7 gates")]
    assert store_of(company).at_alias("churn", "staging").model_version == 2


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"status": "'failed'"}, "is red: cells of gold.customer_360 as of 2023-03-01 differed"),
        ({"subject": "'other'"}, "is stale: gold.customer_360 as of 2023-03-01"),
    ],
)
def test_a_red_or_stale_certificate_refuses_by_itself_too(company, changed, said):
    certify(company, **changed)
    result = promote(company.settings)
    assert said in gate_of(result, "certified").evidence
    automatic = company.with_settings(
        train={"families": ["logistic_regression"]}, promote={"automatic": True}
    )
    trained = training.train(automatic.settings)
    assert not trained.is_champion
    assert "refused by certified (" in trained.verdict


def test_the_newest_certificate_counts(company):
    certify(company, status="'failed'")
    certify(company)
    assert promote(company.settings).is_changed


def test_gold_built_anew_after_the_training_is_other_gold(company):
    company.sql("update gold.fingerprints set fingerprint = md5(fingerprint)")
    certify(company)
    evidence = gate_of(promote(company.settings), "certified").evidence
    assert "is of other gold than it was trained on" in evidence


def test_a_reason_is_needed_to_force_and_kept_with_what_refused(company):
    with pytest.raises(UsageError, match="--force wants a reason"):
        promote(company.settings, is_forced=True)
    result = promote(company.settings, is_forced=True, why="the audit runs tonight")
    assert (result.is_changed, result.is_forced) == (True, True)
    assert champion_of(company) == 2
    assert told(company)[-1] == (1, 2, "forced against certified: the audit runs tonight")
    ((evidence,),) = company.sql(
        "select evidence from ml.alias_history where alias = 'champion' and to_version = 2"
    )
    assert json.loads(evidence)["is_forced"]


def test_no_force_makes_a_model_score_features_that_are_not_there(certified):
    fewer = {**FEATURES, "contract": {}}
    certified.settings.manifest_path.write_text(json.dumps(manifest(fewer)))
    result = promote(certified.settings, is_forced=True, why="it must be")
    assert not result.is_allowed
    assert "'mrr'" in gate_of(result, "features_in_contract").evidence
    assert champion_of(certified) == 1


def test_a_critical_probe_refuses_until_someone_accepts_it(certified):
    ((training_set_id,),) = certified.sql(
        "select training_set_id from ml.model_versions where model_version = 2"
    )
    certified.sql(
        "insert into ml.audit_findings by name select 'probes-9' as audit_id, 'probes' as audit, "
        "now()::timestamp + interval 1 day as created_at, 'critical' as severity, "
        "'failed' as status, 'mrr' as subject, 'It knows too much.' as finding, "
        f'\'{{"training_set_id": "{training_set_id}"}}\' as evidence'
    )
    gate = gate_of(promote(certified.settings), "no_critical_probe")
    assert not gate.is_passed
    assert gate.evidence.startswith("probes-9 finds critical: mrr")
    certified.sql(
        "update ml.audit_findings set severity = 'note', status = 'passed' where audit_id = "
        "'probes-9'"
    )
    assert promote(certified.settings).is_changed


def test_the_training_set_is_probed_where_it_was_not(company, monkeypatch):
    seen = []
    probe = probed.audit_frozen_set

    def spy(settings, frozen, *, accepted, progress):
        seen.append((frozen.training_set_id, list(accepted)))
        return probe(settings, frozen, accepted=accepted, progress=progress)

    monkeypatch.setattr(probed, "audit_frozen_set", spy)
    ((training_set_id,),) = company.sql("select distinct training_set_id from ml.model_versions")
    company.sql(
        "update ml.audit_findings set evidence = "
        '\'{"training_set_id": "other", "is_accepted": true}\', subject = \'mrr\''
    )
    gate = gate_of(promote(company.settings, is_dry_run=True), "no_critical_probe")
    assert gate.is_passed
    # What was accepted before stays accepted.
    assert seen == [(training_set_id, ["mrr"])]
    promote(company.settings, is_dry_run=True)
    assert len(seen) == 1


def test_a_version_is_held_against_the_champion_on_the_same_rows(certified):
    found = compare(certified.settings, "1", "2").overall("average_precision").difference
    gate = gate_of(promote(certified.settings, is_dry_run=True), "not_worse_than_champion")
    assert gate.figure == pytest.approx(found.upper)
    assert gate.is_passed == (found.upper >= 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("7",), "got '7'. Versions: 1, 2; aliases: candidate, champion"),
        (("staging",), "got 'staging'"),
        (("it's",), "got 'it's'"),
    ],
)
def test_a_version_that_is_none_is_named(original, words, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        promote(original.settings, *words)
    with pytest.raises(UsageError, match="staging or champion"):
        promote(original.settings, to="nowhere")


# -- by itself, and cut off ----------------------------------------------------------------------


def automatic(company):
    return company.with_settings(
        train={"families": ["logistic_regression"]}, promote={"automatic": True}
    )


def test_the_gates_are_asked_once_and_a_person_has_the_last_word(company):
    own = automatic(company)
    assert not training.is_current(own.settings)
    assert training.train(own.settings).is_champion
    assert told(own)[-1] == (1, 2, "passes all 8 gates; version 1 served")
    rollback(own.settings, why="it called the wrong people")
    assert training.is_current(own.settings)
    again = training.train(own.settings)
    assert not again.is_champion
    assert again.verdict == (
        "The model served as champion; another version has taken its place since."
    )
    assert champion_of(own) == 1


def test_a_promotion_cut_off_is_finished_by_the_next_command(certified, monkeypatch):
    def cut(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(history, "write_verdict", cut)
    with pytest.raises(KeyboardInterrupt):
        promote(certified.settings, why="before lunch")
    monkeypatch.undo()
    assert lock.read_note(certified.settings) is not None
    assert told(certified)[-1][1] == 1
    assert not training.is_current(certified.settings)
    training.train(certified.settings)
    assert champion_of(certified) == 2
    assert told(certified)[1:] == [(1, 2, "passes all 8 gates: before lunch")]
    assert certified.sql("select count(*) from ml.gate_results where model_version = 2") == [(8,)]
    assert lock.read_note(certified.settings) is None
    assert training.is_current(certified.settings)


def test_a_registry_that_refuses_leaves_nothing_half_done(certified, monkeypatch):
    def refuse(*arguments):
        raise HoldfastError("the registry is read-only")

    monkeypatch.setattr(Registry, "set_alias", refuse)
    with pytest.raises(HoldfastError, match="read-only"):
        promote(certified.settings)
    assert lock.read_note(certified.settings) is None
    assert len(told(certified)) == 1
    assert certified.sql("select * from ml.gate_results where model_version = 2") == []


def test_a_note_of_a_registry_that_was_removed_is_given_up(company):
    store = store_of(company)
    version = store.version("churn", 2)
    change = history.AliasChange(
        "churn", "champion", 1, 2, company.sql("select now()::timestamp")[0][0], "me", "why", "{}"
    )
    other = replace(version, run_id="of another registry")
    lock.write_note(company.settings, aliases.Planned(other, change).to_dict())
    aliases.mend(company.settings, store, "churn")
    assert lock.read_note(company.settings) is None
    assert champion_of(company) == 1
    assert len(told(company)) == 1


def test_an_alias_moved_by_other_tools_is_told(company):
    store_of(company).set_alias("churn", "champion", 2)
    assert not training.is_current(company.settings)
    training.train(company.settings)
    assert champion_of(company) == 2
    assert told(company)[-1][:2] == (1, 2)
    assert company.sql(
        "select changed_by from ml.alias_history where alias = 'champion' and to_version = 2"
    ) == [("not Holdfast",)]


def test_a_second_promotion_ends_with_a_sentence_and_nothing_half_done(certified):
    folder = certified.settings.project_dir
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        text=True,
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(HoldfastError, match="Another training or promotion is deciding"):
            promote(certified.settings)
        with pytest.raises(HoldfastError, match="Another training or promotion is deciding"):
            rollback(certified.settings, why="never")
        with pytest.raises(HoldfastError, match="Another training or promotion is deciding"):
            training.train(automatic(certified).settings)
        assert len(told(certified)) == 1
        # Killed with the lock in its hand, it leaves none behind.
        other.kill()
        other.wait()
    assert promote(certified.settings).is_changed


# -- rollback ----------------------------------------------------------------------------------


def test_a_rollback_lets_the_champion_before_serve_again(certified):
    promote(certified.settings)
    with pytest.raises(UsageError, match="--why"):
        rollback(certified.settings, why=" ")
    result = rollback(certified.settings, why="too many false alarms")
    assert (result.from_version, result.to_version) == (2, 1)
    assert result.verdict == "Version 1 serves again, after 2: too many false alarms."
    assert champion_of(certified) == 1
    assert told(certified)[-1] == (2, 1, "too many false alarms")
    with pytest.raises(HoldfastError, match="Expected a champion before version 1"):
        rollback(certified.settings, why="further still")
    with pytest.raises(UsageError, match="has served before .2."):
        rollback(certified.settings, to="1", why="to itself")
    assert rollback(certified.settings, to="2", why="it was right").to_version == 2


def test_a_version_that_never_served_is_promoted_and_not_rolled_back_to(company):
    with pytest.raises(UsageError, match="`holdfast promote 2` asks the gates"):
        rollback(company.settings, to="2", why="why not")


def test_a_version_of_other_features_cannot_come_back(certified):
    promote(certified.settings)
    certified.settings.manifest_path.write_text(json.dumps(manifest({**FEATURES, "contract": {}})))
    with pytest.raises(ContractError, match="Version 1 cannot serve.*'mrr'"):
        rollback(certified.settings, why="back")
    assert champion_of(certified) == 2


# -- what is gone ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        lambda settings: promote(settings),
        lambda settings: rollback(settings, why="it is bad"),
        lambda settings: compare(settings, "1", "2"),
    ],
)
def test_a_registry_that_is_gone_is_one_sentence(company, command):
    path = company.settings.local_dir / "mlflow.db"
    path.unlink()
    with pytest.raises(HoldfastError, match="Expected the model registry at .*mlflow.db"):
        command(company.settings)
    assert not path.exists()
    assert len(told(company)) == 1


def test_models_that_are_gone_are_one_sentence(company):
    with sqlite3.connect(company.settings.local_dir / "mlflow.db") as registry:
        registry.execute("update model_versions set storage_location = '/nowhere', source = '/no'")
        registry.execute("update runs set artifact_uri = '/nowhere'")
        registry.execute("update logged_models set artifact_location = '/nowhere'")
    with pytest.raises(HoldfastError, match="model registry at .* could not be used"):
        promote(company.settings, "2")
    assert champion_of(company) == 1


# -- compare -----------------------------------------------------------------------------------


def test_two_versions_are_compared_on_rows_that_neither_has_seen(original):
    result = compare(original.settings, "champion", "candidate")
    assert (result.a.model_version, result.b.model_version) == (1, 2)
    assert (result.a.aliases, result.b.aliases) == (("champion",), ("candidate",))
    cutoffs = original.sql("select max(training_cutoff) from ml.model_versions")
    dates = original.sql(
        "select as_of_date from gold.churn_labels "
        f"where as_of_date >= '{cutoffs[0][0]}' group by 1 having bool_and(is_label_available) "
        "order by 1"
    )
    assert [(day,) for day in result.dates] == dates
    rows = original.sql(
        "select customer_id, is_churn from gold.training_set "
        f"where as_of_date in ('{result.dates[0]}', '{result.dates[-1]}')"
    )
    assert result.observations == len(rows)
    assert result.churners == len({customer for customer, is_churn in rows if is_churn})
    found = result.overall("average_precision")
    for number, value in ((1, found.a), (2, found.b)):
        ((recorded,),) = original.sql(
            "select value from ml.evaluations where segment_type = 'overall' and split = 'test' "
            "and metric = 'average_precision' and estimator = (select estimator "
            f"from ml.model_versions where model_version = {number}) and model_version = {number}"
        )
        assert value == pytest.approx(recorded)
    assert found.difference.value == pytest.approx(found.b - found.a)
    months = result.of("month", "average_precision")
    assert [each.segment for each in months] == [str(day) for day in result.dates]
    assert sum(each.observations for each in months) == result.observations
    lost = sum(each.lost_monthly_revenue for each in result.of("value_tier", "brier"))
    assert lost == pytest.approx(found.lost_monthly_revenue)
    of_comparison(result)
    json.dumps(result.to_dict(), default=str)


def test_a_comparison_turned_round_says_the_same(original):
    one, other = (compare(original.settings, *names) for names in (("1", "2"), ("2", "1")))
    for a, b in zip(one.differences, other.differences, strict=True):
        assert (a.a, a.b) == (b.b, b.a)
        if a.difference.value is not None:
            assert a.difference.lower == pytest.approx(-b.difference.upper)
    assert one.recommendation.model_version == other.recommendation.model_version


def test_a_version_is_not_compared_with_itself(original):
    with pytest.raises(UsageError, match="same version, 1"):
        compare(original.settings, "1", "champion")


def difference(metric, lower, upper, segment_type="overall", segment="all"):
    middle = (lower + upper) / 2
    return Difference(
        segment_type,
        segment,
        metric,
        0.3,
        0.3 + middle,
        Estimate(middle, lower, upper),
        1000,
        100,
        5000.0,
    )


def overall(precision=(-0.1, 0.1), revenue=(-0.1, 0.1), calibration=(-0.1, 0.1)):
    return [
        difference("average_precision", *precision),
        difference("revenue_caught_ratio", *revenue),
        difference("calibration_error", *calibration),
    ]


@pytest.mark.parametrize(
    ("differences", "prefers"),
    [
        (overall(), None),
        (overall(precision=(0.01, 0.1)), "B"),
        (overall(precision=(-0.1, -0.01)), "A"),
        (overall(revenue=(0.01, 0.1)), "B"),
        # The ranking decides before the money, which few large customers sway.
        (overall(precision=(-0.1, -0.01), revenue=(0.01, 0.1)), "A"),
        # Calibration can be fitted anew: it is told and does not decide.
        (overall(calibration=(0.01, 0.1)), None),
    ],
)
def test_the_version_that_surely_ranks_better_is_recommended(differences, prefers):
    found = recommend(differences, {"A": 4, "B": 9})
    assert found.prefers == prefers
    assert found.model_version == {None: None, "A": 4, "B": 9}[prefers]
    assert found.reasons


def test_a_smaller_error_is_better():
    assert difference("calibration_error", 0.01, 0.02).winner == "A"
    assert difference("average_precision", 0.01, 0.02).winner == "B"
    assert difference("average_precision", -0.01, 0.02).winner is None


def test_segments_that_speak_against_the_recommendation_are_named():
    against = difference("average_precision", -0.2, -0.1, "value_tier", "enterprise")
    found = recommend([*overall(precision=(0.01, 0.1)), against], {"A": 1, "B": 2})
    assert found.prefers == "B"
    assert any("A ranks surely better in value_tier enterprise" in each for each in found.reasons)


# -- what SQL and the command line say -----------------------------------------------------------


def test_who_was_champion_on_a_day_is_one_query(tmp_path):
    page = (REPOSITORY / "docs" / "promotion.md").read_text()
    (query,) = re.findall(r"```sql\n(-- Who was champion.*?)```", page, flags=re.DOTALL)
    with duckdb.connect() as connection:
        connection.execute("create schema ml")
        connection.execute(
            "create table ml.alias_history (model_name varchar, alias varchar, "
            "from_version integer, to_version integer, changed_at timestamp, changed_by varchar, "
            "why varchar, evidence varchar)"
        )
        for from_version, to_version, moment in (
            (None, 1, "2026-01-10 09:00"),
            (1, 2, "2026-02-01 00:00"),
            (2, 1, "2026-02-03 12:00"),
            (1, None, "2026-03-01 08:00"),
        ):
            connection.execute(
                "insert into ml.alias_history values "
                "('churn', 'champion', ?, ?, ?, 'me', 'why', '{}')",
                [from_version, to_version, moment],
            )
        connection.execute(
            "insert into ml.alias_history values "
            "('churn', 'candidate', null, 9, '2026-02-02', 'me', 'why', '{}')"
        )

        def champion(moment):
            found = connection.execute(query, {"moment": moment}).fetchall()
            return found[0][1] if found else None

        assert champion("2026-01-10 08:59") is None
        assert champion("2026-01-31 23:59") == 1
        assert champion("2026-02-01 00:00") == 2
        assert champion("2026-02-04 00:00") == 1
        assert champion("2026-03-02 00:00") is None


def test_the_commands_end_with_what_came_of_them(company, monkeypatch):
    # Logs of other tests stay where they are.
    monkeypatch.setattr(terminal, "_keep_quiet", lambda path: None)
    monkeypatch.setenv("COLUMNS", "200")

    def holdfast(*words):
        where = ["--project-dir", str(company.settings.project_dir)]
        return CliRunner().invoke(app, [*words, *where])

    refused = holdfast("promote", "--json")
    assert refused.exit_code == 1
    result = json.loads(refused.stdout)
    assert (result["is_allowed"], result["model_version"]) == (False, 2)
    assert {gate["gate"] for gate in result["gates"]} >= {"beats_recency", "certified"}
    assert holdfast("promote", "--force").exit_code == 2
    done = holdfast("promote", "--to", "staging")
    assert done.exit_code == 0
    assert "beats recency" in done.stdout
    assert "Version 2 is now staging" in done.stdout
    assert holdfast("rollback").exit_code == 2
    compared = holdfast("compare", "1", "staging")
    assert compared.exit_code == 0
    assert "Recommendation" in compared.stdout
