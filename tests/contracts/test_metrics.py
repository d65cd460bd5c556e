"""Every metric of the registry keeps to the contract, and a new one can."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.arrays import Pixels
from tests.contracts import metric_contract as contract
from tests.standins.tiny_encoders import write_perceptual
from training.encoders.lpips import Perceptual, load_perceptual
from training.evaluation.evaluate import ScoringNetworks, evaluate
from training.evaluation.metrics import Better, PictureScores
from training.evaluation.pairs import EvaluationPair
from training.evaluation.registry import METRICS


@pytest.fixture(scope="module")
def perceptual(tmp_path_factory: pytest.TempPathFactory) -> Perceptual:
    return load_perceptual(write_perceptual(tmp_path_factory.mktemp("perceptual")))


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(METRICS))
def test_metrics(name: str, check: contract.Check, perceptual: Perceptual) -> None:
    check(lambda: METRICS[name](perceptual))


@pytest.mark.parametrize("name", sorted(METRICS))
def test_metrics_bear_their_name_in_the_registry(name: str, perceptual: Perceptual) -> None:
    assert METRICS[name](perceptual).name == name


class MeanDifference(PictureScores):
    """All that a new metric takes: a name, a direction, a score, and a line in the registry."""

    name = "mean-difference"
    better: Better = "lower"

    def score(self, drawing: Pixels, truth: Pixels) -> float:
        return float(np.abs(drawing.astype(int) - truth).mean())


def test_a_new_metric_is_a_class_and_a_line(
    perceptual: Perceptual, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METRICS, "mean-difference", lambda perceptual: MeanDifference())
    for check in contract.CHECKS:
        check(lambda: METRICS["mean-difference"](perceptual))
    test_metrics_bear_their_name_in_the_registry("mean-difference", perceptual)
    pairs = [
        EvaluationPair(
            f"{seed}", lambda seed=seed: (np.dstack([contract.page(seed)] * 3), contract.page(seed))
        )
        for seed in range(2)
    ]
    result = evaluate({}, pairs, "x", ScoringNetworks(perceptual), ["mean-difference", "ssim"])
    assert result["better"] == {"mean-difference": "lower", "ssim": "higher"}
    ink = np.mean([np.mean(255 - contract.page(seed)) for seed in range(2)])
    assert result["systems"]["blank"]["mean-difference"]["mean"] == pytest.approx(ink)


class Backwards(MeanDifference):
    """A metric that names the wrong direction, to see that the contract would notice."""

    better: Better = "higher"


@pytest.mark.parametrize(
    "check",
    [contract.check_equal_drawings_score_best, contract.check_the_direction_is_the_one_named],
)
def test_a_metric_that_names_the_wrong_direction_fails(check: contract.Check) -> None:
    with pytest.raises(AssertionError):
        check(Backwards)
