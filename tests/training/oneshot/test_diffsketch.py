"""What a training of DiffSketch is made of, on the embedded models."""

from __future__ import annotations

from pathlib import Path

import torch

from pipeline.diffusion.backbone import load_backbone
from training.oneshot.diffsketch import fit_prior

BACKBONE = Path(__file__).parents[3] / "training/embedded/weights/diffusion"
COLOURS = ("red", "blue", "green", "grey", "pink", "black", "white", "orange")
THINGS = ("house", "cat", "dog", "tree", "boat", "cup", "car", "ball", "fish", "mushroom")

PLACES = ("on grass", "on sand", "at night")


def test_the_prior_is_the_same_to_the_bit_whatever_the_threads() -> None:
    """A training begun on two cores can be resumed on one: its identity has the prior's hash."""
    backbone = load_backbone(BACKBONE)
    # With fewer prompts than these both counts of threads round alike.
    prompts = [f"a {c} {thing} {place}" for c in COLOURS for thing in THINGS for place in PLACES]
    before = torch.get_num_threads()
    priors = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            priors.append(fit_prior(backbone, prompts))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    one, two = priors
    for name in ("mean", "components", "deviations"):
        assert torch.equal(getattr(one, name), getattr(two, name)), name
