import numpy as np
import pytest

from ml import resampling
from ml.metrics import METRICS, Forecast, Outcomes, measure_samples


def test_pieces_come_in_the_order_of_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.arange(21.0).reshape(7, 3)
    customer = np.array([2, 0, 2, 1])
    whole = resampling.over_samples(lambda some: some.sum(axis=-1), customer, weights)
    monkeypatch.setattr(resampling, "_CELLS_AT_ONCE", 8)
    pieces = resampling.over_samples(lambda some: some.sum(axis=-1), customer, weights)
    assert [len(piece) for piece in pieces] == [2, 2, 2, 1]
    assert len(whole) == 1
    expected = [row[2] * 2 + row[0] + row[1] for row in weights]
    assert np.concatenate(pieces).tolist() == whole[0].tolist() == expected


def test_an_error_in_a_piece_is_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "_CELLS_AT_ONCE", 1)

    def figure(some: np.ndarray) -> float:
        raise ValueError("no row to rank")

    with pytest.raises(ValueError, match="no row"):
        resampling.over_samples(figure, np.array([0]), np.ones((3, 1)))


def test_no_metric_depends_on_how_samples_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    target = (rng.random(300) < 0.1).astype(float)
    outcomes = Outcomes(
        target,
        np.where(target > 0, rng.integers(0, 90, 300), np.nan),
        rng.integers(1, 100, 300).astype(float),
        rng.integers(0, 80, 300),
    )
    # Probabilities that do not fall with the score, unlike those before calibration.
    score = rng.normal(size=300).round(1)
    forecast = Forecast(score, rng.random(300), 1 / (1 + np.exp(-score)))
    weights = rng.multinomial(80, np.full(80, 1 / 80), 30).astype(float)
    whole = measure_samples(outcomes, forecast, 0.1, weights)
    monkeypatch.setattr(resampling, "_CELLS_AT_ONCE", 900)
    pieces = measure_samples(outcomes, forecast, 0.1, weights)
    for metric in METRICS:
        np.testing.assert_allclose(pieces[metric], whole[metric], rtol=1e-12, err_msg=metric)
