"""Great Expectations at the two doors: the training matrix in, the predictions out.

Every row is checked, none sampled. The results are kept whether the suite passes or not; a
failure then stops the run before anything else is written.
"""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from ml.contract import kind_of, listed
from ml.errors import ContractError

TRAINING_SUITE = "training_matrix"
PREDICTIONS_SUITE = "predictions"

CHECK_RESULTS_SCHEMA = pa.schema(
    {
        "run_id": pa.string(),
        "suite": pa.string(),
        "checked_at": pa.timestamp("us"),
        "is_success": pa.bool_(),
        "expectation": pa.string(),
        "column_name": pa.string(),
        "observed": pa.string(),
        "details": pa.string(),
    }
)


@dataclass(frozen=True)
class CheckResult:
    """What one expectation found."""

    is_success: bool
    expectation: str
    column_name: str | None
    observed: str
    details: str


@dataclass(frozen=True)
class CheckReport:
    """What one suite found on one frame."""

    run_id: str
    suite: str
    checked_at: datetime
    results: tuple[CheckResult, ...]

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """Return the expectations that failed."""
        return tuple(result for result in self.results if not result.is_success)

    @property
    def is_success(self) -> bool:
        """Whether every expectation held."""
        return not self.failures


def training_expectations(types: Mapping[str, str]) -> list[Any]:
    """Return what the training matrix must be, for the features of the contract."""
    expect = _great_expectations().expectations
    keys = ("customer_id", "as_of_date")
    labels = ("is_churn", "label_known_at", "sample_weight", "monthly_revenue")
    expectations = [
        expect.ExpectTableRowCountToBeBetween(min_value=1),
        expect.ExpectTableColumnsToMatchSet(
            column_set=[*TRAINING_COLUMNS, *types], exact_match=True
        ),
        expect.ExpectCompoundColumnsToBeUnique(column_list=list(keys)),
        *(expect.ExpectColumnValuesToNotBeNull(column=column) for column in (*keys, *labels)),
        expect.ExpectColumnValuesToBeInSet(column="is_churn", value_set=[0.0, 1.0]),
        expect.ExpectColumnValuesToBeBetween(column="sample_weight", min_value=0, strict_min=True),
        expect.ExpectColumnValuesToBeBetween(column="monthly_revenue", min_value=0),
        expect.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="label_known_at", column_B="as_of_date"
        ),
    ]
    for name, data_type in types.items():
        kind = kind_of(name, data_type)
        stored = "object" if kind == "category" else "float64"
        expectations.append(expect.ExpectColumnValuesToBeOfType(column=name, type_=stored))
        if kind == "boolean":
            expectations.append(
                expect.ExpectColumnValuesToBeInSet(column=name, value_set=[0.0, 1.0])
            )
    return expectations


TRAINING_COLUMNS = (
    "customer_id",
    "as_of_date",
    "label_known_at",
    "is_churn",
    "sample_weight",
    "monthly_revenue",
)


def prediction_expectations(rows: int) -> list[Any]:
    """Return what the predictions of one as-of date must be, when `rows` customers were scored."""
    expect = _great_expectations().expectations
    columns = ("customer_id", "as_of_date", "score", "churn_probability", "rank")
    return [
        expect.ExpectTableRowCountToEqual(value=rows),
        expect.ExpectTableColumnsToMatchSet(column_set=list(columns), exact_match=True),
        expect.ExpectCompoundColumnsToBeUnique(column_list=["customer_id", "as_of_date"]),
        *(expect.ExpectColumnValuesToNotBeNull(column=column) for column in columns),
        expect.ExpectColumnValuesToBeBetween(column="churn_probability", min_value=0, max_value=1),
        # Unique whole numbers from 1 to the number of rows are exactly 1 .. n.
        expect.ExpectColumnValuesToBeOfType(column="rank", type_="int32"),
        expect.ExpectColumnValuesToBeUnique(column="rank"),
        expect.ExpectColumnValuesToBeBetween(column="rank", min_value=1, max_value=rows),
    ]


