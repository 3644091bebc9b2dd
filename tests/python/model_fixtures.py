"""A small company in a warehouse of its own, and the manifest that goes with it."""

import atexit
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import yaml

from ml.registry import Registry
from ml.settings import Settings, load_settings

REPOSITORY = Path(__file__).parents[2]

FEATURES: dict[str, dict[str, str]] = {
    "engagement": {"logins_30d": "bigint", "actions_30d_vs_prior_ratio": "decimal(18,6)"},
    "profile": {"segment": "varchar"},
    "recency": {"days_since_last_activity": "integer"},
    "support": {"csat_avg_90d": "decimal(18,6)", "has_complaint_near_renewal": "boolean"},
    "contract": {"mrr": "decimal(18,2)"},
}
SMALL = {
    "train": {
        "bootstrap_samples": 50,
        "families": ["lightgbm", "logistic_regression"],
        "test_dates": 2,
        "lightgbm": {"bags": 2, "n_estimators": 40, "learning_rate": 0.1, "n_jobs": 1},
    },
    "score": {"reasons": 3, "batch_rows": 100},
    # Drawn by the tests that look at it.
    "card": {"after_training": False},
}
LABEL_DELAY_DAYS = 14


def manifest(features: Mapping[str, Mapping[str, str]] = FEATURES) -> dict[str, Any]:
    """Return what dbt's manifest holds of the feature families."""
    nodes = {}
    for family, columns in features.items():
        name = f"gold_features_{family}"
        nodes[f"model.holdfast.{name}"] = {
            "name": name,
            "resource_type": "model",
            "columns": {
                "customer_id": {"name": "customer_id", "data_type": "varchar", "meta": {}},
                **{
                    column: {
                        "name": column,
                        "data_type": data_type,
                        "description": f"About {column}.",
                        "meta": {},
                        "config": {"meta": {"family": family, "tier": 1, "leakage_risk": "none"}},
                    }
                    for column, data_type in columns.items()
                },
            },
        }
    nodes["seed.holdfast.retention_costs"] = {
        "name": "retention_costs",
        "resource_type": "seed",
        "schema": "bronze",
        "alias": "retention_costs",
        "columns": {},
    }
    return {"nodes": nodes}


@dataclass(frozen=True)
class Company:
    """A project folder with a warehouse in it."""

    settings: Settings

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements on the warehouse; return the rows of the last."""
        with duckdb.connect(str(self.settings.warehouse_path)) as connection:
            for statement in statements:
                found = connection.execute(statement)
            return found.fetchall()

    def with_settings(self, **sections: Mapping[str, Any]) -> "Company":
        """Return the company with other settings in its holdfast.yml."""
        merged = {name: {**SMALL.get(name, {}), **values} for name, values in sections.items()}
        path = self.settings.project_dir / "holdfast.yml"
        path.write_text(yaml.safe_dump({**SMALL, **merged}))
        return Company(load_settings(self.settings.project_dir))


@cache
def blank_store() -> Path:
    """Return an empty MLflow store to copy: making one takes seconds."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-store-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Registry(f"sqlite:///{folder / 'mlflow.db'}", folder / "mlartifacts").champion("none")
    return folder / "mlflow.db"


def build_company(
    folder: Path,
    *,
    customers: int = 500,
    months: int = 12,
    signal: float = 1.0,
    seed: int = 1,
    data_until: datetime | None = None,
) -> Company:
    """Write a company's project: settings, manifest and warehouse.

    Parameters
    ----------
    signal
        How strongly features drive churn; with 0, nothing does.
    """
    (folder / "target").mkdir(parents=True)
    (folder / "local").mkdir()
    (folder / "dbt_project.yml").write_text("name: company\nprofile: company\n")
    (folder / "holdfast.yml").write_text(yaml.safe_dump(SMALL))
    (folder / "target" / "manifest.json").write_text(json.dumps(manifest()))
    settings = load_settings(folder)
    shutil.copy(blank_store(), settings.local_dir / "mlflow.db")
    rows = _rows(np.random.default_rng(seed), customers, months, signal)
    newest = rows["as_of_date"].max()
    until = data_until or datetime.combine(newest, datetime.min.time()) + timedelta(days=1)
    _write_warehouse(settings.warehouse_path, rows, until)
    return Company(settings)


