"""Probes: each fires on a leak that was planted, and none on honest noise."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from conftest import Demo, settings_in
from scipy.stats import binomtest, spearmanr
from sklearn.metrics import roc_auc_score

from ml.audit.probes import probes, strength
from ml.audit.probes.names import hint
from ml.audit.probes.reading import read_file, read_training_set
from ml.audit.probes.run import ProbeResult, audit_training_set, probe, shuffled_targets
from ml.audit.probes.strength import Outcome
from ml.audit.probes.table import Column, Kind, Table, column_of
from ml.contract import Feature, load_contract
from ml.errors import DataError, UsageError
from ml.warehouse import DuckDBWarehouse

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("HOLDFAST_DATA") or ROOT.parent / "shared" / "data").resolve()
STOREDATA = DATA / "storedata" / "customer_retention_retail.csv"
RAVENSTACK = DATA / "ravenstack"
WHERE = "HOLDFAST_DATA names the folder of public data"

ROWS = 2_000


def chance(seed: int = 11) -> np.random.Generator:
    return np.random.default_rng(seed)


def column(name: str, values: object, kind: Kind = "number") -> Column:
    type_ = object if kind == "category" else np.float64
    return column_of(name, np.asarray(values, dtype=type_), kind)


def flat(*columns: Column, target: np.ndarray) -> Table:
    return Table("planted", "y", columns, target, np.arange(target.size), False)


def churners(seed: int = 11, rows: int = ROWS) -> np.ndarray:
    return chance(seed).random(rows) < 0.2


def honest(target: np.ndarray) -> list[Column]:
    """Columns as honest data has them: noise, nulls, categories, and one true driver."""
    rng = chance(5)
    gaps = rng.normal(size=target.size)
    gaps[rng.random(target.size) < 0.4] = np.nan
    return [
        column("noise", rng.normal(size=target.size)),
        column("driver", rng.normal(size=target.size) + 0.7 * target),
        column("with_nulls", gaps),
        column("town", rng.choice(["Ulm", "Bonn", "Kiel"], size=target.size), "category"),
        column("account", [f"c{number}" for number in range(target.size)], "category"),
        column("flag", rng.random(target.size) < 0.3),
        column("since", rng.integers(18_000, 19_000, size=target.size), "date"),
        column("constant", np.ones(target.size)),
        column("always_null", np.full(target.size, np.nan)),
    ]


def probed(table: Table, **options: Any) -> ProbeResult:
    return probe(table, chance(), **options)


def severities(result: ProbeResult, feature: str) -> dict[str, str]:
    return {each.probe: each.severity for each in result.suspicions if each.feature == feature}


def panel(customers: int = 600, dates: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Customers at monthly dates until half of them churn: their codes, days and labels."""
    group, day, target = [], [], []
    rng = chance(3)
    for customer in range(customers):
        last = rng.integers(1, dates) if customer % 2 else dates
        for at in range(last + 1 if customer % 2 else dates):
            group.append(customer)
            day.append(19_000.0 + 30 * at)
            target.append(bool(customer % 2) and at == last)
    return np.array(group), np.array(day), np.array(target)


def dated(*columns: Column) -> Table:
    group, day, target = panel()
    return Table("planted", "y", columns, target, group, True, day)


# -- One planted leak a probe ----------------------------------------------------------------------


def test_honest_columns_raise_no_suspicion() -> None:
    target = churners()
    result = probed(flat(*honest(target), target=target))
    assert [each for each in result.suspicions if each.probe != "target"] == []
    assert result.is_green


def test_a_column_that_ranks_the_target_alone_is_critical() -> None:
    target = churners()
    leak = column("mailings", chance().normal(size=ROWS) - 4 * target)
    result = probed(flat(*honest(target), leak, target=target))
    assert severities(result, "mailings")["own_auc"] == "critical"
    assert not result.is_green
    assert {each.feature for each in result.suspicions} == {"mailings", "y"}


def test_a_strong_column_that_may_be_honest_is_a_warning() -> None:
    target = churners()
    strong = column("strong", chance().normal(size=ROWS) + 1.5 * target)
    result = probed(flat(strong, target=target))
    assert severities(result, "strong")["own_auc"] == "warning"
    assert result.is_green


