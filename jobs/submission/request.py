"""What is sent to a cluster for one submission, checked before anything is."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.runtime.recipes import find_recipe
from jobs.submission.secrecy import check_command, check_names, check_values
from jobs.submission.upload import Upload, check_models, plan_upload
from pipeline import canonical
from pipeline.generation.scheduling import Policy
from pipeline.recipe.recipe import Recipe, load_recipe
from pipeline.recipe.workers import worker_range

PROGRAM = "onesketch"
STOP_WAIT = "RAY_JOB_STOP_WAIT_TIME_S"
# After the grace the last shard in flight is published, which takes this much at worst.
PUBLICATION_S = 60
_HASH_CHARS = 8
_VARIABLE = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)

WORKERS, GPUS, GRACE, SINGLE = "--workers", "--gpus-per-worker", "--grace", "--single-writer"
DEVICE, DTYPE = "--device", "--dtype"
CACHE = ("--cache", "--cache-gib")


@dataclass(frozen=True)
class CommandKind:
    """A command that can be submitted.

    Attributes:
        options: beside --run, those that it takes.
        needs_drawing: whether the recipe's drawing must be here; later stages find the run's copy.
        makes_pairs: whether it makes the dataset, so that its plan and its cost matter.
    """

    options: tuple[str, ...] = ()
    needs_drawing: bool = False
    makes_pairs: bool = False


_FLEET = (DEVICE, DTYPE, *CACHE, WORKERS, GPUS, GRACE, SINGLE)
COMMANDS = {
    "source": CommandKind((DEVICE, DTYPE, *CACHE)),
    "teach": CommandKind((DEVICE, DTYPE, *CACHE), needs_drawing=True),
    "generate": CommandKind(_FLEET, makes_pairs=True),
    "distill": CommandKind((DEVICE, *CACHE)),
    "evaluate": CommandKind((DEVICE, *CACHE)),
    "report": CommandKind(CACHE),
    "all": CommandKind(_FLEET, needs_drawing=True, makes_pairs=True),
}


class RequestError(ValueError):
    """A submission that cannot be made as it was asked for; the message says what to do."""


@dataclass(frozen=True)
class Asked:
    """What a person asks for.

    Attributes:
        command: one of `COMMANDS`.
        recipe: file, or name of a shipped style.
        run: address of the artefacts; "": the recipe's own.
        workers: N or MIN..MAX; "": the cluster's choice.
        gpus_per_worker: 0 leaves it to the cluster.
        grace_s: from the request to stop to the end of work; None: the stage's own.
        device, dtype, cache, cache_gib: as the stages have them, on the nodes.
        variables: NAME=VALUE for the job's environment.
        shared_folder: vouch that every node sees the run's folder.
        single_writer: as `generate` has it.
    """

    command: str
    recipe: str
    run: str = ""
    workers: str = ""
    gpus_per_worker: float = 0.0
    grace_s: float | None = None
    device: str = ""
    dtype: str = ""
    cache: str = ""
    cache_gib: float | None = None
    variables: Sequence[str] = ()
    shared_folder: bool = False
    single_writer: bool = False


@dataclass(frozen=True)
class Request:
    """A checked submission.

    Attributes:
        prefix: of the ids that its jobs may have; a number follows.
        run, dataset: where its artefacts and its pairs lie.
        options: of the command, as they were asked for.
    """

    kind: CommandKind
    recipe: Recipe
    run: str
    dataset: str
    prefix: str
    options: Sequence[str]
    entrypoint: str
    variables: Mapping[str, str]
    metadata: Mapping[str, str]
    upload: Upload

    def arguments(self, working_dir: str) -> dict[str, Any]:
        """Return what Ray's client takes, with the staged files in a folder."""
        return {
            "entrypoint": self.entrypoint,
            "runtime_env": {"working_dir": working_dir, "env_vars": dict(self.variables)},
            "metadata": dict(self.metadata),
        }


def build_request(asked: Asked) -> Request:
    """Check what was asked for, and put together what is sent.

    Raises:
        ValueError: something is unknown, missing, too large, or secret.
    """
    kind = _kind(asked.command)
    path = find_recipe(asked.recipe)
    recipe = load_recipe(path)
    run = _run_address(asked.run or recipe.run, asked.shared_folder, "run")
    dataset = recipe.dataset.out
    if dataset == f"{recipe.run}/dataset":
        dataset = f"{run}/dataset"
    dataset = _run_address(dataset, asked.shared_folder, "dataset.out")
    check_models(recipe)
    upload = plan_upload(path, recipe, kind.needs_drawing)
    options = _options(asked, kind)
    request = Request(
        kind=kind,
        recipe=recipe,
        run=run,
        dataset=dataset,
        prefix=_job_prefix(asked.command, recipe, run, upload),
        options=options,
        entrypoint=shlex.join([PROGRAM, *_arguments(asked.command, run, upload, options)]),
        variables=_variables(asked),
        metadata={
            "onesketch.command": asked.command,
            "onesketch.style": recipe.style,
            "onesketch.run": run,
            "onesketch.dataset": dataset,
        },
        upload=upload,
    )
    _check_secrets(request)
    return request


