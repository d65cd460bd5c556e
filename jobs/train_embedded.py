"""`onesketch train-embedded`: the shipped models, made from a seed."""

from pathlib import Path

from jobs.devices import Machine
from jobs.events import OnEvent
from training.embedded.train import train_all


def run_train_embedded(out: Path, seed: int, machine: Machine, on_event: OnEvent) -> None:
    """Train the embedded models into a folder, with their model card.

    Checkpoints lie in `out`/checkpoints; the same command goes on from them."""
    train_all(out, out / "checkpoints", on_event, seed=seed, device=str(machine.device))
