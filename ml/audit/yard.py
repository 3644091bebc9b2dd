"""A scratch project with raw rows of its own, built again and again from nothing."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from ml.audit.content import Content, content_of
from ml.audit.databases import copy_database, set_parameters, spilled_bytes
from ml.audit.rows import EntityContract, entity_contracts
from ml.audit.scratch import Scratch
from ml.load import load, needs_load
from ml.profile import SPARKS, engine_of
from ml.settings import Settings
from ml.warehouse import open_warehouse
from ml.warehouse.base import Relation

# By the package, so that they are found where Holdfast is one of another project.
_LAYERS = ("+fqn:holdfast.silver", "+fqn:holdfast.gold")

# How often the folder of spilled data is looked at.
_LOOK_SECONDS = 0.01


class Yard:
    """A scratch project in a folder, which reads raw files from that folder alone.

    Attributes
    ----------
    raw
        Where the raw files lie.
    spill_dir
        Where the engine puts what its memory does not hold, once `tune` has been called.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.raw = folder / "raw"
        self.spill_dir = folder / "spilled"
        self.raw.mkdir(parents=True)
        self._folder = folder
        self._real = settings
        own: dict[str, Any] = {"raw_path": str(self.raw), "inputs": {}, "known_until": None}
        self._scratch = Scratch.at(settings, folder, vars=own)
        self._scratch.build(seeds=True)
        self._is_spark = engine_of(self.settings) in SPARKS
        self._seeded = folder / "seeded.duckdb"
        self._seeds: frozenset[Relation] = frozenset()
        if self._database is not None:
            copy_database(settings, folder, self._database, self._seeded_database)
        elif self._is_spark:
            with open_warehouse(self.settings) as warehouse:
                self._seeds = frozenset(warehouse.relations())
        else:
            shutil.copyfile(self.settings.warehouse_path, self._seeded)

    @property
    def settings(self) -> Settings:
        """The scratch project."""
        return self._scratch.settings

    @property
    def _database(self) -> str | None:
        return self.settings.database

    @property
    def _seeded_database(self) -> str:
        return f"{self._database}_seeded"

    @cached_property
    def contracts(self) -> dict[str, EntityContract]:
        """The input contract of every entity."""
        return entity_contracts(self._scratch.manifest.to_dict())

    @property
    def content(self) -> Content:
        """What silver and gold hold."""
        return content_of(self.settings)

    def start_anew(self) -> None:
        """Remove all raw files and all that was built from them; the seeds stay."""
        shutil.rmtree(self.raw)
        self.raw.mkdir()
        if self._database is not None:
            copy_database(self._real, self._folder, self._seeded_database, self._database)
            return
        if self._is_spark:
            self._drop_all_but_seeds()
            return
        warehouse = self.settings.warehouse_path
        warehouse.with_name(f"{warehouse.name}.wal").unlink(missing_ok=True)
        shutil.copyfile(self._seeded, warehouse)

    def build(self) -> tuple[str, ...]:
        """Build silver and gold from the raw files; return what the models noted.

        Raises
        ------
        HoldfastError
            Where the build fails.
        """
        if needs_load(self.settings):
            load(self.settings)
        return self._scratch.build(_LAYERS).notes

    def tune(self, *, threads: int, memory_megabytes: int | None) -> None:
        """Set the threads of dbt and of the engine, and the engine's memory; None leaves it free.

        A server has no such memory: there it is that of each step of a query, the least there is.
        Nor has Spark: there it is how many rows a join or a window keeps before it spills. Its
        threads are partitions, for its session takes one statement of dbt after the other.
        """
        if self._is_spark:
            kept, spilling = ("4", "16") if memory_megabytes else ("4096", "2147483647")
            self._scratch.tune(
                threads,
                {
                    f"spark.sql.{step}.buffer.{option}": rows
                    for step in ("windowExec", "sortMergeJoinExec")
                    for option, rows in (
                        ("in.memory.threshold", kept),
                        ("spill.threshold", spilling),
                    )
                },
            )
            return
        memory = {"memory_limit": f"{memory_megabytes}MB"} if memory_megabytes else {}
        # So few rows are written faster than the best way to compress them is found.
        self._scratch.tune(
            threads,
            {
                "temp_directory": str(self.spill_dir),
                "force_compression": "uncompressed",
                **memory,
            },
        )
        if self._database is not None:
            workers = {"max_parallel_workers_per_gather": str(threads - 1)}
            # 64 kB, the least that the engine takes.
            work = {"work_mem": "64kB", "hash_mem_multiplier": "1"} if memory_megabytes else {}
            set_parameters(self._real, self._database, workers | work)

    @contextmanager
    def spilled(self) -> Iterator[list[int]]:
        """Give a list to which the bytes on disk for want of memory are added, again and again.

        It stays empty on Spark, which tells them in its log alone.
        """
        if self._is_spark:
            yield []
            return
        if self._database is None:
            with _watched(self.spill_dir) as seen:
                yield seen
            return
        seen = [0]
        yield seen
        # Its queries have ended, and the server has counted them.
        seen.append(spilled_bytes(self._real, self._database))

    def _drop_all_but_seeds(self) -> None:
        with open_warehouse(self.settings) as warehouse:
            for relation in warehouse.relations():
                if relation not in self._seeds:
                    kind = "view" if relation.is_view else "table"
                    warehouse.execute(f"drop {kind} {relation.schema}.{relation.name}")


@contextmanager
def _watched(folder: Path) -> Iterator[list[int]]:
    """Give a list to which the bytes in a folder are added again and again."""
    seen, end = [0], threading.Event()

    def look() -> None:
        while not end.wait(_LOOK_SECONDS):
            # A file may go between the listing and the look at it.
            with suppress(OSError):
                seen.append(sum(path.stat().st_size for path in folder.glob("*")))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        end.set()
        watcher.join()
