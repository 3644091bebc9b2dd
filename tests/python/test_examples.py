"""The examples: each runs with the README's command, and says what its README says.

All read public data that this repository does not hold; without it their tests are skipped.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("HOLDFAST_DATA") or ROOT.parent / "shared" / "data").resolve()
UCI_FILE = DATA / "uci_online_retail" / "online_retail.csv.gz"
RAVENSTACK_FOLDER = DATA / "ravenstack"
CDNOW_FILE = DATA / "cdnow" / "CDNOW_master.txt"

needs_uci = pytest.mark.skipif(
    not UCI_FILE.is_file(), reason=f"no {UCI_FILE}; HOLDFAST_DATA names the folder of public data"
)
needs_ravenstack = pytest.mark.skipif(
    not RAVENSTACK_FOLDER.is_dir(),
    reason=f"no {RAVENSTACK_FOLDER}; HOLDFAST_DATA names the folder of public data",
)
needs_cdnow = pytest.mark.skipif(
    not CDNOW_FILE.is_file(),
    reason=f"no {CDNOW_FILE}; HOLDFAST_DATA names the folder of public data",
)

# The untuned LightGBM that the issue of this example named as the level to beat.
UCI_LEVEL = 0.724
UCI_DATE = pd.Timestamp("2011-09-09")
HORIZON = pd.Timedelta(days=90)
CDNOW_DATE = pd.Timestamp("1998-01-01")
CDNOW_HORIZON = pd.Timedelta(days=180)
# What one untuned LightGBM reaches on the negative control, whatever the labels: no signal.
RAVENSTACK_LEVEL = 0.556


@dataclass(frozen=True)
class Example:
    """An example after `holdfast run`."""

    outcome: subprocess.CompletedProcess[str]
    local_dir: Path

    def query(self, sql: str) -> list[tuple[object, ...]]:
        with duckdb.connect(str(self.local_dir / "warehouse.duckdb"), read_only=True) as house:
            return house.execute(sql).fetchall()

    def auc(self, estimator: str) -> tuple[float, float, float]:
        """Return the AUC on all test rows, and its interval."""
        found = self.query(
            f"""
            select value, lower_bound, upper_bound
            from ml.evaluations
            where metric = 'roc_auc' and split = 'test' and segment_type = 'overall'
                and estimator = '{estimator}'
            """
        )
        assert len(found) == 1
        value, lower, upper = (float(str(each)) for each in found[0])
        return value, lower, upper


def run_example(name: str, folder: Path, data: Path = DATA) -> Example:
    environment = {
        **os.environ,
        "HOLDFAST_LOCAL": str(folder / "local"),
        "DBT_TARGET_PATH": str(folder / "target"),
        "HOLDFAST_DATA": str(data),
    }
    command = [sys.executable, "-m", "ml", "run", "--project-dir", f"examples/{name}"]
    outcome = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return Example(outcome, folder / "local")


@pytest.fixture(scope="module")
def uci(tmp_path_factory: pytest.TempPathFactory) -> Example:
    example = run_example("uci_online_retail", tmp_path_factory.mktemp("uci"))
    assert example.outcome.returncode == 0, example.outcome.stderr
    return example


@pytest.fixture(scope="module")
def ravenstack(tmp_path_factory: pytest.TempPathFactory) -> Example:
    example = run_example("ravenstack", tmp_path_factory.mktemp("ravenstack"))
    assert example.outcome.returncode == 0, example.outcome.stderr
    return example


def dbt(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run plain dbt in the CDNOW example; what it makes and reads lies in the folder."""
    (folder / "local").mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "HOLDFAST_LOCAL": str(folder / "local"),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
        "HOLDFAST_DATA": str(folder),
    }
    command = [str(Path(sys.executable).with_name("dbt")), *words]
    return subprocess.run(
        command,
        cwd=ROOT / "examples" / "cdnow",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def cdnow(tmp_path_factory: pytest.TempPathFactory) -> Example:
    """The tables of every tenth customer, as the publisher's own sample, by plain dbt."""
    folder = tmp_path_factory.mktemp("cdnow")
    header, *lines = CDNOW_FILE.read_bytes().splitlines(keepends=True)
    (folder / "cdnow").mkdir()
    (folder / "cdnow" / CDNOW_FILE.name).write_bytes(
        b"".join([header, *(line for line in lines if line.split()[0].endswith(b"4"))])
    )
    assert dbt(folder, "deps").returncode == 0
    # The models that tests below read, with the project's own tests of them.
    outcome = dbt(
        folder,
        *("build", "--indirect-selection", "cautious", "--exclude-resource-type", "unit_test"),
        "--select",
        *("+gold_training_set", "cdnow", "+silver_intake"),
    )
    assert outcome.returncode == 0, outcome.stdout
    assert "assert_lines_add_up" in (folder / "target" / "run_results.json").read_text()
    return Example(outcome, folder / "local")


@pytest.fixture(scope="module")
def cdnow_lines() -> pd.DataFrame:
    lines = pd.read_csv(CDNOW_FILE, sep=r"\s+", dtype=str)
    lines.columns = pd.Index(["customer_id", "day", "cds", "dollars"])
    some = lines[lines["customer_id"].str.endswith("4")]
    return some.assign(
        day=pd.to_datetime(some["day"], format="%Y%m%d"), dollars=some["dollars"].astype(float)
    )


@pytest.fixture(scope="module")
def uci_lines() -> pd.DataFrame:
    lines = pd.read_csv(UCI_FILE, dtype=str)
    return lines.assign(
        Quantity=lines["Quantity"].astype(int),
        InvoiceDate=pd.to_datetime(lines["InvoiceDate"]),
        is_credit=lines["InvoiceNo"].str.startswith("C"),
        is_fee=lines["StockCode"].isin(["BANK CHARGES", "CRUK", "AMAZONFEE"]),
        is_postage=lines["StockCode"].isin(["POST", "DOT", "C2"]),
    )


def test_missing_data_is_told_in_one_sentence_with_what_to_do(tmp_path: Path) -> None:
    example = run_example("uci_online_retail", tmp_path, data=tmp_path / "nowhere")
    said = " ".join(example.outcome.stderr.split())
    assert example.outcome.returncode == 1
    assert "nowhere/uci_online_retail/online_retail.csv.gz" in said
    assert "data set 352" in said
    assert "HOLDFAST_DATA" in said
    assert "Traceback" not in said


@needs_uci
def test_every_line_of_the_uci_file_is_accounted_for(uci: Example, uci_lines: pd.DataFrame) -> None:
    counted = dict(
        uci.query("select outcome, line_count from main.order_line_intake")  # type: ignore[arg-type]
    )
    once = uci_lines.drop_duplicates()
    of_customers = once.dropna(subset=["CustomerID"])
    trade = of_customers[~of_customers["is_fee"]]
    is_bought = trade["is_credit"] | ~trade["is_postage"]
    kept = trade[is_bought.groupby(trade["InvoiceNo"]).transform("any")]
    assert counted == {
        "exact repeat": len(uci_lines) - len(once),
        "no customer": len(once) - len(of_customers),
        "fee": len(of_customers) - len(trade),
        "postage only": len(trade) - len(kept),
        "kept": len(kept),
    }
    assert sum(counted.values()) == len(uci_lines) == 541_909


@needs_uci
def test_uci_orders_in_are_kept_repeats_and_rejects(uci: Example, uci_lines: pd.DataFrame) -> None:
    [(rows_in, rows_kept, repeats, rejects)] = uci.query(
        "select rows_in, rows_kept, repeats, rejects from silver.intake where entity = 'orders'"
    )
    nameless = uci_lines[uci_lines["CustomerID"].isna()]["InvoiceNo"].nunique()
    assert (repeats, rejects) == (0, nameless)
    assert rows_in == rows_kept + rejects  # type: ignore[operator]
    assert uci.query("select distinct reason from bronze.rejects") == [("missing customer_id",)]


@needs_uci
def test_uci_model_was_trained_on_what_was_known_by_the_test_date(uci: Example) -> None:
    [(cutoff, train_to, test_from, test_to)] = uci.query(
        "select training_cutoff, train_to, test_from, test_to from ml.model_versions"
    )
    assert pd.Timestamp(cutoff) == pd.Timestamp(test_from) == pd.Timestamp(test_to) == UCI_DATE
    assert pd.Timestamp(train_to) + HORIZON <= UCI_DATE


@needs_uci
def test_uci_recency_alone_agrees_with_the_raw_file(uci: Example, uci_lines: pd.DataFrame) -> None:
    bought = uci_lines[
        uci_lines["CustomerID"].notna()
        & ~uci_lines["is_credit"]
        & ~uci_lines["is_postage"]
        & ~uci_lines["is_fee"]
    ]
    day = bought["InvoiceDate"].dt.normalize()
    before = (day >= UCI_DATE - pd.Timedelta(days=180)) & (day < UCI_DATE)
    after = (day >= UCI_DATE) & (day < UCI_DATE + HORIZON)
    last = day[before].groupby(bought["CustomerID"]).max()
    is_churn = ~last.index.isin(bought.loc[after, "CustomerID"])
    days_since = (UCI_DATE - last).dt.days.to_numpy()
    ranks = rankdata(days_since)
    churned, stayed = int(is_churn.sum()), int((~is_churn).sum())
    auc = (ranks[is_churn].sum() - churned * (churned + 1) / 2) / (churned * stayed)
    assert uci.query(
        "select distinct observations, churned from ml.evaluations "
        "where split = 'test' and segment_type = 'overall'"
    ) == [(len(last), churned)]
    assert np.isclose(uci.auc("recency")[0], auc, rtol=0, atol=1e-9)


@needs_uci
def test_uci_model_beats_recency_alone_and_the_untuned_level(uci: Example) -> None:
    [(estimator,)] = uci.query("select estimator from ml.model_versions")
    value, lower, _ = uci.auc(str(estimator))
    assert value > UCI_LEVEL
    assert lower > uci.auc("recency")[0]
    assert uci.query("select alias, to_version from ml.alias_history order by alias") == [
        ("candidate", 1),
        ("champion", 1),
    ]


@needs_ravenstack
def test_every_row_of_the_ravenstack_files_is_accounted_for(ravenstack: Example) -> None:
    found = {str(file): counts for file, *counts in ravenstack.query("from main.source_intake")}
    in_files = {
        path.stem.removeprefix("ravenstack_"): len(pd.read_csv(path, dtype=str))
        for path in RAVENSTACK_FOLDER.glob("ravenstack_*.csv")
    }
    assert {file: counts[0] for file, counts in found.items()} == in_files
    assert all(counts[0] == sum(counts[1:]) for counts in found.values())  # type: ignore[arg-type]
    usage = pd.read_csv(RAVENSTACK_FOLDER / "ravenstack_feature_usage.csv", dtype=str)
    rejected = dict(ravenstack.query("select reason, count(*) from bronze.rejects group by all"))  # type: ignore[arg-type]
    assert rejected == {
        "another row with this key and other values came first": int(
            usage["usage_id"].duplicated().sum()
        ),
        "quantity is below 1": int((usage["usage_count"] == "0").sum()),
    }


@needs_ravenstack
def test_what_ravenstack_extracted_later_reaches_no_layer(ravenstack: Example) -> None:
    found = ravenstack.query(
        """
        select table_schema, table_name, column_name
        from information_schema.columns
        where column_name like '%churn_flag%' and table_schema in ('bronze', 'silver', 'gold')
        """
    )
    assert found == []


@needs_ravenstack
def test_ravenstack_is_noise_and_no_model_is_published(ravenstack: Example) -> None:
    [(estimator,)] = ravenstack.query("select estimator from ml.model_versions")
    _, lower, upper = ravenstack.auc(str(estimator))
    assert lower < RAVENSTACK_LEVEL < upper
    assert lower < 0.5
    assert ravenstack.query("select alias from ml.alias_history") == [("candidate",)]
    assert ("beats_recency",) in ravenstack.query(
        "select gate from ml.gate_results where not is_passed"
    )
    assert ravenstack.query("from ml.predictions") == []
    said = " ".join(ravenstack.outcome.stdout.split())
    assert "The model is not promoted" in said


@needs_cdnow
def test_every_line_of_the_cdnow_file_is_an_order(
    cdnow: Example, cdnow_lines: pd.DataFrame
) -> None:
    [(rows_in, kept, repeats, rejects)] = cdnow.query(
        "select rows_in, rows_kept, repeats, rejects from silver.intake where entity = 'orders'"
    )
    assert (rows_in, kept, repeats, rejects) == (len(cdnow_lines), len(cdnow_lines), 0, 0)
    counted = dict(cdnow.query("select kind, line_count from main.purchase_intake"))  # type: ignore[arg-type]
    day = ["customer_id", "day"]
    assert counted == {
        "all": len(cdnow_lines),
        "later on the same day": int(cdnow_lines.duplicated(day).sum()),
        "equal to another": int(cdnow_lines.duplicated(keep=False).sum()),
        "of no value": int((cdnow_lines["dollars"] == 0).sum()),
    }
    assert min(counted.values()) > 0
    [(customers, items, amount)] = cdnow.query(
        "select count(distinct customer_id), sum(items), sum(amount) from bronze.orders"
    )
    assert customers == cdnow_lines["customer_id"].nunique()
    assert items == cdnow_lines["cds"].astype(int).sum()
    assert float(str(amount)) == pytest.approx(cdnow_lines["dollars"].sum())


@needs_cdnow
def test_cdnow_labels_and_recency_agree_with_the_raw_file(
    cdnow: Example, cdnow_lines: pd.DataFrame
) -> None:
    until = CDNOW_DATE + CDNOW_HORIZON
    last = cdnow_lines[cdnow_lines["day"] < CDNOW_DATE].groupby("customer_id")["day"].max()
    later = cdnow_lines[(cdnow_lines["day"] >= CDNOW_DATE) & (cdnow_lines["day"] < until)]
    is_churn = ~last.index.isin(later["customer_id"])
    found = cdnow.query(
        "select customer_id, is_churn, days_since_last_order from gold.training_set "
        f"where as_of_date = date '{CDNOW_DATE:%Y-%m-%d}' order by customer_id"
    )
    days = (CDNOW_DATE - last).dt.days
    assert found == list(zip(last.index, is_churn.tolist(), days.tolist(), strict=True))
