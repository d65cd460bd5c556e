"""Benchmark `encode`: a pair to a shard's three members, against Pillow's PNG defaults."""

from __future__ import annotations

import time
from collections.abc import Sequence

from jobs.benchmarks.measure import BenchmarkResult, BenchmarkScore, Effort, ratios, take_turns
from jobs.benchmarks.standins.pictures import photograph_pairs
from pipeline.dataset.encode import encode_pair
from pipeline.images.write import png_bytes
from pipeline.pair import Pair

_SIDE = 512
_NUM_PAIRS = 7


def measure_encode(effort: Effort) -> BenchmarkResult:
    """Encode photographs and their XDoG drawings on one thread.

    Ours includes what the peer leaves out: scores, metadata and the checks of the arrays.
    """
    side, count = (64, 2) if effort.tiny else (_SIDE, _NUM_PAIRS)
    pairs = photograph_pairs(count, side)
    ours_s, peer_s = take_turns(
        lambda: _ours(pairs), lambda: _peer(pairs), effort.rounds, time.thread_time
    )
    ours_bytes, peer_bytes = _ours(pairs), _peer(pairs)
    return BenchmarkResult(
        workload=f"{count} photographs of {side} px with XDoG drawings: encode(), scores included; "
        "processor time of one thread",
        peer="Pillow's PNG with its defaults, image and drawing, nothing else",
        scores=(
            BenchmarkScore("times as fast", ratios(peer_s, ours_s), 4.0, at_least=True),
            BenchmarkScore("size of the peer's", (ours_bytes / peer_bytes,), 1.0, at_least=False),
        ),
        seconds={"ours": ours_s, "peer": peer_s},
        metadata={
            "pairs": count,
            "ours_kB_per_pair": ours_bytes / count / 1e3,
            "peer_kB_per_pair": peer_bytes / count / 1e3,
        },
    )


def _ours(pairs: Sequence[Pair]) -> int:
    encoded = [encode_pair(pair) for pair in pairs]
    return sum(len(content) for pair in encoded for _, content in pair.members)


def _peer(pairs: Sequence[Pair]) -> int:
    return sum(len(png_bytes(pair.image)) + len(png_bytes(pair.sketch)) for pair in pairs)
