"""Several finished datasets of one style, read as one: a style gets more samples that way.

A dataset itself cannot grow, because how far each sample lies from the example depends on how many
there are (docs/design.md, "Sample addressing").
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, chain
from pathlib import Path

from pipeline.reading.checked_shard import PixelPair
from pipeline.reading.dataset import PublishedDataset


class PublishedUnion:
    """The shards of several datasets, numbered through; one dataset alone reads as it does itself.

    Raises:
        ValueError: the datasets are of different styles, or one of them is there twice.
    """

    def __init__(self, datasets: Sequence[PublishedDataset]) -> None:
        self.datasets = tuple(datasets)
        first = self.datasets[0]
        for number, dataset in enumerate(self.datasets):
            if dataset.manifest.style != first.manifest.style:
                raise ValueError(
                    f"{dataset.store.url} is a dataset of the style {dataset.manifest.style!r}, "
                    f"and {first.store.url} one of {first.manifest.style!r}: expected datasets of "
                    "one style in distill.also"
                )
            if dataset.sha256 in self.sha256s[:number]:
                raise ValueError(
                    f"{dataset.store.url} is there twice: expected other datasets in distill.also "
                    "than the run's own, each once"
                )
        counts = (len(dataset.manifest.shards) for dataset in self.datasets)
        self._starts = list(accumulate(counts, initial=0))[:-1]

    @classmethod
    def open(
        cls, urls: Sequence[str], cache: Path | None, where: str, cache_bytes: int | None
    ) -> PublishedUnion:
        """Open the datasets at all of these addresses, as `PublishedDataset.open` does each."""
        return cls([PublishedDataset.open(url, cache, where, cache_bytes) for url in urls])

    @property
    def sha256s(self) -> list[str]:
        """The SHA-256 of each manifest."""
        return [dataset.sha256 for dataset in self.datasets]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of pairs in each shard."""
        return tuple(chain.from_iterable(dataset.sizes for dataset in self.datasets))

    def reserve(self, shards: int) -> None:
        """Make room for reading from so many shards at the same time, be they all of one dataset.

        Raises:
            ValueError: the cache is too small for them.
        """
        for dataset in self.datasets:
            dataset.reserve(shards)

    def prefetch(self, shard: int) -> None:
        """Fetch and check a shard, as `PublishedDataset.prefetch`."""
        dataset, within = self._find(shard)
        dataset.prefetch(within)

    def pair(self, shard: int, position: int) -> PixelPair:
        """Read one pair, as `PublishedDataset.pair`."""
        dataset, within = self._find(shard)
        return dataset.pair(within, position)

    def _find(self, shard: int) -> tuple[PublishedDataset, int]:
        number = bisect_right(self._starts, shard) - 1
        return self.datasets[number], shard - self._starts[number]
