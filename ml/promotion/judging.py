"""Ask all gates of one version, in their order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from ml.champion import read_record
from ml.contract import load_contract, type_differences
from ml.errors import DataError
from ml.estimators import ChurnModel
from ml.frozen import sets
from ml.frozen.sets import FrozenSet
from ml.progress import Progress, silent
from ml.promotion import gates
from ml.promotion.certificate import certified, newest_certificate
from ml.promotion.gates import Gate
from ml.promotion.measure import measure, precision_gain
from ml.promotion.probed import no_critical_probe, probed
from ml.promotion.rows import read_rows
from ml.records import TrainingRecord
from ml.registry import CHAMPION, RegisteredVersion, Registry
from ml.settings import Settings
from ml.warehouse import Warehouse, open_warehouse

_RELATION = "gold.customer_360"


@dataclass(frozen=True)
class Contender:
    """A version with its model and the record of its training."""

    version: RegisteredVersion
    model: ChurnModel
    record: TrainingRecord

    @classmethod
    def load(cls, store: Registry, version: RegisteredVersion) -> "Contender":
        """Load a version from the registry.

        Raises
        ------
        DataError
            If other code stored it, in a form that this code cannot read.
        HoldfastError
            If the registry or its files are gone.
        """
        return cls(version, store.load_model(version), read_record(store, version))


def judge_for(
    settings: Settings,
    store: Registry,
    version: RegisteredVersion,
    alias: str,
    *,
    certificate_may_be_missing: bool,
    progress: Progress | None = None,
) -> tuple[Gate, ...]:
    """Ask every gate whether a version may have an alias.

    On its way to staging a version answers for itself; on its way to champion it is also held
    against the one that serves.

    Raises
    ------
    HoldfastError
        Where the warehouse or the registry cannot be used.
    """
    say = progress or silent
    say("Loading the version", 0, 0)
    own = Contender.load(store, version)
    frozen = sets.find(settings, own.record.training_set_id)
    found: list[Gate] = []
    say("Measuring what the gates ask", 0, 0)
    with open_warehouse(settings, read_only=True) as warehouse:
        differences = feature_differences(settings, warehouse, own.model)
        found += _measured(settings, warehouse, own, differences)
        if alias == CHAMPION:
            found.append(_against_champion(settings, store, warehouse, own, differences))
        found.append(
            certified(
                newest_certificate(warehouse),
                _trained_on(frozen),
                least=settings.promote.min_certified_dates,
                may_be_missing=certificate_may_be_missing,
            )
        )
    say("Probing the training set", 0, 0)
    found.append(
        gates.unmeasured(
            gates.NO_CRITICAL_PROBE, "the frozen set that it was trained on is gone: train again"
        )
        if frozen is None
        else no_critical_probe(probed(settings, frozen, progress=say))
    )
    found.append(gates.features_in_contract(differences, len(own.model.types)))
    return tuple(found)


def feature_differences(
    settings: Settings, warehouse: Warehouse, model: ChurnModel
) -> Sequence[str]:
    """Return what of a model's features the contract or the warehouse lacks, in sentences."""
    declared = type_differences(model.types, load_contract(settings.manifest_path).types)
    built = type_differences(model.types, warehouse.columns(_RELATION))
    return tuple(dict.fromkeys([*declared, *built]))


def unseen_since(*contenders: Contender) -> date:
    """Return the first day of which none of some versions was trained on a row."""
    return max(each.record.training_cutoff for each in contenders).date()


def _measured(
    settings: Settings, warehouse: Warehouse, own: Contender, differences: Sequence[str]
) -> list[Gate]:
    if differences:
        told = "nothing can be measured without the features of the model"
        return [gates.unmeasured(gate, told) for gate in gates.MEASURED]
    try:
        rows = read_rows(warehouse, [own.model], since=unseen_since(own))
    except DataError as error:
        return [gates.unmeasured(gate, str(error)) for gate in gates.MEASURED]
    bounds = settings.promote
    figures = measure(
        rows,
        own.model,
        samples=settings.train.bootstrap_samples,
        rng=np.random.default_rng(settings.seed),
    )
    return [
        gates.enough_churners(rows.churners, rows.rows, len(rows.dates), least=bounds.min_churners),
        gates.beats_recency(
            figures.gain, figures.base_rate, baseline=figures.baseline, min_gain=bounds.min_gain
        ),
        gates.average_precision(figures.precision, figures.base_rate, min_lift=bounds.min_lift),
        gates.calibrated(
            figures.calibration_error,
            figures.calibration_by_chance,
            figures.base_rate,
            most=bounds.max_calibration_error,
        ),
    ]


def _against_champion(
    settings: Settings,
    store: Registry,
    warehouse: Warehouse,
    own: Contender,
    differences: Sequence[str],
) -> Gate:
    serves = store.champion(own.version.model_name)
    if serves is None:
        return gates.no_rival("there is no champion")
    if serves == own.version:
        return gates.no_rival("it is the champion")
    try:
        champion = Contender.load(store, serves)
    except DataError as error:
        return gates.no_rival(f"the champion can score nobody. {error}")
    if differences:
        return gates.unmeasured(
            gates.NOT_WORSE, "nothing can be measured without the features of the model"
        )
    if feature_differences(settings, warehouse, champion.model):
        return gates.no_rival(
            f"the champion, version {serves.model_version}, can score nobody: the warehouse lacks "
            "some of its features"
        )
    try:
        rows = read_rows(warehouse, [own.model, champion.model], since=unseen_since(own, champion))
    except DataError as error:
        return gates.unmeasured(gates.NOT_WORSE, str(error))
    difference = precision_gain(
        rows.outcomes,
        rows.forecasts(own.model)[own.model.family],
        rows.forecasts(champion.model)[champion.model.family],
        samples=settings.train.bootstrap_samples,
        rng=np.random.default_rng(settings.seed),
    )
    return gates.not_worse_than_champion(
        difference, serves.model_version, rows.rows, len(rows.dates)
    )


def _trained_on(frozen: FrozenSet | None) -> dict[date, str]:
    """Return the fingerprints of the dates that have labels in a frozen set."""
    if frozen is None:
        return {}
    return {each.as_of_date: each.gold_fingerprint for each in frozen.dates if each.labelled}
