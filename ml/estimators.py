"""The model that is kept: a fitted family, its calibrator and the baselines beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from ml.baselines import BaseRate, RecencyAlone
from ml.calibration import Calibrator
from ml.families.encode import encoded_sources
from ml.families.protocol import CLASSIFY, ENCODE, Classifier, raw_score
from ml.policies import Policies

Floats = NDArray[np.float64]


class ChurnModel(BaseEstimator):  # type: ignore[misc]
    """A fitted family with its calibrator, the features it needs and the baselines beside it.

    Parameters
    ----------
    family
        Its name, one of `families.ALL_FAMILIES`.
    types
        Feature to type, in the contract's order: what a frame must hold.
    features_hash
        The contract's hash.
    pipeline
        Fitted on the training rows.
    calibrator
        Fitted on scores of rows that the fits giving them had not seen.
    recency, base_rate
        The baselines, fitted on the training rows.
    policies
        From which probability on a customer is an alert.
    """

    def __init__(
        self,
        family: str,
        types: Mapping[str, str],
        features_hash: str,
        pipeline: Pipeline,
        calibrator: Calibrator,
        recency: RecencyAlone | None = None,
        base_rate: BaseRate | None = None,
        policies: Policies | None = None,
    ) -> None:
        self.family = family
        self.types = types
        self.features_hash = features_hash
        self.pipeline = pipeline
        self.calibrator = calibrator
        self.recency = recency
        self.base_rate = base_rate
        self.policies = policies

    def encode(self, frame: pd.DataFrame) -> Floats:
        """Return the encoded columns, `(n_observations, n_encoded)`."""
        return np.asarray(self.pipeline.named_steps[ENCODE].transform(frame), dtype=np.float64)

    @property
    def classifier(self) -> Classifier:
        """Return the pipeline's last step."""
        last: Classifier = self.pipeline.named_steps[CLASSIFY]
        return last

    def raw_score(self, frame: pd.DataFrame) -> Floats:
        """Return raw scores in log-odds, before calibration."""
        return raw_score(self.pipeline, frame)

    def predict(self, frame: pd.DataFrame) -> Floats:
        """Return calibrated churn probabilities."""
        return np.asarray(self.calibrator.probability(self.raw_score(frame)))


@dataclass(frozen=True)
class Importance:
    """How much each feature weighs in a model, largest first, summing to 1."""

    features: tuple[str, ...]
    shares: tuple[float, ...] = field(default=())


def importance(model: ChurnModel) -> Importance:
    """Return the share of each feature: of the gain in trees, of usual moves in the linear."""
    sources = pd.Series(model.classifier.importance(), index=encoded_sources(model.pipeline))
    shares = sources.groupby(level=0).sum().sort_index()
    shares = shares.iloc[np.argsort(-shares.to_numpy(), kind="stable")]
    return Importance(tuple(shares.index), tuple(float(share) for share in shares))
