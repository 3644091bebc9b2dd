"""The versions that people name: a number, or an alias."""

import getpass

from ml.errors import HoldfastError, UsageError
from ml.promotion.aliases import ALIASES
from ml.registry import RegisteredVersion, Registry
from ml.settings import Settings


def open_registry(settings: Settings) -> Registry:
    """Return the registry, which must be there and hold the model.

    Raises
    ------
    HoldfastError
        Where it is gone, or holds no version.
    """
    path = settings.local_dir / "mlflow.db"
    remedy = (
        "Bring mlflow.db and mlartifacts/ back from a copy, or register a model anew: "
        "`holdfast train`."
    )
    if not path.is_file():
        raise HoldfastError(f"Expected the model registry at {path}, found no file. {remedy}")
    store = Registry(settings.mlflow_uri, settings.artifact_root)
    model_name = settings.train.model_name
    if not store.numbers(model_name):
        raise HoldfastError(
            f"Expected versions of the model '{model_name}' in the registry at {path}, found none. "
            f"{remedy}"
        )
    return store


def named(store: Registry, model_name: str, name: str) -> RegisteredVersion:
    """Return the version that a number or an alias names.

    Raises
    ------
    UsageError
        Where it names none.
    """
    if name in ALIASES:
        found = store.at_alias(model_name, name)
    elif name.isdecimal():
        found = store.version(model_name, int(name))
    else:
        found = None
    if found is None:
        numbers = ", ".join(str(number) for number in store.numbers(model_name))
        held = [alias for alias in ALIASES if store.at_alias(model_name, alias) is not None]
        raise UsageError(
            f"Expected a version of '{model_name}' or an alias that one has, got '{name}'. "
            f"Versions: {numbers or 'none'}; aliases: {', '.join(held) or 'none'}."
        )
    return found


def person() -> str:
    """Return who runs the command, as the system names them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A process of a user without a name, as in some containers.
        return "unknown"