def test_a_value_in_the_middle_that_settles_the_target_is_seen() -> None:
    target = churners()
    values = chance().normal(size=ROWS).round(3)
    values[target & (chance(2).random(ROWS) < 0.7)] = 0.0
    # Its order tells nothing: the rank alone would stay near one half.
    assert abs(roc_auc_score(target, values) - 0.5) < 0.05
    result = probed(flat(column("spike", values), target=target))
    assert severities(result, "spike")["separation"] == "critical"
    assert result.figures[0].auc.value > 0.8


@pytest.mark.parametrize("sign", [1, -1])
def test_a_threshold_that_settles_the_target_is_seen(sign: int) -> None:
    target = churners()
    values = chance().normal(size=ROWS)
    values[target & (chance(2).random(ROWS) < 0.7)] += 9
    result = probed(flat(column("cut", sign * values), target=target))
    assert severities(result, "cut")["separation"] == "critical"
    (found,) = (each for each in result.suspicions if each.probe == "separation")
    assert found.evidence["set"] == ("from" if sign == 1 else "up_to")


def test_a_column_filled_only_for_churners_is_seen_even_where_it_is_rarely_filled() -> None:
    target = churners()
    values = np.full(ROWS, None, dtype=object)
    values[np.flatnonzero(target)[:100]] = "price"
    found = severities(
        probed(flat(column("field_7", values, "category"), target=target)), "field_7"
    )
    assert found["separation"] == "critical"


def test_missingness_that_tells_the_label_is_seen_whichever_way_it_points() -> None:
    target = churners()
    for is_filled in (target, ~target):
        values = np.where(
            is_filled | (chance(2).random(ROWS) < 0.05), chance().normal(size=ROWS), np.nan
        )
        found = severities(probed(flat(column("field_8", values), target=target)), "field_8")
        assert found["missingness"] == "critical"


@pytest.mark.parametrize("words", [("yes", "no"), ("no", "yes"), ("gone", None)])
def test_a_copy_of_the_target_is_seen_in_any_words(words: tuple[str, str | None]) -> None:
    target = churners()
    wrong = chance(2).random(ROWS) < 0.001
    copied = np.where(target ^ wrong, words[0], words[1])
    result = probed(flat(column("field_9", copied, "category"), target=target))
    assert severities(result, "field_9")["copy"] == "critical"


def test_nobody_churns_is_no_copy() -> None:
    target = churners() & (chance(4).random(ROWS) < 0.05)
    never = chance(2).random(ROWS) < 0.002
    assert severities(probed(flat(column("never", never), target=target)), "never") == {}


def test_a_value_written_when_the_label_is_is_seen() -> None:
    group, day, target = panel()
    own = chance().normal(scale=50, size=group.max() + 1)[group]
    counter = own + np.where(target, 5.0, chance(2).random(group.size))
    table = dated(column("counter", counter), column("noise", chance(6).normal(size=group.size)))
    result = probed(table)
    assert severities(result, "counter") == {"changes_with_label": "critical"}
    assert severities(result, "noise") == {}


def test_a_value_that_changes_after_the_label_is_a_warning() -> None:
    group, day, target = panel(customers=1_200)
    # The label comes one row earlier, so that rows follow on it.
    target = np.append(target[1:] & (group[1:] == group[:-1]), False)
    begins = np.append(False, target[:-1] & (group[1:] == group[:-1]))
    level = chance().normal(scale=50, size=group.max() + 1)[group] + np.where(begins, -9.0, 0.0)
    table = Table("planted", "y", [column("level", level)], target, group, True, day)
    assert severities(probed(table), "level") == {"changes_after_label": "warning"}


def test_a_value_of_today_written_into_the_past_is_seen() -> None:
    group, _, target = panel()
    ever = np.bincount(group, target)[group] > 0
    table = dated(
        column("field_3", ever),
        column("birthday", chance().integers(30, size=group.max() + 1)[group]),
    )
    result = probed(table)
    assert severities(result, "field_3")["known_from_the_start"] == "critical"
    assert severities(result, "birthday") == {}


