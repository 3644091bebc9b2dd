"""Which version of a model a person means: by its number or by an alias."""

from ml.champion import require_champion
from ml.errors import UsageError
from ml.registry import RegisteredVersion, Registry


def require_version(store: Registry, model_name: str, name: str | None) -> RegisteredVersion:
    """Return the version that a number or an alias names; without one, the champion.

    Raises
    ------
    UsageError
        Where no version has that number or alias, saying which there are.
    HoldfastError
        Where none is named and none serves.
    """
    if name is None:
        return require_champion(store, model_name).version
    versions, aliases = store.versions(model_name), store.aliases(model_name)
    number = int(name) if name.isdecimal() else aliases.get(name)
    if number in versions:
        return versions[number]
    numbers = ", ".join(map(str, versions)) or "none"
    named = ", ".join(f"{alias} ({number})" for alias, number in aliases.items()) or "none"
    raise UsageError(
        f"Expected the number or an alias of a version of the model '{model_name}', got '{name}'. "
        f"Versions: {numbers}; aliases: {named}."
    )
