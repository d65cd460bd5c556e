"""Which steps represent the whole process (DiffSketch 3.1, appendix B).

Steps are counted from the END: t = 0 is the last step.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from pipeline.whole_file import write_text

PAPER_STEPS = 50
PAPER_TIMESTEPS = (0, 3, 8, 12, 16, 21, 25, 28, 32, 35, 39, 43, 47)
"""The paper's selection for Stable Diffusion 1.x at 50 steps (appendix B)."""

_SD1_WIDTHS = (320, 640, 1280, 1280)
_SD1_TEXT_WIDTH = 768

log = logging.getLogger(__name__)


def equal(steps: int, count: int) -> tuple[int, ...]:
    """Return `count` equally spaced steps; 50 steps and 13 give the paper's t = 4 i + 1.

    Raises:
        ValueError: fewer steps than asked for.
    """
    if not 1 <= count <= steps:
        raise ValueError(f"expected 1 to {steps} of {steps} steps; got {count}")
    if count == 1:
        return (0,)
    first = 1 if count < steps else 0
    return tuple(first + round(i * (steps - 1 - first) / (count - 1)) for i in range(count))


def scaled(steps: int) -> tuple[int, ...]:
    """Return the paper's selection stretched to a process of `steps` steps (DiffSketch B.2)."""
    stretch = (steps - 1) / (PAPER_STEPS - 1)
    return tuple(sorted({round(t * stretch) for t in PAPER_TIMESTEPS}))


def representative(folder: Path, steps: int) -> tuple[int, ...]:
    """Return the representative steps of the backbone in `folder` at `steps` DDIM steps.

    They are, in this order: the backbone's own (timesteps.json beside its weights, if for as many
    steps), the paper's list for Stable Diffusion 1.x at 50 steps, or else the paper's list
    stretched (said in the log, since it was selected on another process).

    Raises:
        ValueError: the backbone's timesteps.json is not what it should be.
    """
    own = folder / "timesteps.json"
    if own.is_file():
        selected = _read(own)
        if steps in selected:
            return selected[steps]
        log.warning("%s has no selection for %d steps", own, steps)
    elif steps == PAPER_STEPS and _is_sd1(folder):
        return PAPER_TIMESTEPS
    chosen = scaled(steps)
    log.warning("no selection known for this backbone at %d steps: using %s", steps, chosen)
    return chosen


def write_selection(folder: Path, steps: int, timesteps: tuple[int, ...]) -> None:
    """Record a backbone's own selection beside its weights, for `representative` to find."""
    path = folder / "timesteps.json"
    known = _read(path) if path.is_file() else {}
    known[steps] = tuple(sorted(timesteps))
    text = json.dumps({str(key): list(value) for key, value in sorted(known.items())})
    write_text(path, text + "\n")


def _read(path: Path) -> dict[int, tuple[int, ...]]:
    expected = '{"50": [0, 3, ...]}: per number of steps the selected ones, counted from the end'
    try:
        table = {
            int(steps): tuple(map(int, ts)) for steps, ts in json.loads(path.read_text()).items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: expected {expected}; got something else ({error})") from error
    for steps, chosen in table.items():
        if not chosen or min(chosen) < 0 or max(chosen) >= steps or len(set(chosen)) < len(chosen):
            raise ValueError(f"{path}: expected {expected}; got {list(chosen)} for {steps} steps")
    return table


def _is_sd1(folder: Path) -> bool:
    config = json.loads((folder / "unet/config.json").read_text())
    widths = tuple(config.get("block_out_channels", ()))
    return widths == _SD1_WIDTHS and config.get("cross_attention_dim") == _SD1_TEXT_WIDTH