def test_a_date_after_the_rows_own_day_is_seen() -> None:
    group, day, target = panel()
    before, after = day - 5, day + 20
    table = dated(
        column("seen_on", before, "date"),
        column("renewal", after, "date"),
        column("stopped", np.where(target, after, before), "date"),
    )
    result = probed(table)
    assert "later_date" not in severities(result, "seen_on")
    assert severities(result, "renewal")["later_date"] == "note"
    assert severities(result, "stopped")["later_date"] == "critical"


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        ("churn_flag", "warning"),
        ("ChurnReason", "warning"),
        ("cancelled_at", "warning"),
        ("exit_reason", "warning"),
        ("reason_code", "warning"),
        ("end_date", "warning"),
        ("is_upgraded", "warning"),
        ("account_status", "note"),
        ("TotalCharges", "note"),
        ("days_since_last_login", None),
        ("tickets_30d", None),
        ("weekend_visits", None),
        ("laboratory", None),
        ("left_handed", "warning"),
    ],
)
def test_names_that_hint(name: str, severity: str | None) -> None:
    said = hint(name, "has_upgraded_flag")
    assert (said and said.severity) == severity


def test_a_second_yes_or_no_on_the_outcome_is_critical_though_it_agrees_by_chance() -> None:
    target = churners()
    flag, share = chance(8).random(ROWS) < 0.2, chance(9).random(ROWS)
    result = probed(flat(column("churn_flag", flag), column("churn_share", share), target=target))
    assert severities(result, "churn_flag") == {"name": "critical"}
    assert severities(result, "churn_share") == {"name": "warning"}


def test_what_a_contract_says_counts_and_with_a_strong_figure_makes_it_critical() -> None:
    target = churners()
    values = chance().normal(size=ROWS)
    features = {
        risk: Feature("f", "integer", "support", leakage_risk=risk, reach_days=30)
        for risk in ("none", "medium", "high")
    }

    def found(risk: str, figures: np.ndarray) -> dict[str, str]:
        told = column_of("f", figures, "number", features[risk])
        return severities(probed(flat(told, target=target)), "f")

    assert found("none", values) == {}
    assert found("medium", values) == {"contract": "note"}
    assert found("high", values) == {"contract": "warning"}
    assert found("high", values + 1.5 * target)["own_auc"] == "critical"


def test_a_column_that_was_accepted_is_noted_and_an_unknown_one_refused() -> None:
    target = churners()
    table = flat(column("leak", target + 0.0), target=target)
    assert not probed(table).is_green
    result = probed(table, accepted=["leak"])
    assert result.is_green
    assert set(severities(result, "leak").values()) == {"note"}
    with pytest.raises(UsageError, match="--accept names nobody"):
        probed(table, accepted=["nobody"])


def test_rows_of_one_customer_are_no_independent_evidence() -> None:
    target = churners(rows=60)
    leak = chance().normal(size=60) + 2.2 * target
    rows = np.repeat(np.arange(60), 40)
    single = Table("t", "y", [column("f", leak)], target, np.arange(60), True)
    many = Table("t", "y", [column("f", leak[rows])], target[rows], rows, True)
    one, forty = (probed(table).figures[0].auc for table in (single, many))
    assert forty.lower == pytest.approx(one.lower, abs=0.05)
    as_if_independent = replace(many, group=np.arange(rows.size))
    assert probed(as_if_independent).figures[0].auc.lower > forty.lower + 0.1


def test_a_leak_no_stronger_than_an_honest_feature_is_not_seen() -> None:
    """What docs/probes.md says of probes: this one only replay sees."""
    target = churners()
    tomorrows_logins = column("logins_7d", chance().normal(size=ROWS) - 0.7 * target)
    assert severities(probed(flat(tomorrows_logins, target=target)), "logins_7d") == {}


# -- False alarms ----------------------------------------------------------------------------------


