"""Members of a shard: lossless, equal bytes each time, refused when the teacher errs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.dataset.decode import decode_image, decode_sketch
from pipeline.dataset.encode import encode_pair
from pipeline.pair import Pair


@pytest.fixture
def pair() -> Pair:
    random = np.random.default_rng(0)
    return Pair(
        index=12,
        image=random.integers(0, 256, (24, 40, 3), dtype=np.uint8),
        sketch=random.integers(0, 256, (24, 40), dtype=np.uint8),
        columns={"alpha": 0.25, "cdst_step": 12, "noise_seed": 2**64 - 1},
    )


def test_pictures_come_back_as_they_were(pair: Pair) -> None:
    encoded = encode_pair(pair)
    np.testing.assert_array_equal(decode_image(encoded.image), pair.image)
    np.testing.assert_array_equal(decode_sketch(encoded.sketch), pair.sketch)


def test_equal_bytes_each_time(pair: Pair) -> None:
    assert encode_pair(pair) == encode_pair(pair)


def test_metadata(pair: Pair) -> None:
    metadata = json.loads(encode_pair(pair).metadata)
    assert metadata["key"] == "000000012" and metadata["index"] == 12
    assert (metadata["height"], metadata["width"]) == (24, 40)
    assert metadata["alpha"] == 0.25 and metadata["cdst_step"] == 12
    assert metadata["noise_seed"] == "f" * 16, "JSON readers lose integers of 64 bits"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": np.zeros((24, 40, 3))}, "uint8.*got float64"),
        ({"image": np.zeros((24, 41, 3), np.uint8)}, r"got uint8 \(24, 41, 3\)"),
        ({"sketch": np.zeros((24, 40, 1), np.uint8)}, "sketch uint8"),
        ({"columns": {"alpha": float("nan")}}, "sample 12: column alpha is nan"),
        ({"columns": {"mask": [1]}}, "column mask"),
        ({"columns": {"count": 2**63}}, "64-bit"),
        ({"columns": {"width": 3}}, "names of the dataset's own"),
    ],
)
def test_what_a_teacher_may_not_give(pair: Pair, change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        encode_pair(replace(pair, **change))  # type: ignore[arg-type]
