"""The dbt profile: which engine a target is, and how its warehouse is reached."""

from __future__ import annotations

import contextlib
import os
from argparse import Namespace
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import yaml

from ml.errors import HoldfastError
from ml.memory import LIMIT_VARIABLE, engine_limit
from ml.settings import Settings

DUCKDB, POSTGRES = "duckdb", "postgres"
# Adapters whose models run on Spark, on this machine or a cluster.
SPARKS = ("spark", "databricks", "fabricspark")

# The environment variable that names the database in profiles.yml.
DATABASE_VARIABLE = "HOLDFAST_PG_DATABASE"


@contextlib.contextmanager
def environment(settings: Settings) -> Iterator[None]:
    """Let dbt find and leave things where the settings say, whatever the folder it starts in."""
    given = {
        "HOLDFAST_LOCAL": str(settings.local_dir),
        "DBT_TARGET_PATH": str(settings.target_dir),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        LIMIT_VARIABLE: engine_limit(),
        **({} if settings.database is None else {DATABASE_VARIABLE: settings.database}),
    }
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def engine_of(settings: Settings) -> str:
    """Return the adapter type of the target; DuckDB where the profile doesn't say in plain words.

    Only the file is read: to have dbt render the profile takes over a second, which a DuckDB
    warehouse need not wait for.
    """
    project = settings.project_dir / "dbt_project.yml"
    profiles = settings.profiles_dir / "profiles.yml"
    stamps = tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in (project, profiles))
    return _engine_of(str(project), str(profiles), settings.target, stamps)


@lru_cache(maxsize=64)
def _engine_of(project: str, profiles: str, target: str, stamps: tuple[int, ...]) -> str:
    with contextlib.suppress(OSError, yaml.YAMLError, KeyError, TypeError):
        with open(project, encoding="utf-8") as file:
            name = yaml.safe_load(file)["profile"]
        with open(profiles, encoding="utf-8") as file:
            engine = yaml.safe_load(file)[name]["outputs"][target]["type"]
        if isinstance(engine, str) and "{{" not in engine:
            return engine
    return DUCKDB


def credentials(settings: Settings) -> Any:
    """Return the target's credentials, as its dbt adapter reads them from the profile.

    Raises
    ------
    HoldfastError
        Where the profile cannot be read, lacks the target, or needs an adapter that is not there.
    """
    from dbt.config.runtime import load_profile
    from dbt.flags import set_from_args
    from dbt_common.context import set_invocation_context
    from dbt_common.exceptions import DbtBaseException

    with environment(settings), contextlib.chdir(settings.project_dir):
        # dbt's reader of profiles sees the environment and the flags of an invocation.
        set_invocation_context(dict(os.environ))
        set_from_args(Namespace(profiles_dir=str(settings.profiles_dir)), None)
        try:
            profile = load_profile(str(settings.project_dir), {}, target_override=settings.target)
        except DbtBaseException as error:
            reason = " ".join(str(error).split())
            raise HoldfastError(
                f"The target {settings.target} of the profile in {settings.profiles_dir} cannot be "
                f"used: {reason}"
            ) from error
    return profile.credentials
