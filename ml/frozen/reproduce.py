"""Rebuild a frozen set from the warehouse as it is now, and see whether the same bytes come out.

A row's features depend on what was known before its as-of date, its label on what was known before
`label_known_at`; no label of the set is known after its cutoff. So whatever became known since,
corrections of old events among it, cannot change a byte. What can: rows that lie before the cutoff
and were altered, removed or back-dated, and another code or other settings of the models.
"""

import os
from dataclasses import dataclass
from typing import Any

from ml.errors import ContractError, DataError
from ml.frozen import compare, parquet, sets
from ml.frozen.compare import Difference
from ml.frozen.freeze import read_arrivals, write_rows
from ml.frozen.sets import FrozenSet
from ml.progress import Progress, silent
from ml.settings import Settings
from ml.warehouse import Warehouse, open_warehouse


@dataclass(frozen=True)
class Reproduction:
    """What came of rebuilding a frozen set.

    Attributes
    ----------
    is_same
        Whether the bytes are the same.
    is_same_content
        Whether names, types and values are; another version of the writer may lay the same values
        out in other bytes.
    is_restored
        Whether the frozen file was gone or changed, and was put back from the rebuilt rows.
    changed_arrivals
        Inputs of which rows known before the cutoff are no longer those of then: entity to row
        counts then and now.
    difference
        The frozen rows (A) beside the rebuilt ones (B), where they differ and the frozen file is
        still whole.
    verdict
        The outcome in one plain sentence.
    """

    training_set_id: str
    is_same: bool
    is_same_content: bool
    is_restored: bool
    sha256_then: str
    sha256_now: str
    writer_then: str
    writer_now: str
    rows_then: int
    rows_now: int
    changed_arrivals: dict[str, tuple[int, int]]
    difference: Difference | None
    verdict: str

    @property
    def is_green(self) -> bool:
        """Whether the set is what the warehouse still gives."""
        return self.is_same_content

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return vars(self)


def reproduce(settings: Settings, name: str, *, progress: Progress | None = None) -> Reproduction:
    """Rebuild the set that an id, or the beginning of one, names.

    Where the frozen file is gone or was changed and the same bytes come out, it is put back.

    Raises
    ------
    UsageError
        Where the name does not name one set.
    ContractError
        Where gold lacks a column of the set.
    DataError
        Where the warehouse ends before the cutoff of the set.
    """
    say = progress or silent
    frozen = sets.named(settings, name)
    path = sets.data_path(settings, frozen.training_set_id)
    rebuilt = path.with_name(f".{path.name}.rebuilt")
    try:
        with open_warehouse(settings, read_only=True) as warehouse:
            _require_columns(warehouse, frozen)
            _require_reach(warehouse, frozen)
            written, _ = write_rows(
                rebuilt,
                warehouse,
                list(frozen.columns),
                frozen.cutoff,
                frozen.sample,
                on_rows=lambda rows: say("Rebuilding", rows, frozen.row_count),
            )
            arrivals = read_arrivals(warehouse, frozen.cutoff)
        is_whole = path.is_file() and parquet.sha256_of_file(path) == frozen.sha256
        is_same = written.sha256 == frozen.sha256
        is_same_content = written.content_sha256 == frozen.content_sha256
        changed = sets.changed_arrivals(frozen.arrivals, arrivals)
        difference = None
        if is_whole and not is_same_content:
            say("Comparing", 0, 0)
            difference = compare.compare(path, rebuilt)
        is_restored = is_same and not is_whole
        if is_restored:
            os.replace(rebuilt, path)
    finally:
        rebuilt.unlink(missing_ok=True)
    return Reproduction(
        training_set_id=frozen.training_set_id,
        is_same=is_same,
        is_same_content=is_same_content,
        is_restored=is_restored,
        sha256_then=frozen.sha256,
        sha256_now=written.sha256,
        writer_then=frozen.writer,
        writer_now=parquet.WRITER,
        rows_then=frozen.row_count,
        rows_now=written.rows,
        changed_arrivals=changed,
        difference=difference,
        verdict=_verdict(frozen, written, changed, is_restored=is_restored),
    )


def _verdict(
    frozen: FrozenSet,
    written: parquet.Written,
    changed: dict[str, tuple[int, int]],
    *,
    is_restored: bool,
) -> str:
    if written.sha256 == frozen.sha256:
        restored = " The frozen file was gone or changed; it was put back." if is_restored else ""
        return f"The same {frozen.row_count:,} rows, byte for byte.{restored}"
    if written.content_sha256 == frozen.content_sha256:
        return (
            f"The same {frozen.row_count:,} rows, value for value; the bytes differ because "
            f"{frozen.writer} wrote them then and {parquet.WRITER} writes them now."
        )
    if changed:
        inputs = ", ".join(
            f"{entity} ({then:,} rows then, {now:,} now)" for entity, (then, now) in changed.items()
        )
        return (
            f"Not the same: rows known before the cutoff {frozen.cutoff:%Y-%m-%d} have been "
            f"altered, removed or back-dated since in {inputs}. See how their source came to "
            "rewrite its past; or freeze anew: `holdfast freeze`."
        )
    return (
        f"Not the same, though every input row known before the cutoff {frozen.cutoff:%Y-%m-%d} is "
        "as it was: the models' SQL, a seed or a var has changed since, or gold itself was edited. "
        "Go back to the code of then, or freeze anew: `holdfast freeze`."
    )


def _require_columns(warehouse: Warehouse, frozen: FrozenSet) -> None:
    present = warehouse.columns("gold.training_set")
    missing = [name for name in frozen.columns if name not in present]
    if missing:
        raise ContractError(
            f"Expected every column of the frozen set {frozen.training_set_id[:12]} in "
            f"gold.training_set; it has no {', '.join(missing)}. Go back to the code of then to "
            "reproduce it, or freeze anew: `holdfast freeze`."
        )


def _require_reach(warehouse: Warehouse, frozen: FrozenSet) -> None:
    (clock,) = warehouse.query("select data_until from silver.clock").to_pylist()
    if clock["data_until"] < frozen.cutoff:
        raise DataError(
            f"Expected data until {frozen.cutoff:%Y-%m-%d}, the cutoff of the frozen set "
            f"{frozen.training_set_id[:12]}; the warehouse covers it until "
            f"{clock['data_until']:%Y-%m-%d}. Build it from all rows: `dbt build` without an "
            "earlier known_until."
        )
