"""The mean of gradients over ranks, on its way while the backward pass still runs.

Gradients travel in buckets. A bucket leaves as soon as it is full, in an order that is the same on
every rank; the backward pass goes on meanwhile with the layers before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn

# Large enough for the network, small enough that the first leaves early.
BUCKET_BYTES = 16 * 2**20
FEWEST_BUCKETS = 4  # where that leaves at least LEAST_BYTES in each
LEAST_BYTES = 2**18


@contextmanager
def averaged(parameters: Iterable[nn.Parameter], weight: float) -> Iterator[None]:
    """Replace gradients by their weighted mean over all ranks; one backward pass runs within.

    On leaving the context the means are in place. Gradients that were there before are counted,
    so that an earlier pass may have accumulated some. A parameter without a gradient on any rank
    keeps none; one that only some ranks use counts as zero on the others.

    Args:
        parameters: the same on every rank, in the same order.
        weight: of this rank; those of all ranks sum to 1.
    """
    buckets = [_Bucket(inside, weight) for inside in bucketed(parameters)]
    waiting = deque(buckets)

    def send_full() -> None:
        while waiting and not waiting[0].missing:
            waiting.popleft().send()

    def hook_of(bucket: _Bucket) -> Callable[[Tensor], None]:
        def arrived(parameter: Tensor) -> None:
            assert id(parameter) in bucket.missing, "one backward pass at a time"
            bucket.missing.remove(id(parameter))
            send_full()

        return arrived

    hooks = [
        parameter.register_post_accumulate_grad_hook(hook_of(bucket))
        for bucket in buckets
        for parameter in bucket.parameters
    ]
    try:
        yield
        for bucket in buckets:
            bucket.missing.clear()  # what is still missing is not used
        send_full()
        for bucket in buckets:
            bucket.receive()
    finally:
        for hook in hooks:
            hook.remove()


def bucketed(parameters: Iterable[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Divide parameters into buckets, the last first: the backward pass comes to them first."""
    backwards = [parameter for parameter in parameters if parameter.requires_grad][::-1]
    total_bytes = sum(parameter.nbytes for parameter in backwards)
    full_bytes = min(BUCKET_BYTES, max(total_bytes // FEWEST_BUCKETS, LEAST_BYTES))
    buckets: list[list[nn.Parameter]] = []
    size_bytes = full_bytes
    for parameter in backwards:
        if size_bytes >= full_bytes:
            buckets.append([])
            size_bytes = 0
        buckets[-1].append(parameter)
        size_bytes += parameter.nbytes
    return buckets


class _Bucket:
    """Some parameters, and their gradients under way."""

    def __init__(self, parameters: list[nn.Parameter], weight: float) -> None:
        self.parameters, self.weight = parameters, weight
        self.missing = {id(parameter) for parameter in parameters}

    def send(self) -> None:
        """Start the sum over ranks of the weighted gradients, and of who has one."""
        first = self.parameters[0]
        sizes = [parameter.numel() for parameter in self.parameters]
        self.flat = torch.zeros(sum(sizes) + len(sizes), dtype=first.dtype, device=first.device)
        *parts, self.used = self.flat.split([*sizes, len(sizes)])
        self.parts = [part.view_as(p) for part, p in zip(parts, self.parameters, strict=True)]
        self.local = [number for number, p in enumerate(self.parameters) if p.grad is not None]
        if self.local:
            torch._foreach_copy_([self.parts[n] for n in self.local], self._gradients())
        if len(self.local) == len(self.parameters):
            self.used.fill_(1.0)
        else:
            self.used[self.local] = 1.0
        self.flat.mul_(self.weight)
        self.work = distributed.all_reduce(self.flat, async_op=True)

    def receive(self) -> None:
        """Wait for the sum and put it in the place of the gradients."""
        self.work.wait()
        if self.local:
            torch._foreach_copy_(self._gradients(), [self.parts[n] for n in self.local])
        if len(self.local) == len(self.parameters):
            return  # the usual case does not make a GPU wait
        used = self.used.tolist()
        for number, (parameter, part) in enumerate(zip(self.parameters, self.parts, strict=True)):
            if used[number] and parameter.grad is None:
                parameter.grad = part.clone()

    def _gradients(self) -> list[Tensor]:
        return [p.grad for p in self.parameters if p.grad is not None]
