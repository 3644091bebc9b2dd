"""The replay audit: green on gold as it is built, red where one cell has seen the future."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import duckdb
import pytest
from conftest import Demo

from ml import dbt
from ml.audit.replay import FEATURES, LABELS, ReplayResult, replay
from ml.errors import HoldfastError, UsageError
from ml.settings import Settings

CERTIFICATE_HOLDS = "assert_replay_certificate_holds"


def query(settings: Settings, statement: str) -> list[Any]:
    """Run a statement in the warehouse."""
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        return connection.execute(statement).fetchall()


def labelled_date(settings: Settings) -> date:
    """Return the newest as-of date whose labels are all known."""
    ((found,),) = query(
        settings,
        "select max(as_of_date) from (select as_of_date from gold.churn_labels "
        "group by as_of_date having bool_and(is_label_available))",
    )
    return found


def by_relation(result: ReplayResult) -> dict[str, Any]:
    """Return what was found for the one date of each relation."""
    return {each.relation: each for each in result.dates}


def test_gold_is_the_same_when_the_future_is_cut_away(demo_copy: Settings) -> None:
    as_of_date = labelled_date(demo_copy)
    result = replay(demo_copy, as_of=[as_of_date])
    assert result.is_green
    found = by_relation(result)
    for relation in (FEATURES, LABELS):
        ((rows,),) = query(
            demo_copy, f"select count(*) from {relation} where as_of_date = '{as_of_date}'"
        )
        assert found[relation].rows == rows > 50
        assert found[relation].different_cells == 0
    # Every feature beside the keys is among the columns compared.
    ((columns,),) = query(
        demo_copy,
        "select count(*) from duckdb_columns() where schema_name = 'gold' "
        "and table_name = 'customer_360' and column_name <> 'built_from'",
    )
    assert found[FEATURES].cells == found[FEATURES].rows * columns
    assert found[FEATURES].cuts == (as_of_date,)
    assert all(cut > as_of_date for cut in found[LABELS].cuts)
    assert json.loads(result.certificate.read_text())["is_green"] is True
    # Nothing of the scratch warehouse is left.
    assert not (demo_copy.local_dir / "audit").exists()

    # The certificate names the gold that stands, until it stands no more.
    dbt.run_dbt(demo_copy, ["test", "--select", CERTIFICATE_HOLDS])
    query(
        demo_copy,
        f"update gold.fingerprints set fingerprint = 'other' where as_of_date = '{as_of_date}' "
        "and relation = 'churn_labels'",
    )
    with pytest.raises(HoldfastError, match=CERTIFICATE_HOLDS):
        dbt.run_dbt(demo_copy, ["test", "--select", CERTIFICATE_HOLDS])


def test_a_cell_that_has_seen_the_future_is_shown(demo_copy: Settings) -> None:
    as_of_date = labelled_date(demo_copy)
    ((customer_id, before),) = query(
        demo_copy,
        f"select customer_id, actions_30d from gold.customer_360 "
        f"where as_of_date = '{as_of_date}' order by customer_id limit 1",
    )
    query(
        demo_copy,
        f"update gold.customer_360 set actions_30d = {before + 5} "
        f"where as_of_date = '{as_of_date}' and customer_id = '{customer_id}'",
    )
    ((lost,),) = query(
        demo_copy,
        f"delete from gold.churn_labels where as_of_date = '{as_of_date}' and customer_id = "
        f"'{customer_id}' returning customer_id",
    )
    assert lost == customer_id
    result = replay(demo_copy, as_of=[as_of_date])
    assert not result.is_green
    found = by_relation(result)
    (comparison,) = found[FEATURES].comparisons
    (cell,) = comparison.examples
    assert (cell.key, cell.column) == (customer_id, "actions_30d")
    assert (cell.standing, cell.rebuilt) == (str(before + 5), str(before))
    assert found[FEATURES].different_cells == 1
    assert sum(each.extra_rows for each in found[LABELS].comparisons) == 1
    with pytest.raises(HoldfastError, match=CERTIFICATE_HOLDS):
        dbt.run_dbt(demo_copy, ["test", "--select", CERTIFICATE_HOLDS])


def test_a_date_that_gold_has_not_is_refused(demo: Demo) -> None:
    with pytest.raises(UsageError, match="no observations as of 1999-01-01"):
        replay(demo.settings, as_of=[date(1999, 1, 1)])
    with pytest.raises(UsageError, match="at least 1 date, not 0"):
        replay(demo.settings, sample=0)
    with pytest.raises(UsageError, match="at least 1, not 0"):
        replay(demo.settings, jobs=0)


def test_processes_side_by_side_find_the_same(demo_copy: Settings) -> None:
    as_of_date = labelled_date(demo_copy)
    ((customer_id,),) = query(
        demo_copy,
        f"select min(customer_id) from gold.customer_360 where as_of_date = '{as_of_date}'",
    )
    query(
        demo_copy,
        "update gold.customer_360 set actions_30d = actions_30d + 5 "
        f"where as_of_date = '{as_of_date}' and customer_id = '{customer_id}'",
    )
    ((newest,),) = query(demo_copy, "select max(as_of_date) from gold.customer_360")
    # A var that is a mapping travels to the processes too.
    settings = replace(demo_copy, vars={**demo_copy.vars, "reject_ratio_max": {}})
    result = replay(settings, as_of=[as_of_date, newest], jobs=2)
    features, later = (each for each in result.dates if each.relation == FEATURES)
    (labels,) = (each for each in result.dates if each.relation == LABELS)
    assert (features.cuts, later.cuts) == ((as_of_date,), (newest,))
    # One cut for each horizon, so that the second process begins with labels alone.
    assert len(labels.cuts) > 1
    assert labels.cuts == tuple(sorted(labels.cuts))
    assert as_of_date < labels.cuts[-1] < newest
    assert (features.different_cells, labels.different_cells, later.different_cells) == (1, 0, 0)
