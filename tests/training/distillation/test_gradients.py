"""The mean of gradients over two real processes, against literal averaging after the pass."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from torch import Tensor, distributed, nn

from training.distillation import gradients
from training.distillation.gradients import averaged, bucketed

WEIGHTS = (0.625, 0.375)  # of 8 pairs, 5 on rank 0


def make_network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 40, 3), nn.ReLU(), nn.Conv2d(40, 40, 3), nn.ReLU(), nn.Conv2d(40, 1, 3)
    ).to(memory_format=torch.channels_last)


def pictures(count: int, seed: int) -> Tensor:
    return torch.randn(count, 3, 12, 12, generator=torch.Generator().manual_seed(seed))


def averaged_afterwards(network: nn.Module, weight: float) -> list[Tensor | None]:
    """Sum each bucket's weighted gradients over the ranks when all of them are there."""
    means: dict[int, Tensor | None] = {}
    for bucket in bucketed(network.parameters()):
        present = [p for p in bucket if p.grad is not None]
        flat = torch.cat([p.grad.contiguous().flatten() for p in present]) * weight
        distributed.all_reduce(flat)
        parts = flat.split([p.numel() for p in present])
        means |= {id(p): part.view(p.shape) for p, part in zip(present, parts, strict=True)}
    return [means.get(id(p)) for p in network.parameters()]


def check_equal_to_averaging_afterwards(rank: int) -> None:
    batch = pictures(8, 1)
    share = batch[:5] if rank == 0 else batch[5:]
    ours, afterwards, whole = (make_network() for _ in range(3))
    with averaged(ours.parameters(), WEIGHTS[rank]):
        ours(share).square().mean().backward()
    afterwards(share).square().mean().backward()
    whole(batch).square().mean().backward()
    expected = averaged_afterwards(afterwards, WEIGHTS[rank])
    for mine, other, of_all in zip(ours.parameters(), expected, whole.parameters(), strict=True):
        assert mine.grad is not None and other is not None
        assert torch.equal(mine.grad, other)
        torch.testing.assert_close(mine.grad, of_all.grad)


def check_accumulated_gradients_count(rank: int) -> None:
    batch = pictures(8, 2)
    share = batch[:5] if rank == 0 else batch[5:]
    network, whole = make_network(), make_network()
    first, second = share[:2], share[2:]
    (network(first).square().mean() * (len(first) / len(share))).backward()
    with averaged(network.parameters(), WEIGHTS[rank]):
        (network(second).square().mean() * (len(second) / len(share))).backward()
    whole(batch).square().mean().backward()
    for mine, of_all in zip(network.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, of_all.grad)


def check_unused_parameters(rank: int) -> None:
    """The first layer is used by nobody, the second by rank 1 alone."""
    layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
    for layer in layers:
        nn.init.eye_(layer.weight)
        nn.init.zeros_(layer.bias)
    x = torch.ones(1, 4)
    with averaged(layers.parameters(), WEIGHTS[rank]):
        out = layers[2](layers[1](x) if rank else x)
        out.sum().backward()
    assert layers[0].weight.grad is None and layers[0].bias.grad is None
    torch.testing.assert_close(layers[1].weight.grad, torch.full((4, 4), WEIGHTS[1]))
    torch.testing.assert_close(layers[2].weight.grad, torch.ones(4, 4))


def check_hooks_are_gone(rank: int) -> None:
    network = make_network()
    with averaged(network.parameters(), WEIGHTS[rank]):
        network(pictures(1, rank)).sum().backward()
    before = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    network(pictures(1, rank)).sum().backward()  # nothing is sent: the other rank does not answer
    alone = make_network()
    alone(pictures(1, rank)).sum().backward()
    for now, then, added in zip(network.parameters(), before, alone.parameters(), strict=True):
        torch.testing.assert_close(now.grad, then + added.grad)
    with pytest.raises(ZeroDivisionError), averaged(network.parameters(), WEIGHTS[rank]):
        raise ZeroDivisionError
    assert not any(p._post_accumulate_grad_hooks for p in network.parameters())


def check_frozen_parts_stay_alone(rank: int) -> None:
    network = make_network()
    network[0].requires_grad_(False)
    with averaged(network.parameters(), WEIGHTS[rank]):
        network(pictures(1, rank)).sum().backward()
    assert network[0].weight.grad is None and network[2].weight.grad is not None


def check_buckets_leave_while_the_pass_runs(rank: int) -> None:
    """The first bucket is sent before the gradient of the first layer is computed."""
    network = make_network()
    events: list[str] = []
    send = gradients._Bucket.send

    def noted(bucket: gradients._Bucket) -> None:
        events.append("sent")
        send(bucket)

    gradients._Bucket.send = noted  # type: ignore[method-assign]
    try:
        hook = network[0].weight.register_hook(lambda gradient: events.append("first layer"))
        with averaged(network.parameters(), WEIGHTS[rank]):
            network(pictures(2, rank)).sum().backward()
        hook.remove()
    finally:
        gradients._Bucket.send = send  # type: ignore[method-assign]
    assert events.count("sent") > 1 and events[0] == "sent" and events[-1] == "sent"
    assert events.index("first layer") > 0


CHECKS: tuple[Callable[[int], None], ...] = (
    check_equal_to_averaging_afterwards,
    check_accumulated_gradients_count,
    check_unused_parameters,
    check_hooks_are_gone,
    check_frozen_parts_stay_alone,
    check_buckets_leave_while_the_pass_runs,
)


def run_rank(rank: int, port: int, results: str) -> None:
    torch.set_num_threads(1)
    gradients.LEAST_BYTES = 2**10  # several buckets in a small network
    distributed.init_process_group(
        "gloo", f"tcp://127.0.0.1:{port}", world_size=len(WEIGHTS), rank=rank
    )
    for check in CHECKS:
        try:
            check(rank)
            said = "ok"
        except AssertionError as error:
            said = f"failed: {error}"
        Path(results, f"{check.__name__}.{rank}").write_text(said)
        distributed.barrier()
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each check said on each of two ranks."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = mp.get_context("spawn")
    ranks = [
        context.Process(target=run_rank, args=(rank, port, str(folder)))
        for rank in range(len(WEIGHTS))
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(120)
        process.kill()
    return folder


@pytest.mark.parametrize("check", [check.__name__ for check in CHECKS])
@pytest.mark.parametrize("rank", range(len(WEIGHTS)))
def test_on_two_ranks(results: Path, check: str, rank: int) -> None:
    said = results / f"{check}.{rank}"
    assert said.is_file(), "the rank did not come so far"
    assert said.read_text() == "ok"


def test_buckets_are_the_same_for_all_and_the_last_layers_come_first() -> None:
    network = make_network()
    buckets = bucketed(network.parameters())
    assert [p for bucket in buckets for p in bucket] == list(network.parameters())[::-1]
    assert all(buckets)
    assert bucketed([]) == []
