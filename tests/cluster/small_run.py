"""A recipe that two busy cores are through with in minutes, and the places of its run."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from tests.servers.cluster import Cluster
from tests.servers.machine import HOME, ROOT, Machine

BUCKET = "runs"
# Found again wherever they do not belong; the S3 server's own secret is another such word.
TOKEN = "canary-token-5f3c9a1e7b2d4860"
SESSION = "canary-session-e1d07c64b83f2a95"
FOLDER = f"{HOME}/styles"
DRAWING = ROOT / "jobs" / "styles" / "xdog" / "xdog.png"
SHARDS = 24
RECIPE: dict[str, Any] = {
    "style": "tiny",
    "backbone": "embedded",
    "example": {
        "prompt": "a red house on grass under a blue sky",
        "seed": 50,
        "drawing": "drawing.png",
    },
    "sampler": {"steps": 12, "guidance": 2.0, "batch": 2},
    "teach": {"iterations": 4, "diffusion_duration": 3, "timesteps": [0, 2]},
    "dataset": {"samples": 2 * SHARDS, "shard_size": 2},
    "distill": {"preset": "small", "epochs": 3, "batch": 4, "workers": 2},
}
# What tells how a run went and when, and the lists of bundles that hold such files.
_OF_ONE_RUN = re.compile(
    r"(events|generation)/.*|dataset/workers/.*|extractor/(metrics\.jsonl|files\.json)"
)
_HASH = re.compile(rb"[0-9a-f]{64}")
_PATIENCE_S = 600.0


def send_recipe(machine: Machine, **changes: Mapping[str, Any]) -> str:
    """Write recipe and drawing on a machine and return the recipe's path there.

    Args:
        machine: where to.
        changes: by section of the recipe, keys with values other than RECIPE's.
    """
    sections = {name: {**RECIPE[name], **values} for name, values in changes.items()}
    name = "-".join(["tiny", *changes])
    machine.write(f"{FOLDER}/{name}.yaml", yaml.safe_dump({**RECIPE, **sections}).encode())
    machine.write(f"{FOLDER}/drawing.png", DRAWING.read_bytes())
    return f"{FOLDER}/{name}.yaml"


def contents(cluster: Cluster, run: str, part: str = "") -> dict[str, bytes]:
    """What a run's objects hold, by name, but for those that tell of its course.

    The recipe, and what cites it, have the run's address, and so do the hashes of such files. So
    that runs can be compared, in texts the address is replaced by a word, and hashes of the run's
    own files by their names.
    """
    found = objects(cluster, f"{run}/")
    names = {sha256(data).hexdigest().encode(): name for name, data in found.items()}
    return {
        name: _with_names(data, f"s3://{BUCKET}/{run}".encode(), names)
        for name, data in sorted(found.items())
        if name.startswith(part) and not _OF_ONE_RUN.fullmatch(name)
    }


def _with_names(data: bytes, address: bytes, names: Mapping[bytes, str]) -> bytes:
    try:
        data.decode()
    except UnicodeDecodeError:
        return data  # pictures, tensors, shards: to the last bit
    data = data.replace(address, b"ADDRESS")
    return _HASH.sub(lambda match: names.get(match[0], match[0].decode()).encode(), data)


def different(ours: Mapping[str, bytes], theirs: Mapping[str, bytes]) -> list[str]:
    """Names of what only one of two runs has, or what is not the same in both."""
    return sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))


def objects(cluster: Cluster, prefix: str) -> dict[str, bytes]:
    """All objects of the bucket below a prefix, by the rest of their name."""
    found = keys(cluster, prefix)
    with cluster.network():
        client = cluster.s3.client()
        return {
            key.removeprefix(prefix): client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            for key in found
        }


def keys(cluster: Cluster, prefix: str) -> list[str]:
    """Names of the bucket's objects below a prefix, in order."""
    with cluster.network():
        client = cluster.s3.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def commits(cluster: Cluster, run: str) -> list[str]:
    """Names of the commit records of a run's dataset."""
    return keys(cluster, f"{run}/dataset/commits/")


