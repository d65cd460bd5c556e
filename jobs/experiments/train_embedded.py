"""`onesketch train-embedded`: the shipped models, made from a seed."""

from __future__ import annotations

from pathlib import Path

from jobs.runtime.devices import Machine
from pipeline.events import OnEvent
from training.embedded.train import train_all


def run_train_embedded(
    out: Path,
    work: Path,
    seed: int,
    photographs: Path | None,
    machine: Machine,
    on_event: OnEvent,
) -> None:
    """Train the embedded models into a folder, with their model card.

    Args:
        work: folder of the checkpoints; another call with the same one resumes there.
        photographs: folder of `training.embedded.photographs`; scenes alone without it.

    Raises:
        ValueError: a photograph is missing or is another one.
    """
    train_all(out, work, on_event, seed=seed, device=machine.device, photographs=photographs)
    on_event("train-embedded.ready", weights=str(out))