def _rows(rng: np.random.Generator, customers: int, months: int, signal: float) -> pd.DataFrame:
    dates = [date(2023 + (month // 12), month % 12 + 1, 1) for month in range(months)]
    is_mature = rng.random(customers) < 0.6
    habit = rng.normal(size=customers)
    tier = rng.choice(3, customers, p=[0.6, 0.3, 0.1])
    parts = []
    for day in dates:
        mood = 0.7 * habit + 0.7 * rng.normal(size=customers)
        chance = 1 / (1 + np.exp(2.2 + 1.6 * signal * mood - signal * 0.4 * tier))
        is_churn = rng.random(customers) < chance
        cohort = np.where(is_mature, "mature", "established")
        horizon = np.where(is_mature, 90, 30)
        idle = np.rint(np.exp(1.5 - 0.5 * mood + 0.8 * rng.normal(size=customers)))
        ratio = np.round(1 + 0.3 * mood + 0.2 * rng.normal(size=customers), 6)
        parts.append(
            pd.DataFrame(
                {
                    "customer_id": [f"c{row:05d}" for row in range(customers)],
                    "as_of_date": day,
                    "cohort": cohort,
                    "observation_days": 30,
                    "horizon_days": horizon,
                    "value_tier": np.array(["smb", "mid_market", "enterprise"])[tier],
                    "monthly_revenue": np.array([500.25, 3000.0, 20000.0])[tier],
                    "sample_weight": np.array([1.0, 3.0, 10.0])[tier],
                    "logins_30d": rng.poisson(np.exp(1.5 + 0.4 * mood)),
                    "actions_30d_vs_prior_ratio": np.where(
                        rng.random(customers) < 0.1, np.nan, ratio
                    ),
                    "segment": rng.choice(["retail", "media", "health"], customers),
                    "days_since_last_activity": np.where(
                        rng.random(customers) < 0.05, np.nan, np.minimum(idle, 700)
                    ),
                    "csat_avg_90d": np.nan,
                    "has_complaint_near_renewal": rng.random(customers) < 0.1,
                    "mrr": np.array([500.25, 3000.0, 20000.0])[tier],
                    "is_churn": is_churn,
                    "days_to_churn": rng.integers(1, 30, customers),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _write_warehouse(path: Path, rows: pd.DataFrame, data_until: datetime) -> None:
    types = {name: kind for columns in FEATURES.values() for name, kind in columns.items()}
    features = ", ".join(f'cast("{name}" as {kind}) as "{name}"' for name, kind in types.items())
    with duckdb.connect(str(path)) as connection:
        connection.register("made", rows)
        for schema in ("bronze", "silver", "gold", "ml"):
            connection.execute(f"create schema {schema}")
        connection.execute(
            "create table bronze.retention_costs as from read_csv(?)",
            [str(REPOSITORY / "seeds" / "retention_costs.csv")],
        )
        connection.execute(
            "create table silver.clock as "
            "select timestamp '2022-06-01' as data_from, cast(? as timestamp) as data_until",
            [data_until],
        )
        connection.execute(
            f"""
            create table gold.customer_360 as
            select
                customer_id, cast(as_of_date as date) as as_of_date, cohort, observation_days,
                horizon_days, value_tier,
                cast(monthly_revenue as decimal(18,2)) as monthly_revenue,
                cast(sample_weight as decimal(18,6)) as sample_weight,
                {features}
            from made
            """
        )
        connection.execute(
            f"""
            create table gold.churn_labels as
            select
                *,
                label_known_at <= (select data_until from silver.clock) as is_label_available
            from (
                select
                    customer_id,
                    cast(as_of_date as date) as as_of_date,
                    is_churn,
                    case when is_churn then as_of_date + days_to_churn * interval 1 day end
                        as churned_at,
                    case when is_churn then cast(days_to_churn as integer) end as days_to_churn,
                    case when is_churn then 'voluntary' end as churn_type,
                    as_of_date + (horizon_days + {LABEL_DELAY_DAYS}) * interval 1 day
                        as label_known_at,
                    false as has_left_before
                from made
            )
            """
        )
        connection.execute(
            """
            create view gold.training_set as
            select
                customer_360.*, labels.is_churn, labels.churned_at, labels.days_to_churn,
                labels.churn_type, labels.label_known_at
            from gold.customer_360
            inner join gold.churn_labels as labels using (customer_id, as_of_date)
            where labels.is_label_available
            """
        )
        connection.execute(
            "create table gold.as_of_dates as "
            "select distinct as_of_date, true as is_grid from gold.customer_360"
        )
        connection.execute(
            """
            create table gold.fingerprints as
            select
                as_of_date, 'customer_360' as relation, count(*) as row_count,
                md5(string_agg(cast(customer_360 as varchar), '' order by customer_id))
                    as fingerprint
            from gold.customer_360
            group by as_of_date
            """
        )
        connection.execute(
            """
            create table silver.arrivals as
            select
                entity,
                cast(known_date as date) as known_date,
                1000 as row_count,
                md5(entity || cast(known_date as varchar)) as fingerprint
            from (values ('activity'), ('subscriptions')) as entities(entity)
            cross join (select distinct as_of_date as known_date from gold.customer_360)
            """
        )
        for statement in ml_tables():
            connection.execute(statement)


def ml_tables() -> list[str]:
    """Return what creates the ml schema's tables, from the contract that dbt keeps."""
    content = yaml.safe_load((REPOSITORY / "models" / "_sources.yml").read_text())
    source = next(each for each in content["sources"] if each["name"] == "ml")
    return [
        f"create table ml.{table['name']} ("
        + ", ".join(f"{column['name']} {column['data_type']}" for column in table["columns"])
        + ")"
        for table in source["tables"]
    ]
