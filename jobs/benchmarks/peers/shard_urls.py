"""Where the shards of a dataset are to be opened by tools that know nothing of ours."""

from __future__ import annotations

from pathlib import Path

import boto3

from pipeline.dataset.manifest import read_manifest
from pipeline.storage.address import open_store
from pipeline.storage.local import LocalStore

_SECONDS = 3600


def shard_urls(address: str) -> list[str]:
    """List the paths of a local dataset's shards, or signed HTTP addresses of a far one's."""
    store = open_store(address)
    names = [shard.tar.name for shard in read_manifest(store).shards]
    if isinstance(store, LocalStore):
        return [str(Path(store.root) / name) for name in names]
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    client = boto3.session.Session().client("s3")
    return [
        client.generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": f"{prefix}/{name}"}, ExpiresIn=_SECONDS
        )
        for name in names
    ]
