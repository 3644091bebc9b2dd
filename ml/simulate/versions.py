"""From what happened to what was known when: the versions of an entity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ml.simulate.columns import NULL, Columns, Ints, stack, take


def unfold(
    columns: Columns,
    events: Sequence[str],
    *,
    delay: Ints,
    tied: Mapping[str, str] | None = None,
) -> Columns:
    """Return the versions that an observer saw of rows whose life is known to the end.

    Parameters
    ----------
    columns : Columns
        One row an entity, without `known_at`.
    events : sequence of str
        The event times; each event that happened makes a version. No two events of a row may
        happen at the same time. The first event must have happened in every row.
    delay : numpy.ndarray, shape (n_rows,)
        How long after an event its version became known.
    tied : mapping of str to str, optional
        Columns that are filled together with an event, and which.

    Returns
    -------
    Columns
        One row an entity and event; later events are still missing.
    """
    versions = []
    for event in events:
        rows = np.nonzero(columns[event] != NULL)[0]
        moment = columns[event][rows]
        version = take(columns, rows)
        hidden = {name: version[name] > moment for name in events}
        for name in events:
            version[name] = np.where(hidden[name], NULL, version[name])
        for name, source in (tied or {}).items():
            version[name] = np.where(hidden[source], NULL, version[name])
        version["known_at"] = moment + delay[rows]
        versions.append(version)
    return stack(versions)