def test_shuffled_labels_raise_no_alarm_where_the_true_ones_do() -> None:
    target = churners()
    leaks = [
        column("leak", chance().normal(size=ROWS) + 4 * target),
        column("filled", np.where(target, 1.0, np.nan)),
    ]
    result = probed(flat(*honest(target), *leaks, target=target), shuffles=20)
    alarms = result.false_alarms
    assert alarms is not None
    assert not result.is_green
    assert (alarms.shuffles, alarms.critical, alarms.warning) == (20, 0, 0)
    assert alarms.critical_upper == pytest.approx(1 - 0.05 ** (1 / 20))
    assert 0.5 < alarms.strongest_auc < 0.6


def test_an_alarm_on_shuffled_labels_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "MISSING_WARNING", 0.0)
    target = churners()
    alarms = probed(flat(*honest(target), target=target), shuffles=3).false_alarms
    assert alarms is not None
    assert (alarms.warning, alarms.warning_upper, alarms.critical) == (3, 1.0, 0)


def test_a_shuffle_keeps_the_labels_of_a_customer_together() -> None:
    group = np.repeat(np.arange(50), 4)
    target = np.tile([False, False, True, True], 50) & (group % 2 == 0)
    day = np.tile([3.0, 1.0, 2.0, 4.0], 50)
    table = Table("t", "y", [], target, group, True, day)
    runs = {tuple(target[group == each][np.argsort(day[:4])]) for each in range(50)}
    for laid in shuffled_targets(table, 3, chance()):
        assert laid.sum() == target.sum()
        assert {tuple(laid[group == each][np.argsort(day[:4])]) for each in range(50)} == runs
        assert (laid != target).any()


# -- Figures against a second library --------------------------------------------------------------


def outcome_of(target: np.ndarray) -> Outcome:
    return Outcome(target, np.arange(target.size), np.arange(target.size) % strength.FOLDS)


def test_figures_agree_with_a_second_library() -> None:
    target = churners()
    values = (chance().normal(size=ROWS) + target).round(1)
    col, outcome = column("f", values), outcome_of(target)
    hits, sizes = strength.tally(col, outcome)
    assert strength.rank_auc(hits, sizes) == pytest.approx(roc_auc_score(target, values))
    assert strength.association(col, outcome) == pytest.approx(spearmanr(values, target)[0])
    filled = column("g", np.where(target & (values > 0), 1.0, np.nan))
    (best,) = (
        each
        for each in strength.separations(filled, outcome, 0.025, purity=0.9)
        if each.kind == "filled"
    )
    # Three sets were looked at (the value, up to it, from it), filled and null beside them.
    share = binomtest(best.rows, best.rows).proportion_ci(1 - 2 * 0.025 / 5)
    assert best.purity.lower == pytest.approx(share.low)


def test_an_identifier_ranks_nothing() -> None:
    target = churners()
    ids = column("id", [f"x{number}" for number in chance().permutation(ROWS)], "category")
    assert strength.own_auc(ids, outcome_of(target), 2.0).value == 0.5


def test_an_interval_has_a_width_even_at_an_auc_of_one() -> None:
    few, many = (
        strength.auc_interval(1.0, outcome_of(churners(rows=rows)), 1.96) for rows in (50, 5_000)
    )
    assert few.lower < many.lower < 1.0 == many.upper


# -- Files -----------------------------------------------------------------------------------------

CSV = """\ufeffid,day,left,amount,when,note
a,3/28/24,Yes,1.5,12/31/23,x
b,4/28/24,no,,1/15/24,
c,4/28/24,NO,#N/A,2/15/24,y
d,5/28/24,?,2,3/15/24,y
,5/28/24,yes,7,3/16/24,z
"""


def written(folder: Path, text: str = CSV) -> Path:
    path = folder / "flat.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_is_read_as_numbers_dates_and_words(tmp_path: Path) -> None:
    table = read_file(written(tmp_path), target="left", id_column="id", date="day")
    assert table.target.tolist() == [True, False, False, True]
    assert table.customers == 4
    assert table.day is not None
    assert table.day.tolist() == [19810, 19841, 19841, 19871]
    kinds = {each.name: each.kind for each in table.columns}
    assert kinds == {"amount": "number", "when": "date", "note": "category"}
    np.testing.assert_array_equal(table.columns[0].values, [1.5, np.nan, np.nan, 7])
    assert table.remarks == ["1 rows have no left: left out"]