def copy_run(cluster: Cluster, source: str, target: str, *parts: str) -> None:
    """Begin a run with parts (such as "teacher/") of another one."""
    found = [key for part in parts for key in keys(cluster, f"{source}/{part}")]
    assert found, f"{source} has none of {parts}"
    with cluster.network():
        client = cluster.s3.client()
        for key in found:
            place = {"Bucket": BUCKET, "Key": key}
            client.copy_object(
                Bucket=BUCKET, Key=target + key.removeprefix(source), CopySource=place
            )


def wait_for(what: str, reached: Callable[[], bool], patience_s: float = _PATIENCE_S) -> None:
    """Ask until it is so."""
    until_s = time.monotonic() + patience_s
    while not reached():
        assert time.monotonic() < until_s, f"waited in vain for {what}"
        time.sleep(0.1)


@dataclass
class Pool:
    """Ray's head and one other node, each with one core to give away."""

    cluster: Cluster
    head: Machine = field(init=False)
    other: Machine = field(init=False)
    _numbers: Any = field(default_factory=lambda: count(2))

    def start(self) -> None:
        """Start both nodes."""
        self.head = self.cluster.machine("node-1", {"AWS_SESSION_TOKEN": SESSION})
        self.cluster.head(self.head, num_cpus=1)
        self.add()

    def refill(self) -> None:
        """Put a new machine in the place of one that was lost."""
        if not self.other.runs:
            self.add()

    def add(
        self,
        environment: Mapping[str, str] | None = None,
        disks: Mapping[str, str] | None = None,
        num_gpus: int = 0,
    ) -> Machine:
        """Let a new machine be the other node; the one before goes, if it is still there."""
        if hasattr(self, "other"):
            self.lose_other()
        variables = {"AWS_SESSION_TOKEN": SESSION, **(environment or {})}
        self.other = self.cluster.machine(f"node-{next(self._numbers)}", variables, disks)
        self.cluster.worker(self.other, num_cpus=1, num_gpus=num_gpus)
        return self.other

    def lose_other(self) -> None:
        """Cut the power of the other node, and wait until Ray has seen it."""
        if self.other.runs:
            self.cluster.lose(self.other)
        gone = self.other.address
        wait_for("the loss of a node", lambda: gone not in self.cluster.alive())


@dataclass
class Following:
    """A submission that is followed, as its process and what it has printed so far."""

    process: subprocess.Popen[bytes]
    log: Path

    def text(self) -> str:
        """All that it has printed."""
        return self.log.read_text(errors="replace")

    def has_said(self, words: str) -> None:
        """Wait until it has printed words."""
        wait_for(
            f"{words!r} in {self.log}",
            lambda: words in self.text() or self.process.poll() is not None,
        )
        assert words in self.text(), self.text()

    def end(self) -> int:
        """Wait for its end and return its exit code."""
        return self.process.wait(_PATIENCE_S)


@dataclass(frozen=True)
class Submissions:
    """The same submission twice at once: one straight, one whose log is cut again and again."""

    straight: Following
    cut: Following
    num_cuts: int


class Desk:
    """A machine from which jobs are submitted."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.machine = cluster.machine("desk", {"AWS_SESSION_TOKEN": SESSION})
        self.recipe = send_recipe(self.machine)
        self._numbers = count()

    def submit(
        self, command: str, run: str, *options: str, recipe: str = "", address: str = ""
    ) -> Following:
        """Submit a command for the run at a prefix of the bucket, and follow it."""
        where = ["--address", address or self.cluster.address, "--run", f"s3://{BUCKET}/{run}"]
        words = ["onesketch", "submit", command, recipe or self.recipe, *where, "--yes", *options]
        log = self.cluster.folder / f"submission-{next(self._numbers)}.log"
        with log.open("wb") as file:
            process = self.machine.start(words, stdout=file, stderr=subprocess.STDOUT)
        return Following(process, log)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `onesketch` with these words here."""
        return self.machine.run(["onesketch", *words])

    def jobs(self, run: str) -> list[dict[str, Any]]:
        """Ray's jobs for a run, the first one first."""
        place = f"s3://{BUCKET}/{run}"
        found = [
            job
            for job in self.cluster.state("/api/jobs/")
            if (job.get("metadata") or {}).get("onesketch.run") == place
        ]
        return sorted(found, key=lambda job: job["start_time"])
