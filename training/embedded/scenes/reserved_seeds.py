"""Which seeds of scenes are reserved for what: no model is evaluated on scenes that it trained on.

A scene is a function of its seed alone, so disjoint ranges are enough.
"""

from __future__ import annotations

# What the embedded models learn from; a training takes as many as it needs, from the first.
TRAINING_SEEDS = range(0, 10**9)
# What the embedded models' own card evaluates them on.
HELD_OUT_SEEDS = range(10**9, 2**32)
# Pairs of the benchmarks' stand-in for a teacher.
BENCHMARK_SEEDS = range(2**32, 2**40)
# Scenes and captions that extractors and ablations are evaluated on.
EVALUATION_SEEDS = range(2**40, 2**41)
# Captions that the embedded backbone's condition prior is fitted to.
CAPTION_SEEDS = range(2**41, 2**42)
# Scenes that are an ablation's example.
EXAMPLE_SEEDS = range(2**42, 2**43)
