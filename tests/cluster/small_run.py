"""A recipe that two busy cores are through with in minutes, and the places of its run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from tests.servers.cluster import Cluster
from tests.servers.machine import ROOT, Machine

BUCKET = "runs"
# Found again wherever it does not belong; the S3 server's own secret is another such word.
TOKEN = "canary-token-5f3c9a1e7b2d4860"
SESSION = "canary-session-e1d07c64b83f2a95"
FOLDER = "/root/styles"
DRAWING = ROOT / "jobs" / "styles" / "xdog" / "xdog.png"
RECIPE: dict[str, Any] = {
    "style": "tiny",
    "backbone": "embedded",
    "example": {
        "prompt": "a red house on grass under a blue sky",
        "seed": 50,
        "drawing": "drawing.png",
    },
    "sampler": {"steps": 4, "guidance": 2.0, "batch": 2},
    "teach": {"iterations": 4, "diffusion_duration": 3, "timesteps": [0, 2]},
    "dataset": {"samples": 12, "shard_size": 2},
    "distill": {"preset": "small", "epochs": 1, "batch": 4, "workers": 2},
}
# What a run leaves that tells of its course, place or time, and so is never twice the same.
_OF_THE_COURSE = ("events", "generation.json", "metrics", "README.md", "workers/", "report")


def send_recipe(
    machine: Machine, name: str = "tiny", changes: Mapping[str, Mapping[str, Any]] | None = None
) -> str:
    """Write recipe and drawing on a machine and return the recipe's path there."""
    recipe = {**RECIPE, "style": name}
    for section, values in (changes or {}).items():
        recipe[section] = {**recipe[section], **values}
    machine.write(f"{FOLDER}/{name}.yaml", yaml.safe_dump(recipe).encode())
    machine.write(f"{FOLDER}/drawing.png", DRAWING.read_bytes())
    return f"{FOLDER}/{name}.yaml"


def published(run: Path) -> dict[str, str]:
    """Hashes of a run's files by name, but for those that tell of its course."""
    return {
        name: sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.rglob("*"))
        if path.is_file() and not _is_of_the_course(name := str(path.relative_to(run)))
    }


def published_in_bucket(cluster: Cluster, prefix: str) -> dict[str, str]:
    """Hashes of a run's objects by name, but for those that tell of its course."""
    return {
        name: sha256(data).hexdigest()
        for name, data in objects(cluster, f"{prefix}/").items()
        if not _is_of_the_course(name)
    }


def objects(cluster: Cluster, prefix: str) -> dict[str, bytes]:
    """All objects of the bucket below a prefix, by the rest of their name."""
    with cluster.network():
        client = cluster.s3.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return {
            key.removeprefix(prefix): client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            for key in keys
        }


def keys(cluster: Cluster, prefix: str) -> list[str]:
    """Names of the bucket's objects below a prefix, in order."""
    with cluster.network():
        client = cluster.s3.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def _is_of_the_course(name: str) -> bool:
    return name.rpartition("dataset/")[2].startswith(_OF_THE_COURSE)


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
        self._add()

    def refill(self) -> None:
        """Put a new machine in the place of one that was lost."""
        if not self.other.runs:
            self._add()

    def _add(self) -> None:
        name = f"node-{next(self._numbers)}"
        self.other = self.cluster.machine(name, {"AWS_SESSION_TOKEN": SESSION})
        self.cluster.worker(self.other, num_cpus=1)


class Desk:
    """A machine from which jobs are submitted."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.machine = cluster.machine("desk", {"AWS_SESSION_TOKEN": SESSION})

    def command(self, command: str, recipe: str, run: str, *options: str) -> list[str]:
        """The words of `onesketch submit COMMAND` on the cluster."""
        where = ["--address", self.cluster.address, "--run", f"s3://{BUCKET}/{run}", "--yes"]
        return ["onesketch", "submit", command, recipe, *where, *options]

    def submit(
        self, command: str, recipe: str, run: str, *options: str, timeout_s: float = 600.0
    ) -> subprocess.CompletedProcess[str]:
        """Submit a command and wait for the end of its job."""
        return self.machine.run(self.command(command, recipe, run, *options), timeout_s=timeout_s)

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs that Ray knows of that were submitted."""
        return [job for job in self.cluster.ask("/api/jobs/") if job["submission_id"]]


def one_line(output: str) -> str:
    """The last line of an output, which for an error must be the only one with words."""
    lines = [line for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def events(cluster: Cluster, run: str) -> list[dict[str, Any]]:
    """Events of a run, as they lie in the bucket."""
    found = objects(cluster, f"{run}/events")
    return [json.loads(line) for _, data in sorted(found.items()) for line in data.splitlines()]
