"""Names inside a dataset's root (docs/dataset-format.md)."""

from __future__ import annotations

import re

PLAN = "plan.json"
MANIFEST = "manifest.json"
CARD = "README.md"
GALLERY = "gallery.html"
SHARDS = "shards/"
INDEX = "index/"
COMMITS = "commits/"
QUARANTINE = "quarantine/"
# Heartbeats of the workers that are making the dataset; not part of a finished one.
WORKERS = "workers/"

IMAGE_SUFFIX = "image.webp"
SKETCH_SUFFIX = "sketch.png"
METADATA_SUFFIX = "json"
# Order of a sample's members in its shard.
SUFFIXES = (IMAGE_SUFFIX, SKETCH_SUFFIX, METADATA_SUFFIX)

MAX_SAMPLES = 10**9
# What is tested (docs/scale.md) with some room; a manifest has half a kilobyte for each.
MAX_SHARDS = 10**6

# A shard's number has five digits, and from 100,000 on as many as it takes.
SHARD_NUMBER = "[0-9]{5}|[1-9][0-9]{5}"

_COMMIT = re.compile(rf"commits/({SHARD_NUMBER})\.json")
_QUARANTINE = re.compile(r"quarantine/([0-9]{9})\.json")
_MEMBER = re.compile(r"([0-9]{9})\.(image\.webp|sketch\.png|json)")


def shard_key(shard: int) -> str:
    """Return the name of a shard's tar file."""
    return f"{SHARDS}{shard:05d}.tar"


def index_key(shard: int) -> str:
    """Return the name of a shard's index."""
    return f"{INDEX}{shard:05d}.parquet"


def commit_key(shard: int) -> str:
    """Return the name of a shard's commit record."""
    return f"{COMMITS}{shard:05d}.json"


def quarantine_key(index: int) -> str:
    """Return the name of the record of a quarantined sample."""
    return f"{QUARANTINE}{index:09d}.json"


def sample_key(index: int) -> str:
    """Return the key of a sample: its index in nine digits."""
    return f"{index:09d}"


def committed_shard(key: str) -> int | None:
    """Return the number of the shard that a commit record's name is for; None for other names."""
    match = _COMMIT.fullmatch(key)
    return int(match[1]) if match else None


def quarantined_sample(key: str) -> int | None:
    """Return the index of the sample that a quarantine record's name is for; None for others."""
    match = _QUARANTINE.fullmatch(key)
    return int(match[1]) if match else None


def member_address(name: str) -> tuple[int, str] | None:
    """Split a member's name into (sample index, suffix); return None for names of other forms."""
    match = _MEMBER.fullmatch(name)
    return (int(match[1]), match[2]) if match else None
