"""What silver and gold hold, alike on every engine: for holding one engine against another."""

from __future__ import annotations

from collections.abc import Mapping

from ml import dbt
from ml.errors import HoldfastError
from ml.settings import Settings

Fingerprints = Mapping[str, str]
"""``schema.relation`` to its row count and fingerprint, as `macros/exact.sql` computes them."""

_MARK = "fingerprint"


def relation_fingerprints(settings: Settings) -> Fingerprints:
    """Return the fingerprint of every relation of silver and gold.

    Raises
    ------
    HoldfastError
        Where a relation is not there, or dbt fails.
    """
    notes = dbt.run_dbt(settings, ["run-operation", "log_fingerprints"]).notes
    found = [note.split() for note in notes if note.startswith(f"{_MARK} ")]
    if not found:
        raise HoldfastError(
            "Expected the fingerprints of silver and gold, and dbt told none. Build them first: "
            "`dbt build`."
        )
    return {relation: f"{rows} {fingerprint}" for _, relation, rows, fingerprint in found}
