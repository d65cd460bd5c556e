"""Batches that are always full, so that a sample's result does not depend on its neighbours.

Kernels may round differently at another batch size. So every batch has a fixed number of slots,
sample i sits in slot i mod slots, and empty slots are filled with copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Generic, Protocol, TypeVar


class Indexed(Protocol):
    """Anything with a sample's index: an address, or the pair itself."""

    @property
    def index(self) -> int:
        """Index of the sample in its plan."""
        ...


Item = TypeVar("Item", bound=Indexed)


@dataclass(frozen=True)
class SlotBatch(Generic[Item]):
    """One batch: what was asked for, and one item for every slot."""

    asked: tuple[Item, ...]
    filled: tuple[Item, ...]

    def slot(self, item: Item) -> int:
        """Return the slot of an item."""
        return item.index % len(self.filled)


def slot_batches(items: Sequence[Item], slots: int) -> Iterator[SlotBatch[Item]]:
    """Yield items in the batches that they are always made in, in their order."""
    for _, group in groupby(items, key=lambda item: item.index // slots):
        asked = tuple(group)
        of_slot = {item.index % slots: item for item in asked}
        yield SlotBatch(asked, tuple(of_slot.get(slot, asked[0]) for slot in range(slots)))