def _job_prefix(command: str, recipe: Recipe, run: str, upload: Upload) -> str:
    """Return what all jobs of one submission are called, without the number that follows.

    It depends on the resolved recipe, on the content of the files beside it, on the run's address
    and on the command; not on workers, grace or variables, with which the same work is done.
    """
    what = {
        "command": command,
        "recipe": recipe.resolved(),
        "files": sorted(file.sha256 for file in upload.files[1:]),
        "run": run,
    }
    plan = canonical.sha256(canonical.to_bytes(what))[:_HASH_CHARS]
    return f"onesketch-{command}-{recipe.style}-{plan}"


def _kind(command: str) -> CommandKind:
    if command not in COMMANDS:
        raise RequestError(
            f"cannot submit {command!r}: expected one of {', '.join(COMMANDS)}; everything else "
            "runs here, on a run's address"
        )
    return COMMANDS[command]


def _run_address(address: str, shared_folder: bool, key: str) -> str:
    """Refuse folders that a cluster does not see."""
    if address.startswith("s3:"):
        return address.rstrip("/")
    if not shared_folder:
        raise RequestError(
            f"{key}: {address} is a folder of this machine, which the cluster does not see: give "
            "s3://bucket/prefix, or say --shared-folder if every node sees the same folder there"
        )
    if not os.path.isabs(address):
        raise RequestError(
            f"{key}: {address} means another folder in every working directory: give the absolute "
            "path of the folder that all nodes share"
        )
    return address.rstrip("/")


def _options(asked: Asked, kind: CommandKind) -> list[str]:
    """Return what was asked for as options of the command."""
    numbers = {GPUS: asked.gpus_per_worker or None, GRACE: asked.grace_s, CACHE[1]: asked.cache_gib}
    words = {DEVICE: asked.device, DTYPE: asked.dtype, CACHE[0]: asked.cache}
    words[WORKERS] = str(worker_range(asked.workers)) if asked.workers else ""
    words |= {name: f"{number:g}" for name, number in numbers.items() if number is not None}
    given = {name: [word] for name, word in words.items() if word}
    if asked.single_writer:
        given[SINGLE] = []
    for name in given:
        if name not in kind.options:
            takers = [command for command, other in COMMANDS.items() if name in other.options]
            raise RequestError(
                f"{asked.command} takes no {name} (it is for {', '.join(takers)}): leave it out"
            )
    return [part for name, values in given.items() for part in (name, *values)]


def _arguments(command: str, run: str, upload: Upload, options: Sequence[str]) -> list[str]:
    """Return the command line after the program's name."""
    if command == "evaluate":
        model = f"{run}/extractor"
        return ["evaluate", model, "--recipe", upload.recipe, "--run", run, *options]
    return [command, upload.recipe, "--run", run, *options]


def _variables(asked: Asked) -> dict[str, str]:
    """Return the job's environment variables."""
    grace_s = Policy.grace_s if asked.grace_s is None else asked.grace_s
    variables = {STOP_WAIT: str(math.ceil(grace_s + PUBLICATION_S))}
    for text in asked.variables:
        match = _VARIABLE.fullmatch(text)
        if match is None:
            # What follows the name may be secret, and is not shown.
            raise RequestError(f"--env {text.partition('=')[0]}: expected NAME=VALUE")
        if match[1] == STOP_WAIT:
            raise RequestError(f"--env {STOP_WAIT}: it follows from --grace; give that instead")
        variables[match[1]] = match[2]
    return variables


def _check_secrets(request: Request) -> None:
    check_names(request.variables, "--env")
    check_names(request.metadata, "the metadata's")
    check_command(request.entrypoint)
    texts = {"the entrypoint": request.entrypoint}
    texts |= {f"--env {name}": value for name, value in request.variables.items()}
    texts |= {f"the metadata's {name}": value for name, value in request.metadata.items()}
    for file in request.upload.files:
        content = file.path.read_bytes() if file.content is None else file.content
        texts[f"the file {file.name}"] = content.decode("utf-8", errors="replace")
    check_values(texts, os.environ)
