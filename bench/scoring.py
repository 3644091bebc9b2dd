"""Training on and scoring of very many observations, by the project's own commands.

The rows are gold rows of a demo company. To train on, customers are repeated under other ids until
there are enough. To score, every observation of every date becomes a customer of its own at the
newest date, with what the customer was a date earlier as the month before: so rows are as diverse
as the company's whole history, not one date's rows over and over.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb

from bench.inputs import build, prepare
from bench.places import ROOT, Places, settings_in
from bench.process import Usage, measure
from bench.ratios import Spread
from bench.sizes import Size

SECONDS_MARK = 60
MEMORY_MARK_MB = 2_000
# What a machine of 2 GB sets by itself (`ml.memory.engine_limit`).
ENGINE_MEMORY = "1GiB"
_RUNS = 2

Say = Callable[[str], None]


def scoring(places: Places, size: Size, say: Say) -> dict[str, Any]:
    """Measure both and return what JSON can hold."""
    say("Making the company")
    company = prepare(places, size)
    build(settings_in(company), ("+gold_training_set", "+gold_fingerprints", "resource_type:seed"))
    folder = places.folder / "scoring"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = settings_in(company)
    shutil.copy(source.warehouse_path, folder / "warehouse.duckdb")
    shutil.copytree(source.target_dir, folder / "target")
    warehouse = folder / "warehouse.duckdb"
    labelled = _repeat_labelled(warehouse, size.trained)
    say(f"Training on {labelled:,} labelled rows")
    trained = _holdfast(folder, ["train", "--families", "lightgbm"])
    say(f"train: {trained.wall:.1f} s, processor {trained.cpu:.1f} s, {trained.peak_mb:,.0f} MB")
    _ensure_champion(folder)
    scored = _spread_over_customers(warehouse, source.warehouse_path, size.scored)
    usages = []
    for _ in range(_RUNS):
        _forget_predictions(warehouse)
        usages.append(_holdfast(folder, ["score"], HOLDFAST_MEMORY_LIMIT=ENGINE_MEMORY))
        say(
            f"score {scored:,}: {usages[-1].wall:.1f} s, processor {usages[-1].cpu:.1f} s, "
            f"{usages[-1].peak_mb:,.0f} MB"
        )
    reasons = _reasons(warehouse)
    shutil.rmtree(folder)
    return {
        "trained_rows": labelled,
        "train": asdict(trained),
        "scored_rows": scored,
        "reasons": reasons,
        "score": {
            figure: asdict(Spread.of([getattr(usage, figure) for usage in usages]))
            for figure in ("wall", "cpu", "peak_mb")
        },
        "seconds_mark": SECONDS_MARK,
        "memory_mark_mb": MEMORY_MARK_MB,
    }


def _holdfast(folder: Path, command: list[str], **variables: str) -> Usage:
    return measure(
        [sys.executable, "-m", "ml", *command, "--json", "--project-dir", str(ROOT)],
        environment={
            "HOLDFAST_LOCAL": str(folder),
            "DBT_TARGET_PATH": str(folder / "target"),
            **variables,
        },
        log=folder / "logs" / f"{command[0]}.txt",
        cwd=ROOT,
    )


def _repeat_labelled(path: Path, wanted: int) -> int:
    """Repeat customers under other ids until there are about so many labelled rows."""
    count = "select count(*) from gold.training_set"
    with duckdb.connect(str(path)) as warehouse:
        there = warehouse.execute(count).fetchone()[0]
        left, number = wanted - there, 0
        while left > 0:
            number += 1
            # A customer with all dates or none, by a hash of the id.
            share = min(1.0, left / there)
            for relation in ("customer_360", "churn_labels"):
                warehouse.execute(
                    f"insert into gold.{relation} "
                    f"select * replace (customer_id || '-{number}' as customer_id) "
                    f"from gold.{relation} where instr(customer_id, '-') = 0 "
                    "and ('0x' || substr(md5(customer_id), 1, 8))::bigint < $1 * 4294967296.0",
                    [share],
                )
            left -= there
        return warehouse.execute(count).fetchone()[0]


def _ensure_champion(folder: Path) -> None:
    said = json.loads((folder / "logs" / "train.txt").read_text().strip().splitlines()[-1])
    if not said["is_champion"]:
        version = str(said["model_version"])
        _holdfast(folder, ["promote", version, "--force", "--why", "a champion to score with"])


def _spread_over_customers(path: Path, source: Path, wanted: int) -> int:
    """Let every observation of the company be a customer of its own at the newest date."""
    with duckdb.connect(str(path)) as warehouse:
        warehouse.execute(f"attach '{source}' as company (read_only)")
        newest, before = warehouse.execute(
            "select max(as_of_date), max(as_of_date) filter (where as_of_date <= newest - 28) "
            "from company.gold.customer_360, "
            "(select max(as_of_date) as newest from company.gold.customer_360)"
        ).fetchone()
        warehouse.execute("delete from gold.customer_360")
        warehouse.execute(
            "create temp table steps as select *, "
            "lag(as_of_date) over (partition by customer_id order by as_of_date) as date_before "
            "from (select customer_id, as_of_date from company.gold.customer_360)"
        )
        there = warehouse.execute("select count(*) from steps").fetchone()[0]
        for number in range(-(-wanted // there)):
            limit = min(there, wanted - number * there)
            warehouse.execute(
                "create or replace temp table chosen as select *, "
                f"customer_id || '-' || as_of_date || '-{number}' as new_id from steps "
                f"order by md5(customer_id || as_of_date) limit {limit}"
            )
            for day, joined in ((newest, "as_of_date"), (before, "date_before")):
                warehouse.execute(
                    "insert into gold.customer_360 select rows.* replace ("
                    f"chosen.new_id as customer_id, date '{day}' as as_of_date) "
                    "from company.gold.customer_360 as rows inner join chosen "
                    f"on rows.customer_id = chosen.customer_id "
                    f"and rows.as_of_date = chosen.{joined}"
                )
        return warehouse.execute(
            "select count(*) from gold.customer_360 where as_of_date = $1", [newest]
        ).fetchone()[0]


def _forget_predictions(path: Path) -> None:
    with duckdb.connect(str(path)) as warehouse:
        for relation in ("predictions", "prediction_reasons"):
            warehouse.execute(f"delete from ml.{relation}")
        warehouse.execute("checkpoint")


def _reasons(path: Path) -> int:
    with duckdb.connect(str(path), read_only=True) as warehouse:
        return warehouse.execute("select count(*) from ml.prediction_reasons").fetchone()[0]