def check(
    frame: pd.DataFrame,
    expectations: Sequence[Any],
    *,
    suite: str,
    run_id: str,
    checked_at: datetime,
) -> CheckReport:
    """Validate every row of a frame against expectations."""
    gx = _great_expectations()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    batch = (
        context.data_sources.add_pandas("door")
        .add_dataframe_asset(suite)
        .add_batch_definition_whole_dataframe("all")
        .get_batch({"dataframe": frame})
    )
    validated = batch.validate(
        context.suites.add(gx.ExpectationSuite(name=suite, expectations=list(expectations))),
        result_format="SUMMARY",
    )
    # The library returns them in an order of its own.
    results = sorted(
        (_result(each.to_json_dict()) for each in validated.results),
        key=lambda result: (result.expectation, result.column_name or "", result.details),
    )
    return CheckReport(run_id, suite, checked_at, tuple(results))


def require_success(report: CheckReport) -> None:
    """Raise if an expectation failed.

    Raises
    ------
    ContractError
        Naming each failed expectation, its column and what was observed.
    """
    if report.is_success:
        return
    failures = listed(
        f"{result.expectation}({result.column_name or 'table'}): {result.observed}"
        for result in report.failures
    )
    raise ContractError(
        f"The check '{report.suite}' failed {len(report.failures)} of {len(report.results)} "
        f"expectations: {failures}. Nothing was written but the check's results "
        "(`ml.check_results`); mend the rows in gold (`dbt test` names the model), then run again."
    )


def to_rows(report: CheckReport) -> pa.Table:
    """Return the report as rows of `ml.check_results`."""
    shared = {"run_id": report.run_id, "suite": report.suite, "checked_at": report.checked_at}
    return pa.Table.from_pylist(
        [{**shared, **asdict(result)} for result in report.results], schema=CHECK_RESULTS_SCHEMA
    )


def write_json(report: CheckReport, folder: Path) -> Path:
    """Write the newest report of its suite as JSON, whole or not at all; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "suite": report.suite,
        "run_id": report.run_id,
        "checked_at": report.checked_at.isoformat(),
        "is_success": report.is_success,
        "results": [asdict(result) for result in report.results],
    }
    path = folder / f"check_{report.suite}.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
    return path


def _result(found: Mapping[str, Any]) -> CheckResult:
    configuration = found["expectation_config"]
    arguments = {
        name: value for name, value in configuration["kwargs"].items() if name != "batch_id"
    }
    result = found.get("result") or {}
    failure = (found.get("exception_info") or {}).get("exception_message")
    return CheckResult(
        is_success=bool(found["success"]),
        expectation=str(configuration["type"]),
        column_name=_column_name(arguments),
        observed=_observed(result) if failure is None else f"could not be checked: {failure}",
        details=json.dumps(arguments, default=str, sort_keys=True),
    )


def _column_name(arguments: Mapping[str, Any]) -> str | None:
    if "column" in arguments:
        return str(arguments["column"])
    if "column_list" in arguments:
        return ", ".join(arguments["column_list"])
    if "column_A" in arguments:
        return f"{arguments['column_A']}, {arguments['column_B']}"
    return None


def _observed(result: Mapping[str, Any]) -> str:
    if "unexpected_count" in result:
        count, total = result["unexpected_count"], result.get("element_count")
        examples = result.get("partial_unexpected_list") or []
        shown = f", such as {json.dumps(examples[:3], default=str)}" if examples else ""
        return f"{count} unexpected of {total}{shown}"
    mismatched = (result.get("details") or {}).get("mismatched")
    if mismatched:
        return json.dumps(mismatched, default=str, sort_keys=True)
    observed = json.dumps(result.get("observed_value"), default=str)
    # The list of all columns says nothing that the expectation's arguments do not.
    return observed if len(observed) <= 200 else f"{observed[:200]}..."


@cache
def _great_expectations() -> Any:
    """Import the library when it is first needed: it takes seconds, and would call home."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    import great_expectations

    return great_expectations
