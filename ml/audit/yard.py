"""A scratch project with raw rows of its own, built again and again from nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ml.audit.content import Content, content_of
from ml.audit.rows import EntityContract, entity_contracts
from ml.audit.scratch import Scratch
from ml.settings import Settings

# By the package, so that they are found where Holdfast is one of another project.
_LAYERS = ("+fqn:holdfast.silver", "+fqn:holdfast.gold")


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
        self._seeded = folder / "seeded.duckdb"
        shutil.copyfile(self.warehouse, self._seeded)

    @property
    def warehouse(self) -> Path:
        """The scratch warehouse."""
        return self._scratch.settings.warehouse_path

    @cached_property
    def contracts(self) -> dict[str, EntityContract]:
        """The input contract of every entity."""
        return entity_contracts(self._scratch.manifest.to_dict())

    @property
    def content(self) -> Content:
        """What silver and gold hold."""
        return content_of(self.warehouse)

    def start_anew(self) -> None:
        """Remove all raw files and all that was built from them; the seeds stay."""
        shutil.rmtree(self.raw)
        self.raw.mkdir()
        self.warehouse.with_name(f"{self.warehouse.name}.wal").unlink(missing_ok=True)
        shutil.copyfile(self._seeded, self.warehouse)

    def build(self) -> tuple[str, ...]:
        """Build silver and gold from the raw files; return what the models noted.

        Raises
        ------
        HoldfastError
            Where the build fails.
        """
        return self._scratch.build(_LAYERS).notes

    def tune(self, *, threads: int, memory_megabytes: int | None) -> None:
        """Set the threads of dbt and of the engine, and the engine's memory; None leaves it free.

        A copy of the project's profile is written for it.
        """
        source = self._real.profiles_dir / "profiles.yml"
        profiles = yaml.safe_load(source.read_text(encoding="utf-8"))
        for profile in profiles.values():
            output = profile.get("outputs", {}).get(self._real.target)
            if output is None:
                continue
            output["threads"] = threads
            # Options of the connection: a setting is repeated with every cursor, and where to spill
            # cannot be said again once something lies there.
            output["config_options"] = {
                **output.get("config_options", {}),
                "threads": threads,
                "temp_directory": str(self.spill_dir),
                **({"memory_limit": f"{memory_megabytes}MB"} if memory_megabytes else {}),
            }
        (self._folder / "profiles.yml").write_text(yaml.safe_dump(profiles), encoding="utf-8")
        self._scratch.settings = replace(self._scratch.settings, profiles_dir=self._folder)
