"""A scratch project with raw rows of its own, built again and again from nothing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

from ml.audit.content import Content, content_of
from ml.audit.grounds import ground_of
from ml.audit.rows import EntityContract, entity_contracts
from ml.audit.scratch import Scratch
from ml.load import load, needs_load
from ml.settings import Settings

# By the package, so that they are found where Holdfast is one of another project.
_LAYERS = ("+fqn:holdfast.silver", "+fqn:holdfast.gold")


class Yard:
    """A scratch project in a folder, which reads raw files from that folder alone.

    Attributes
    ----------
    raw
        Where the raw files lie.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.raw = folder / "raw"
        self.raw.mkdir(parents=True)
        own: dict[str, Any] = {"raw_path": str(self.raw), "inputs": {}, "known_until": None}
        self._scratch = Scratch.at(settings, folder, vars=own)
        self._scratch.build(seeds=True)
        self._ground = ground_of(settings, self._scratch)

    @property
    def settings(self) -> Settings:
        """The scratch project."""
        return self._scratch.settings

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
        self._ground.clear()

    def build(self, vars: Mapping[str, Any] | None = None) -> tuple[str, ...]:
        """Build silver and gold from the raw files; return what the models noted.

        Parameters
        ----------
        vars
            dbt vars for this build, as `Scratch.build` takes them.

        Raises
        ------
        HoldfastError
            Where the build fails.
        """
        if needs_load(self.settings):
            load(self.settings)
        return self._scratch.build(_LAYERS, vars=vars).notes

    def tune(self, *, threads: int, memory_megabytes: int | None) -> None:
        """Set the threads of dbt and of the engine, and the engine's memory; None leaves it free.

        What takes the place of memory on a server and on Spark is said in `ml.audit.grounds`.
        """
        self._ground.tune(threads, memory_megabytes)

    def spilled(self) -> AbstractContextManager[list[int]]:
        """Give a list to which the bytes on disk for want of memory are added, again and again.

        It stays empty on Spark, which tells them in its log alone.
        """
        return self._ground.spilled()
