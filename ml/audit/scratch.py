"""A scratch warehouse beside the real one, in which audits build what they compare."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import yaml

from ml import dbt
from ml.audit.databases import copy_tables, create_database, drop_databases
from ml.errors import HoldfastError
from ml.profile import DATABASE_VARIABLE, DUCKDB, POSTGRES, SPARKS, credentials, engine_of
from ml.progress import Progress
from ml.settings import Settings
from ml.warehouse import open_warehouse

# What dbt and ml/ make themselves; everything else in a warehouse is a source.
OWN_SCHEMAS = ("bronze", "silver", "gold", "ml", "marts")


@dataclass
class Scratch:
    """A project whose warehouse, logs and artifacts lie in a folder of their own."""

    settings: Settings
    _manifest: Any = field(default=None, repr=False)

    @classmethod
    def at(cls, settings: Settings, folder: Path, *, vars: Mapping[str, Any]) -> Scratch:
        """Lay a scratch project into a folder.

        Parameters
        ----------
        settings
            The real project.
        folder
            Where everything of the scratch project lies.
        vars
            dbt vars beside those of the real project; they win.

        Raises
        ------
        HoldfastError
            Where the project's profile would open another warehouse than the scratch one.
        """
        on_server = engine_of(settings) == POSTGRES
        own = replace(
            settings,
            database=create_database(settings, folder) if on_server else None,
            local_dir=folder,
            raw_dir=Path(vars.get("raw_path", settings.raw_dir)),
            target_dir=folder / "target",
            vars=MappingProxyType(
                {**settings.vars, "raw_path": str(settings.raw_dir), **dict(vars)}
            ),
        )
        _require_own_warehouse(own)
        return cls(own)

    @property
    def manifest(self) -> Any:
        """The project as dbt parses it, once."""
        if self._manifest is None:
            self._manifest = dbt.parse(self.settings)
        return self._manifest

    def build(
        self,
        select: Sequence[str] = (),
        *,
        seeds: bool = False,
        vars: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> dbt.DbtResult:
        """Build models, without tests, with these vars beside those of the scratch project.

        The project is parsed once for all builds, so these vars must change neither its graph nor
        the configuration of its models: `known_until` and `only_as_of_dates` do not. Without
        models named, the seeds alone are built.
        """
        wanted = replace(
            self.settings, vars=MappingProxyType({**self.settings.vars, **(vars or {})})
        )
        kinds = [*(["model"] if select else []), *(["seed"] if seeds else [])]
        command = ["build", *(word for kind in kinds for word in ("--resource-type", kind))]
        if select:
            command += ["--select", *select]
        return dbt.run_dbt(
            wanted, command, progress=progress, manifest=self.manifest, is_brief=True
        )

    def tune(self, threads: int, options: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Set the threads of dbt and, where it is DuckDB, of the engine; on Spark its partitions.

        A copy of the project's profile is written for it.

        Parameters
        ----------
        options
            More of DuckDB's options, or of Spark's.
        """
        source = self.settings.profiles_dir / "profiles.yml"
        profiles = yaml.safe_load(source.read_text(encoding="utf-8"))
        for profile in profiles.values():
            output = profile.get("outputs", {}).get(self.settings.target)
            if output is None:
                continue
            kind = output.get("type", DUCKDB)
            if kind in SPARKS:
                output["server_side_parameters"] = {
                    **output.get("server_side_parameters", {}),
                    "spark.sql.shuffle.partitions": str(threads),
                    **options,
                }
                continue
            output["threads"] = threads
            if kind == DUCKDB:
                # Options of the connection: a setting is repeated with every cursor, and where to
                # spill cannot be said again once something lies there.
                output["config_options"] = {
                    **output.get("config_options", {}),
                    "threads": threads,
                    **options,
                }
        folder = self.settings.local_dir
        (folder / "profiles.yml").write_text(yaml.safe_dump(profiles), encoding="utf-8")
        self.settings = replace(self.settings, profiles_dir=folder)


@contextmanager
def audit_folder(settings: Settings, name: str) -> Iterator[Path]:
    """Make a folder under the local one, named by the audit, and remove it at the end."""
    root = settings.local_dir / "audit"
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=root))
    try:
        yield folder
    finally:
        if engine_of(settings) == POSTGRES:
            drop_databases(settings, folder)
        shutil.rmtree(folder, ignore_errors=True)
        if not any(root.iterdir()):
            root.rmdir()


def _require_own_warehouse(settings: Settings) -> None:
    if settings.database is not None:
        found = credentials(settings).database
        if found != settings.database:
            raise HoldfastError(
                "An audit builds in a scratch database, so the profile's database must follow the "
                f"environment variable {DATABASE_VARIABLE}: expected dbname: "
                f"\"{{{{ env_var('{DATABASE_VARIABLE}', 'holdfast') }}}}\" for the target "
                f"{settings.target}, found {found}. Mend profiles.yml."
            )
        return
    if engine_of(settings) in SPARKS:
        found = getattr(credentials(settings), "server_side_parameters", {})
        if str(settings.local_dir) not in str(found.get("spark.sql.warehouse.dir")):
            raise HoldfastError(
                "An audit builds in a scratch warehouse, so the profile's spark.sql.warehouse.dir "
                "must follow the environment variable HOLDFAST_LOCAL, as in Holdfast's own "
                f"profiles.yml; that of the target {settings.target} does not. Mend profiles.yml."
            )
        return
    opened = dbt.warehouse_of_profile(settings)
    if opened != settings.warehouse_path.resolve():
        raise HoldfastError(
            "An audit builds in a scratch warehouse, so the profile's path must follow the "
            "environment variable HOLDFAST_LOCAL: expected path: \"{{ env_var('HOLDFAST_LOCAL', "
            f"'local') }}}}/warehouse.duckdb\" for the target {settings.target}, found {opened}. "
            "Mend profiles.yml."
        )


def copy_sources(real: Settings, own: Settings) -> None:
    """Copy the tables that others loaded into the real warehouse into a scratch one."""
    if engine_of(real) == POSTGRES:
        copy_tables(real, own, OWN_SCHEMAS)
        return
    with open_warehouse(real, read_only=True) as warehouse:
        tables = [
            each
            for each in warehouse.relations()
            if not each.is_view and each.schema not in OWN_SCHEMAS
        ]
    if not tables:
        return
    if engine_of(real) in SPARKS:
        raise HoldfastError(
            "On Spark an audit builds from raw files alone, and this project reads tables: "
            f"{', '.join(map(str, tables[:5]))}. Audit it on DuckDB, from an export of them."
        )
    with duckdb.connect(str(own.warehouse_path)) as connection:
        connection.execute(f"attach '{_quoted(real.warehouse_path)}' as real_warehouse (read_only)")
        for table in tables:
            name = f'"{table.schema}"."{table.name}"'
            connection.execute(f'create schema if not exists "{table.schema}"')
            connection.execute(f"create table {name} as from real_warehouse.{name}")


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
