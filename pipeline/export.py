"""A dataset as loose files, for tools that read no tar.

FOLDER/images/KEY.webp, FOLDER/sketches/KEY.png    an ImageFolder of two classes
FOLDER/metadata.jsonl                              what Hugging Face's imagefolder joins to them
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from pipeline import canonical, layout
from pipeline.manifest import ManifestShard, read_manifest
from pipeline.shards import ShardError, list_members
from pipeline.storage.store import Store

OnEvent = Callable[..., None]

METADATA = "metadata.jsonl"
_PLACES = {layout.IMAGE_SUFFIX: ("images", ".webp"), layout.SKETCH_SUFFIX: ("sketches", ".png")}


def export(store: Store, folder: Path, on_event: OnEvent) -> int:
    """Write a finished dataset's pairs as files; return their number.

    Pictures are copied as they are, not encoded again. The metadata come last: without them an
    export is not finished.

    Raises:
        ManifestError: the dataset is not finished.
        ShardError: a shard is not what the manifest says.
        ValueError: the folder is not empty.
    """
    manifest = read_manifest(store)
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; choose a new folder to export to")
    for name, _ in _PLACES.values():
        (folder / name).mkdir(parents=True, exist_ok=True)
    lines: list[bytes] = []
    for done, shard in enumerate(manifest.shards, start=1):
        lines += _export_shard(store, shard, folder)
        on_event("export", done=done, total=len(manifest.shards))
    (folder / METADATA).write_bytes(b"".join(line + b"\n" for line in lines))
    return len(lines)


def _export_shard(store: Store, shard: ManifestShard, folder: Path) -> list[bytes]:
    tar = store.read(shard.tar.name)
    if canonical.sha256(tar) != shard.tar.sha256:
        raise ShardError(f"{shard.tar.name} has changed since it was committed; see verify")
    lines: list[bytes] = []
    names: dict[str, str] = {}
    for member in list_members(tar):
        content = tar[member.offset : member.offset + member.size]
        if member.suffix == layout.FACTS_SUFFIX:
            lines.append(canonical.to_line(names | json.loads(content)))
            continue
        place, extension = _PLACES[member.suffix]
        name = f"{place}/{layout.sample_key(member.index)}{extension}"
        (folder / name).write_bytes(content)
        names["file_name" if place == "images" else "sketch_file_name"] = name
    return lines
