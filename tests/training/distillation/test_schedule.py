"""When distillation does what: each batch once, the true pair on time, the rate."""

from __future__ import annotations

import pytest

from training.distillation.schedule import Schedule


@pytest.mark.parametrize("num_batches", [1, 14, 15, 16, 30, 1000])
@pytest.mark.parametrize("every", [2, 5, 16])
def test_every_batch_is_used_once_and_the_true_pair_on_time(num_batches: int, every: int) -> None:
    schedule = Schedule(num_batches, every, 1e-3)
    cursor = 0
    for iteration in range(schedule.iterations):
        assert schedule.batches_before(iteration) == cursor
        assert schedule.is_true_pair(iteration) == ((iteration + 1) % every == 0)
        cursor += not schedule.is_true_pair(iteration)
    assert cursor == num_batches


def test_rate_is_constant_and_then_falls_in_a_line() -> None:
    schedule = Schedule(200, 1000, 2e-4)
    assert [schedule.rate(i) for i in (0, 50, 100)] == pytest.approx([2e-4] * 3)
    assert schedule.rate(150) == pytest.approx(1e-4)
    assert 0 < schedule.rate(199) < 3e-6
    assert Schedule(200, 1000, 2e-4, constant_share=1.0).rate(199) == 2e-4


def test_a_dataset_that_is_never_seen_is_refused() -> None:
    with pytest.raises(ValueError, match="true_pair_every: expected 2 or more, got 1"):
        Schedule(10, 1, 1e-3)
