"""`onesketch train-embedded`: the shipped models, made from a seed."""

from pathlib import Path

from jobs.devices import Machine
from jobs.events import OnEvent
from training.embedded.train import train_all


def run_train_embedded(out: Path, seed: int, machine: Machine, on_event: OnEvent) -> None:
    """Train the embedded models into a folder, with their model card."""
    train_all(out, seed, device=machine.device, on_event=on_event)
