"""The contents of a shard that anybody may have written, checked against the manifest."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline import canonical
from pipeline.arrays import Pixels
from pipeline.dataset import layout
from pipeline.dataset.decode import decode_image, decode_sketch
from pipeline.dataset.manifest import ManifestShard
from pipeline.dataset.tar import Member, ShardError, list_members

# Image uint8 (H, W, 3) and sketch uint8 (H, W), 255 = paper.
PixelPair = tuple[Pixels, Pixels]


@dataclass(frozen=True)
class CheckedMember:
    """Where a member is in its shard, in bytes, and its SHA-256 when the shard was checked."""

    offset: int
    size: int
    sha256: str


@dataclass(frozen=True)
class CheckedSample:
    """One sample of a checked shard."""

    index: int
    image: CheckedMember
    sketch: CheckedMember
    metadata: CheckedMember

    def __str__(self) -> str:
        return f"sample {layout.sample_key(self.index)}"


def check_samples(record: ManifestShard, data: bytes) -> list[CheckedSample]:
    """Check a shard's table of contents; nothing is decoded.

    Raises:
        ShardError: the tar is broken, or its samples are not those of the manifest's `record`.
    """
    samples = _samples(data, list_members(data))
    foreign = [s.index for s in samples if not record.first <= s.index <= record.last]
    if foreign:
        raise ShardError(
            f"sample {foreign[0]} does not belong to this shard ({record.first} to {record.last})"
        )
    if len(samples) != record.pairs:
        raise ShardError(f"expected {record.pairs} pairs, found {len(samples)}")
    return samples


def decode_pair(image_bytes: bytes, sketch_bytes: bytes) -> PixelPair:
    """Decode the pictures of a pair.

    Raises:
        ShardError: a picture is broken or hostile, or the two differ in size.
    """
    image, sketch = decode_image(image_bytes), decode_sketch(sketch_bytes)
    if image.shape[:2] != sketch.shape:
        raise ShardError(
            f"image of {image.shape[1]} x {image.shape[0]} pixels, "
            f"sketch of {sketch.shape[1]} x {sketch.shape[0]}; expected equal sizes"
        )
    return image, sketch


def _checked_member(data: bytes, member: Member) -> CheckedMember:
    content = data[member.offset : member.offset + member.size]
    return CheckedMember(member.offset, member.size, canonical.sha256(content))


def _samples(data: bytes, members: list[Member]) -> list[CheckedSample]:
    width = len(layout.SUFFIXES)
    samples = []
    for start in range(0, len(members), width):
        by_suffix = {member.suffix: member for member in members[start : start + width]}
        checked = (_checked_member(data, by_suffix[suffix]) for suffix in layout.SUFFIXES)
        samples.append(CheckedSample(members[start].index, *checked))
    return samples
