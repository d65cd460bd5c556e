"""Benchmark `distill`: both sides do the same training, so that their times can be compared."""

from __future__ import annotations

import pytest
import torch

from jobs.bench import EXTRA
from jobs.benchmarks import distilling
from jobs.benchmarks.measure import Effort
from training.distillation.spec import Execution
from training.distillation.step import to_batch


def test_the_loop_as_published_trains_as_the_step_does() -> None:
    workload = distilling._Workload("small", 2, 64, 1)
    features = distilling._features("small", "cpu")
    ours = distilling._Ours("small", features, Execution())
    peer = distilling._Peer("small", features, "cpu")
    batch = to_batch(*distilling._pictures(workload), "cpu")
    for _ in range(2):
        found, expected = ours.step(batch), peer.step(batch)
        assert found.keys() == expected.keys()
        for name, loss in expected.items():
            assert float(found[name]) == pytest.approx(float(loss), rel=1e-3)
    weights = zip(ours.state.student.network.parameters(), peer.generator.parameters(), strict=True)
    # Adam turns rounding errors of a gradient that is zero into whole steps.
    assert all((mine - other).abs().mean() < 1e-4 for mine, other in weights)


def test_a_difference_would_be_seen() -> None:
    """The first losses of other weights are other losses."""
    features = distilling._features("small", "cpu")
    peer = distilling._Peer("small", features, "cpu")
    batch = to_batch(*distilling._pictures(distilling._Workload("small", 1, 64, 1)), "cpu")
    first = peer.step(batch)
    with torch.no_grad():
        for parameter in peer.generator.parameters():
            parameter.mul_(1.5)
    second = peer.step(batch)
    differences = [abs(float(second[name]) / float(loss) - 1) for name, loss in first.items()]
    assert max(differences) > distilling._LOSS_TOLERANCE


def test_it_runs_and_tells_what_it_ran_on() -> None:
    found = EXTRA["distill"](Effort(rounds=1, tiny=True, device="cpu"))
    assert {score.name for score in found.scores} == {
        "times as fast, small",
        "difference of the first losses, small",
    }
    assert found.scores[1].median < 1e-3
    assert found.metadata["torch"] == torch.__version__
    assert found.metadata["small_pairs_per_s_ours"] > 0
