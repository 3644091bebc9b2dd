"""What a scratch project stands on: how each engine keeps its seeds, is tuned, and spills."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Protocol

from ml.audit.databases import copy_database, set_parameters, spilled_bytes
from ml.audit.scratch import Scratch
from ml.profile import SPARKS, engine_of
from ml.settings import Settings
from ml.warehouse import open_warehouse

# How often the folder of spilled data is looked at.
_LOOK_SECONDS = 0.01


class Ground(Protocol):
    """A scratch warehouse that holds seeds when it is laid, and goes back to them."""

    def clear(self) -> None:
        """Remove all that was built; the seeds stay."""
        ...

    def tune(self, threads: int, megabytes: int | None) -> None:
        """Set the threads of dbt and of the engine, and the engine's memory; None leaves it."""
        ...

    def spilled(self) -> AbstractContextManager[list[int]]:
        """Give a list to which the bytes on disk for want of memory are added."""
        ...


def ground_of(real: Settings, scratch: Scratch) -> Ground:
    """Return what a scratch project stands on; its seeds are built, and nothing else."""
    if scratch.settings.database is not None:
        return _Server(real, scratch, scratch.settings.database)
    if engine_of(scratch.settings) in SPARKS:
        return _Session(scratch)
    return _File(scratch)


class _File:
    """A file of DuckDB, and a copy of it with the seeds."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._warehouse = scratch.settings.warehouse_path
        self._seeded = self._warehouse.with_name("seeded.duckdb")
        self._spill_dir = self._warehouse.with_name("spilled")
        shutil.copyfile(self._warehouse, self._seeded)

    def clear(self) -> None:
        self._warehouse.with_name(f"{self._warehouse.name}.wal").unlink(missing_ok=True)
        shutil.copyfile(self._seeded, self._warehouse)

    def tune(self, threads: int, megabytes: int | None) -> None:
        options = {
            "temp_directory": str(self._spill_dir),
            # So few rows are written faster than the best way to compress them is found.
            "force_compression": "uncompressed",
        }
        if megabytes:
            options["memory_limit"] = f"{megabytes}MB"
        self._scratch.tune(threads, options)

    @contextmanager
    def spilled(self) -> Iterator[list[int]]:
        """Look at the folder of spilled data again and again."""
        seen, end = [0], threading.Event()

        def look() -> None:
            while not end.wait(_LOOK_SECONDS):
                # A file may go between the listing and the look at it.
                with suppress(OSError):
                    seen.append(sum(path.stat().st_size for path in self._spill_dir.glob("*")))

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        try:
            yield seen
        finally:
            end.set()
            watcher.join()


class _Server:
    """A database of a PostgreSQL server, and a copy of it with the seeds.

    A server has no memory that could be set: in its place that of each step of a query is, the
    least there is.
    """

    def __init__(self, real: Settings, scratch: Scratch, database: str) -> None:
        self._real = real
        self._scratch = scratch
        self._database = database
        self._seeded = f"{database}_seeded"
        self._copy(self._database, self._seeded)

    def clear(self) -> None:
        self._copy(self._seeded, self._database)

    def tune(self, threads: int, megabytes: int | None) -> None:
        self._scratch.tune(threads)
        workers = {"max_parallel_workers_per_gather": str(threads - 1)}
        # 64 kB, the least that the engine takes.
        work = {"work_mem": "64kB", "hash_mem_multiplier": "1"} if megabytes else {}
        set_parameters(self._real, self._database, workers | work)

    @contextmanager
    def spilled(self) -> Iterator[list[int]]:
        """Ask the server, once its queries have ended and it has counted them."""
        seen = [0]
        yield seen
        seen.append(spilled_bytes(self._real, self._database))

    def _copy(self, source: str, target: str) -> None:
        copy_database(self._real, self._scratch.settings.local_dir, source, target)


class _Session:
    """A warehouse of Spark, of which all but the seeds is dropped.

    Its threads are partitions, for its session takes one statement of dbt after the other, and its
    memory is how many rows a join or a window keeps before it spills. What it spilled it tells in
    its log alone.
    """

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        with open_warehouse(scratch.settings) as warehouse:
            self._seeds = frozenset(warehouse.relations())

    def clear(self) -> None:
        with open_warehouse(self._scratch.settings) as warehouse:
            for relation in warehouse.relations():
                if relation not in self._seeds:
                    kind = "view" if relation.is_view else "table"
                    warehouse.execute(f"drop {kind} {relation.schema}.{relation.name}")

    def tune(self, threads: int, megabytes: int | None) -> None:
        kept, spilling = ("4", "16") if megabytes else ("4096", "2147483647")
        self._scratch.tune(
            threads,
            {
                f"spark.sql.{step}.buffer.{option}": rows
                for step in ("windowExec", "sortMergeJoinExec")
                for option, rows in (("in.memory.threshold", kept), ("spill.threshold", spilling))
            },
        )

    @contextmanager
    def spilled(self) -> Iterator[list[int]]:
        yield []
