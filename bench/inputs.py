"""The inputs of the comparison: made by the project itself, once, and laid out as Parquet."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb

from bench.places import Places, settings_in
from bench.sizes import SEED, Size
from bench.work import MEASURES, WINDOWS
from ml import dbt
from ml.settings import Settings
from ml.simulate import simulate

MODEL = "gold_activity_windows"
# Customers of the largest company that is simulated.
_SIMULATED = 50_000
# An action of the catalogue.
_NAMES_NOTHING_OF_ITS_OWN = ("action_id",)
_UPSTREAM = ("+silver_daily_activity", "+gold_observations")


def company(places: Places, customers: int, months: int) -> Path:
    """Return the folder of a demo company's raw files, made where it is not there."""
    folder = places.company(customers, months)
    if not (folder / "raw" / "activity.parquet").is_file():
        simulate(customers=customers, months=months, seed=SEED, out=folder / "raw")
    return folder


def large_company(places: Places, customers: int, months: int) -> Path:
    """Return the folder of a company's raw files; a very large one repeats one of `_SIMULATED`.

    Its customers come again under other ids, a file each time, with all rows that are theirs. To
    simulate a million takes longer than to build them.
    """
    if customers <= _SIMULATED:
        return company(places, customers, months)
    source = company(places, _SIMULATED, months)
    folder = places.company(customers, months)
    for path in sorted((source / "raw").glob("*.parquet")):
        ids = [
            name
            for name in duckdb.sql(f"from read_parquet('{path}') limit 0").columns
            if name.endswith("_id") and name not in _NAMES_NOTHING_OF_ITS_OWN
        ]
        (folder / "raw" / path.stem).mkdir(parents=True, exist_ok=True)
        for number in range(customers // _SIMULATED):
            renamed = ", ".join(f"{name} || '-{number}' as {name}" for name in ids)
            duckdb.sql(
                f"copy (select * replace ({renamed}) from read_parquet('{path}')) "
                f"to '{folder}/raw/{path.stem}/{number:03d}.parquet' (format parquet)"
            )
    return folder


def prepare(places: Places, size: Size) -> Path:
    """Make all inputs and return the folder whose warehouse has everything before the model."""
    folder = company(places, size.customers, size.months)
    settings = settings_in(folder)
    done = places.inputs / "done"
    if not done.is_file():
        build(settings, _UPSTREAM)
        with duckdb.connect(str(settings.warehouse_path), read_only=True) as warehouse:
            _export(warehouse, places.inputs, "")
            _export(warehouse, places.sampled, _sample(size.sampled_customers))
        done.touch()
    render(places)
    return folder


def build(settings: Settings, select: tuple[str, ...]) -> None:
    """Build some models and what they need, without any test."""
    settings.local_dir.mkdir(parents=True, exist_ok=True)
    command = ["build", "--exclude-resource-type", "unit_test", "test", "--select", *select]
    dbt.run_dbt(settings, command)


def render(places: Places) -> None:
    """Let dbt compile the model for the benchmark's windows, as a full build would run it."""
    # A folder without a warehouse: nothing is built, so nothing is incremental.
    folder = places.folder / "rendered"
    settings = settings_in(folder, windows=list(WINDOWS))
    (folder / "warehouse.duckdb").unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    dbt.run_dbt(settings, ["compile", "--select", MODEL])
    (text,) = (settings.target_dir / "compiled").rglob(f"{MODEL}.sql")
    for inputs in (places.inputs, places.sampled):
        (inputs / f"{MODEL}.sql").write_text(text.read_text())


def observations(inputs: Path) -> int:
    """Return how many observations there are."""
    return json.loads((inputs / "rows.json").read_text())["observations"]


def rows(inputs: Path) -> dict[str, int]:
    """Return how many rows each input has."""
    return json.loads((inputs / "rows.json").read_text())


def _sample(customers: int) -> str:
    return (
        "where customer_id in (select customer_id from gold.observations "
        f"group by customer_id order by md5(customer_id) limit {customers})"
    )


def _export(warehouse: duckdb.DuckDBPyConnection, folder: Path, condition: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    selects = {
        # The ledger as it grew: by arrival.
        "activity": f"select customer_id, activity_date, known_date, {', '.join(MEASURES)} "
        f"from silver.daily_activity {condition} "
        "order by known_date, customer_id, activity_date",
        "observations": "select customer_id, as_of_date, tenure_days, observation_days, "
        f"horizon_days from gold.observations {condition} order by as_of_date, customer_id",
        "as_of_dates": "select as_of_date, visible_fingerprint from gold.as_of_dates",
    }
    counts = {}
    for name, select in selects.items():
        path = folder / f"{name}.parquet"
        warehouse.execute(f"copy ({select}) to '{path}' (format parquet)")
        counts[name] = warehouse.execute(f"select count(*) from read_parquet('{path}')").fetchone()
    (folder / "rows.json").write_text(json.dumps({name: row[0] for name, row in counts.items()}))