def test_parquet_is_read_as_the_same(tmp_path: Path) -> None:
    csv = read_file(written(tmp_path), target="left", id_column="id", date="day")
    with duckdb.connect() as engine:
        engine.execute(
            f"""
            copy (
                select id, strptime(day, '%m/%d/%y')::date as day, "left",
                    try_cast(amount as decimal(9, 2)) as amount,
                    strptime("when", '%m/%d/%y') as "when", note, [1] as list
                from read_csv('{tmp_path / "flat.csv"}', all_varchar = true)
            ) to '{tmp_path / "flat.parquet"}'
            """
        )
    parquet = read_file(tmp_path / "flat.parquet", target="left", id_column="id", date="day")
    for one, other in zip(csv.columns, parquet.columns, strict=True):
        assert (one.name, one.kind) == (other.name, other.kind)
        np.testing.assert_array_equal(one.values, other.values)
    assert "list is of the type INTEGER[]: not probed" in parquet.remarks


def test_decimal_commas_and_a_few_odd_values_are_numbers_still(tmp_path: Path) -> None:
    rows = [f"{number % 2};{number},5;{number}" for number in range(40)]
    path = written(tmp_path, "\n".join(["y;a;b", *rows, "1;3,5;oops"]))
    table = read_file(path, target="y")
    assert [each.kind for each in table.columns] == ["number", "number"]
    assert table.columns[0].values[:3].tolist() == [0.5, 1.5, 2.5]
    assert table.remarks == ["b: 1 values are not like the others: taken as null"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"target": "nobody"}, UsageError, "--target names the column 'nobody'"),
        ({"target": "left", "id_column": "nobody"}, UsageError, "--id names"),
        ({"target": "note"}, DataError, "Expected two classes in the target 'note', found 3"),
        ({"target": "left", "date": "note"}, DataError, "Expected dates in the column 'note'"),
    ],
)
def test_what_cannot_be_probed_is_refused(
    tmp_path: Path, options: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        read_file(written(tmp_path), **options)  # type: ignore[arg-type]


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which is no file"):
        read_file(tmp_path / "none.csv", target="y")
    (tmp_path / "book.xlsx").write_text("x")
    with pytest.raises(UsageError, match="takes CSV"):
        read_file(tmp_path / "book.xlsx", target="y")
    with pytest.raises(DataError, match="Expected rows in flat.csv, found none"):
        read_file(written(tmp_path, "y,a\n"), target="y")


# -- Public data -----------------------------------------------------------------------------------


@pytest.mark.skipif(not STOREDATA.is_file(), reason=f"no {STOREDATA}; {WHERE}")
def test_the_retailers_mailings_are_the_one_critical_column_of_its_file() -> None:
    table = read_file(STOREDATA, target="retained", id_column="custid")
    result = probed(table)
    critical = {each.feature for each in result.suspicions if each.severity == "critical"}
    assert critical == {"esent"}
    assert result.figures[0].feature == "esent"
    # The figure that the data's own page names.
    assert result.figures[0].auc.value == pytest.approx(0.967, abs=0.002)
    (laid,) = shuffled_targets(table, 1, chance())
    assert probed(replace(table, target=laid)).is_green


@pytest.mark.skipif(not RAVENSTACK.is_dir(), reason=f"no {RAVENSTACK}; {WHERE}")
def test_the_churn_flag_of_ravenstacks_accounts_is_critical(tmp_path: Path) -> None:
    accounts = pd.read_csv(RAVENSTACK / "ravenstack_accounts.csv")
    events = pd.read_csv(RAVENSTACK / "ravenstack_churn_events.csv")
    path = tmp_path / "accounts.csv"
    accounts.assign(has_left=accounts.account_id.isin(events.account_id)).to_csv(path, index=False)
    result = probed(read_file(path, target="has_left", id_column="account_id"))
    critical = {each.feature for each in result.suspicions if each.severity == "critical"}
    assert critical == {"churn_flag"}


@pytest.mark.skipif(not RAVENSTACK.is_dir(), reason=f"no {RAVENSTACK}; {WHERE}")
def test_the_churn_flag_as_target_is_said_to_have_no_date() -> None:
    path = RAVENSTACK / "ravenstack_accounts.csv"
    result = probed(read_file(path, target="churn_flag", id_column="account_id"))
    assert severities(result, "churn_flag") == {"target": "warning"}


# -- Gold ------------------------------------------------------------------------------------------


def gold_of(demo: Demo, **options: Any) -> Table:
    with DuckDBWarehouse.open(demo.settings.warehouse_path, read_only=True) as warehouse:
        contract = load_contract(demo.settings.manifest_path)
        return read_training_set(warehouse, contract, chance(), **options)


def test_nothing_critical_in_the_demos_gold_and_the_findings_are_kept(demo: Demo) -> None:
    result = audit_training_set(demo.settings, shuffles=2)
    assert result.is_green
    assert result.false_alarms is not None
    assert result.false_alarms.critical == 0
    assert result.report is not None
    written_report = json.loads(result.report.read_text())
    assert written_report["rows"] == result.table.target.size
    assert written_report["cannot_see"]
    with DuckDBWarehouse.open(demo.settings.warehouse_path, read_only=True) as warehouse:
        rows = warehouse.query(
            "select severity, relation, subject from ml.audit_findings where audit_id = ?",
            [result.audit_id],
        ).to_pylist()
    assert rows
    assert {row["relation"] for row in rows} == {"gold.training_set"}
    assert "critical" not in {row["severity"] for row in rows}


def test_a_leak_planted_in_gold_is_found_and_nothing_else(demo: Demo) -> None:
    table = gold_of(demo)
    ever = np.bincount(table.group, table.target)[table.group] > 0
    leaks = [
        column("closed_account", ever),
        column("final_invoice", np.where(table.target, 1.0, np.nan)),
    ]
    result = probed(replace(table, columns=[*table.columns, *leaks]))
    critical = {each.feature for each in result.suspicions if each.severity == "critical"}
    assert critical == {"closed_account", "final_invoice"}
    assert severities(result, "closed_account")["known_from_the_start"] == "critical"


def test_of_a_large_gold_whole_customers_are_probed(demo: Demo) -> None:
    whole, part = gold_of(demo), gold_of(demo, most_rows=2_000)
    assert part.target.size < 2_600 < whole.target.size
    counts, chosen = np.bincount(whole.group), np.bincount(part.group)
    assert len(chosen) == part.customers < whole.customers
    assert set(chosen) <= set(counts)
    assert f"of {whole.target.size:,} rows were probed" in part.remarks[0]


# -- The command -----------------------------------------------------------------------------------


def command(words: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ml", "audit", "probes", "--project-dir", str(ROOT), *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200", **environment},
    )


