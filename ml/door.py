"""A door of `ml/`: rows are checked before they pass, and the results are kept either way."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from ml import checks
from ml.settings import Settings
from ml.warehouse import open_warehouse


def require_pass(
    settings: Settings,
    rows: pd.DataFrame,
    expectations: Sequence[Any],
    *,
    suite: str,
    run_id: str,
    checked_at: datetime,
) -> None:
    """Check rows, keep the results in `ml.check_results` and among the reports, stop a failure.

    Raises
    ------
    ContractError
        If an expectation fails.
    """
    keep_and_require(
        settings,
        checks.check(rows, expectations, suite=suite, run_id=run_id, checked_at=checked_at),
    )


def keep_and_require(settings: Settings, report: checks.CheckReport) -> None:
    """Keep the results in `ml.check_results` and among the reports, and stop a failure.

    Raises
    ------
    ContractError
        If an expectation failed.
    """
    checks.write_json(report, settings.reports_dir)
    with open_warehouse(settings) as warehouse:
        warehouse.append("ml.check_results", checks.to_rows(report))
    checks.require_success(report)
