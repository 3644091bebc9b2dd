"""Gather what a card tells of a version: its rows judged anew, and what it looks at on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml import explain, matrix
from ml.card.segments import SegmentReport, by_segment, called, merge_rare
from ml.champion import read_record
from ml.contract import Feature, load_contract
from ml.errors import DataError
from ml.estimators import ChurnModel
from ml.explain import Contributions
from ml.frozen import sets
from ml.frozen.sets import FrozenSet
from ml.metrics import Forecast
from ml.promotion.gates import Gate
from ml.promotion.history import newest_verdict
from ml.records import TrainingRecord
from ml.registry import CHAMPION, RegisteredVersion, Registry
from ml.settings import Settings
from ml.training_set import KEY_COLUMNS, LabelledRows
from ml.warehouse import open_warehouse

Words = NDArray[np.object_]

_COUNTRY = "country"


@dataclass(frozen=True)
class CardFacts:
    """Everything that a card tells.

    Attributes
    ----------
    aliases
        Those that name the version as the card is written.
    features
        The model's features, with their contract.
    frozen
        The set it was trained on.
    gates
        What they said of the version last, on its way to champion; empty where they never did.
    missed
        Share of the churned test rows outside the capacity.
    segments
        The test rows by segment.
    parts
        Contributions on a sample of the test rows.
    sample
        The features of that sample, `(n_sample, n_features)`.
    """

    version: RegisteredVersion
    record: TrainingRecord
    aliases: tuple[str, ...]
    features: Mapping[str, Feature]
    frozen: FrozenSet
    gates: tuple[Gate, ...]
    capacity_share: float
    missed: float
    segments: tuple[SegmentReport, ...]
    parts: Contributions
    sample: pd.DataFrame


def gather(settings: Settings, store: Registry, version: RegisteredVersion) -> CardFacts:
    """Return the facts of a registered version, from the registry and its frozen training set.

    Raises
    ------
    DataError
        If the frozen set is gone or was changed since.
    """
    record = read_record(store, version)
    model = store.load_model(version)
    frozen = sets.find(settings, record.training_set_id)
    if frozen is None:
        raise DataError(
            f"Expected the frozen training set {record.training_set_id[:12]} that version "
            f"{version.model_version} was trained on, found none. Put it back: `holdfast freeze "
            f"--reproduce {record.training_set_id[:12]}`."
        )
    data, frame = _test_rows(settings, frozen, model, record.test_from, record.test_to)
    everything = np.ones(len(frame), dtype=bool)
    outcomes = data.outcomes(everything)
    score = model.raw_score(frame)
    forecast = Forecast(score, model.calibrator.probability(score))
    share = settings.train.capacity_share
    inside = called(score, share)
    churned = outcomes.target.sum()
    rng = np.random.default_rng(settings.seed)
    segments = by_segment(
        outcomes,
        forecast,
        _segments(data, frame, everything, settings.card.countries),
        share=share,
        samples=settings.train.bootstrap_samples,
        rng=rng,
    )
    sample = frame.iloc[_sample(len(frame), settings.card.explained_rows, rng)]
    with open_warehouse(settings, read_only=True) as warehouse:
        since = store.registered_at(version)
        gates = newest_verdict(warehouse, version, CHAMPION, since=since)
    return CardFacts(
        version=version,
        record=record,
        aliases=store.aliases_of(version),
        features=load_contract(settings.manifest_path).of(model.types),
        frozen=frozen,
        gates=gates,
        capacity_share=share,
        missed=float((outcomes.target * (1 - inside)).sum() / churned),
        segments=segments,
        parts=explain.contributions(model, sample),
        sample=sample,
    )


def _test_rows(
    settings: Settings, frozen: FrozenSet, model: ChurnModel, first: date, last: date
) -> tuple[LabelledRows, pd.DataFrame]:
    """Return the rows of the test dates, read from the frozen file."""
    path = sets.verify(settings, frozen)
    found = pq.read_table(
        path,
        columns=list(dict.fromkeys([*KEY_COLUMNS, *model.types])),
        filters=[("as_of_date", ">=", first), ("as_of_date", "<=", last)],
        use_threads=False,
    )
    keys: pa.Table = found.select(list(KEY_COLUMNS))
    return LabelledRows.of(keys), matrix.to_frame(found, model.types)


def _segments(
    data: LabelledRows, frame: pd.DataFrame, rows: NDArray[np.bool_], countries: int
) -> dict[str, Words]:
    kinds: dict[str, Any] = {
        name: merge_rare(words, len(words)) for name, words in data.segments(rows).items()
    }
    if _COUNTRY in frame.columns:
        country = merge_rare(frame[_COUNTRY].to_numpy(dtype=object), countries)
        if len(set(country)) > 1:
            kinds[_COUNTRY] = country
    kinds["as of"] = np.array([str(matrix.as_date(day)) for day in data.as_of_date], dtype=object)
    return kinds


def _sample(rows: int, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    if rows <= most:
        return np.arange(rows)
    return np.sort(rng.choice(rows, most, replace=False))