def test_the_command_ends_with_1_where_something_is_critical(tmp_path: Path) -> None:
    target = churners()
    frame = pd.DataFrame({"y": target, "leak": target * 2.0, "noise": chance().normal(size=ROWS)})
    frame.to_csv(tmp_path / "flat.csv", index=False)
    settings = settings_in(tmp_path)
    here = {"HOLDFAST_LOCAL": str(settings.local_dir)}
    words = ["--file", str(tmp_path / "flat.csv"), "--target", "y", "--calibrate", "2"]

    red = command([*words, "--json"], here)
    assert red.returncode == 1
    said = json.loads(red.stdout)
    assert not said["is_green"]
    assert said["false_alarms"]["shuffles"] == 2
    assert Path(said["report"]).parent == settings.reports_dir

    green = command([*words, "--accept", "leak"], here)
    assert green.returncode == 0
    assert "Nothing critical" in green.stdout
    assert "What no probe of a finished table can see" in green.stdout
    assert "audit replay" in green.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--id", "customer"], "give --file too"),
        (["--file", "flat.csv"], "--target names the column"),
    ],
)
def test_the_command_refuses_words_that_mean_nothing(
    tmp_path: Path, words: list[str], message: str
) -> None:
    ended = command(words, {"HOLDFAST_LOCAL": str(tmp_path)})
    assert ended.returncode == 2
    assert message in ended.stderr
