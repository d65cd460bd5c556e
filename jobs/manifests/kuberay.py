"""`onesketch manifest`: a submission as YAML for KubeRay, with its recipe as a ConfigMap."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as version_of
from typing import Any

import yaml

from jobs.manifests.operator_rules import broken_rules
from jobs.manifests.rayjob import Limits, Machines, Submission, build_rayjob
from jobs.submission.request import PROGRAM, Asked, Request, build_request
from jobs.submission.upload import Upload
from pipeline.recipe.workers import WorkerRange, worker_range
from pipeline.render import readable_size

# Kubernetes takes 1 MiB, and base64 makes binary files longer.
_MOST_BYTES = 700 * 2**10
_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")
_GPU_SIZE, _CPU_SIZE = ("8", "32Gi"), ("4", "8Gi")
_RETRIES = {"generate": 6, "all": 6}
_HOURS = {"distill": 48.0, "all": 72.0}


class _Dumper(yaml.SafeDumper):
    """Writes files as they are read, line by line."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = "|" if "\n" in text else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


class ManifestError(ValueError):
    """A submission that cannot be a manifest; the message says what to do."""


@dataclass(frozen=True)
class ClusterWish:
    """What the cluster of a manifest shall be; what is left open follows from the command.

    Attributes:
        image: NAME@sha256:DIGEST.
        name: of the RayJob.
        namespace: of all.
        spot: use nodes that may be taken away.
        spot_label: KEY=VALUE, by which those are found.
        on_demand: workers that may run elsewhere where there is no spot.
        queue: of Kueue.
        retries: new clusters after a failure.
        deadline_h: hours until all is given up.
        cpus, memory: of a worker.
    """

    image: str
    name: str = ""
    namespace: str = "onesketch"
    spot: bool = False
    spot_label: str = "karpenter.sh/capacity-type=spot"
    on_demand: int = 2
    queue: str = ""
    retries: int | None = None
    deadline_h: float | None = None
    cpus: str = ""
    memory: str = ""


def run_manifest(asked: Asked, wish: ClusterWish) -> None:
    """Print the documents of a submission.

    Raises:
        ValueError: something is unknown, missing, too large, secret, or refused by the operator.
    """
    documents = build_manifest(asked, wish)
    print(yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=100), end="")


def build_manifest(asked: Asked, wish: ClusterWish) -> list[dict[str, Any]]:
    """Return ConfigMap and RayJob of a submission; raises as `run_manifest`."""
    request = build_request(asked)
    if asked.shared_folder:
        raise ManifestError(
            "--shared-folder: pods share no folder; give s3://bucket/prefix as --run"
        )
    if not _DIGEST.fullmatch(wish.image):
        raise ManifestError(
            f"--image {wish.image}: expected NAME@sha256: and 64 hexadecimal digits: a retry then "
            "runs the same code"
        )
    name = wish.name or f"onesketch-{asked.command}-{request.recipe.style}"
    files = _config_map(f"{name}-recipe", request.upload)
    submission = Submission(
        name=name,
        image=wish.image,
        entrypoint=request.entrypoint,
        command=_command(asked, request),
        files=_volume(files, request.upload),
    )
    limits = Limits(
        retries=_RETRIES.get(asked.command, 3) if wish.retries is None else wish.retries,
        deadline_h=_HOURS.get(asked.command, 24.0) if wish.deadline_h is None else wish.deadline_h,
    )
    job = build_rayjob(submission, _machines(asked, request, wish), limits, version_of("ray"))
    if broken := broken_rules(job):
        raise ManifestError(
            f"KubeRay would refuse it: {'; '.join(broken)} (--name gives it another name)"
        )
    documents = [files, job]
    for document in documents:
        document["metadata"]["namespace"] = wish.namespace
    return documents


def _command(asked: Asked, request: Request) -> list[str]:
    variables = [part for text in asked.variables for part in ("--env", text)]
    line = [PROGRAM, "submit", asked.command, request.upload.recipe, "--run", request.run]
    return [*line, *request.options, *variables, "--in-cluster"]


def _machines(asked: Asked, request: Request, wish: ClusterWish) -> Machines:
    workers = _workers(asked, request)
    on_gpu = asked.device.startswith("cuda") or asked.gpus_per_worker > 0
    if asked.gpus_per_worker > 1 and asked.gpus_per_worker % 1:
        raise ManifestError(f"--gpus-per-worker {asked.gpus_per_worker:g}: expected whole GPUs")
    assert workers.most is not None
    if wish.spot and wish.queue:
        raise ManifestError("--spot and --queue: the queue's own nodes decide that; leave one out")
    if wish.spot and wish.on_demand >= workers.most:
        raise ManifestError(
            f"--on-demand {wish.on_demand}: none of {workers.most} workers is left for --spot"
        )
    cpus, memory = _GPU_SIZE if on_gpu else _CPU_SIZE
    return Machines(
        workers=workers,
        gpus=max(1, round(asked.gpus_per_worker)) if on_gpu else 0,
        cpus=wish.cpus or cpus,
        memory=wish.memory or memory,
        spot=_label(wish.spot_label) if wish.spot else None,
        on_demand=wish.on_demand if wish.spot else 0,
        queue=wish.queue,
    )


def _workers(asked: Asked, request: Request) -> WorkerRange:
    """Return how many nodes the command can use."""
    ranks = request.recipe.distill.worker_range
    if asked.command == "distill":
        return WorkerRange(ranks.least, ranks.most or ranks.least)
    if not request.kind.makes_pairs:
        return WorkerRange(1, 1)
    workers = worker_range(asked.workers)
    if workers.most is None:
        raise ManifestError("--workers: a manifest says how many nodes there may be: give MIN..MAX")
    return workers


def _label(text: str) -> dict[str, str]:
    key, separator, value = text.partition("=")
    if not (key and separator and value):
        raise ManifestError(f"--spot-label {text}: expected KEY=VALUE, a label of the nodes")
    return {key: value}


def _config_map(name: str, upload: Upload) -> dict[str, Any]:
    """Return the files that a submission takes along, as the submitter's pod sees them."""
    if upload.size_bytes > _MOST_BYTES:
        largest = max(upload.files, key=lambda file: file.size_bytes)
        raise ManifestError(
            f"the recipe's files have {readable_size(upload.size_bytes)}, and a ConfigMap takes "
            f"{readable_size(_MOST_BYTES)}: put {largest.name} at an s3:// address and name that"
        )
    texts: dict[str, str] = {}
    binaries: dict[str, str] = {}
    for file in upload.files:
        content = file.path.read_bytes() if file.content is None else file.content
        try:
            texts[_key(file.name)] = content.decode()
        except UnicodeDecodeError:
            binaries[_key(file.name)] = base64.b64encode(content).decode()
    found: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    contents = {"data": texts, "binaryData": binaries}
    return found | {key: files for key, files in contents.items() if files}


def _volume(files: Mapping[str, Any], upload: Upload) -> dict[str, Any]:
    """Return the ConfigMap as a volume, in which files lie in their folders."""
    volume: dict[str, Any] = {"name": files["metadata"]["name"]}
    if any("/" in file.name for file in upload.files):
        volume["items"] = [{"key": _key(file.name), "path": file.name} for file in upload.files]
    return volume


def _key(name: str) -> str:
    # A ConfigMap's keys have no slashes.
    return name.replace("/", "..")
