"""Changes on purpose: each must make a test fail, or that part of the method is guarded by nothing.

python -m tests.tools.mutants [NAME ...] applies one after the other to a copy of the checked-in
files and runs the tests that are meant to notice. Exit code 1 where one survives.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutant:
    """One change: a text of a file, which must stand there exactly once, and another instead."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]


_STEP = "tests/training/distillation/test_loop.py"
_STUDENT = "tests/training/students/test_pix2pixhd.py"
_RECIPE = "tests/pipeline/recipe/test_recipe.py"

MUTANTS = (
    Mutant(
        "distillation learns inverted drawings",
        "training/distillation/step.py",
        "for pixels in (images, sketches[..., None])",
        "for pixels in (images, 255 - sketches[..., None])",
        (_STEP,),
    ),
    Mutant(
        "the true pair's image is mirrored without its drawing",
        "training/distillation/loop.py",
        "example=(spec.image[None], spec.drawing[None])",
        "example=(spec.image[None, :, ::-1].copy(), spec.drawing[None])",
        (_STEP,),
    ),
    Mutant(
        "every sample gets its batch's first embedding",
        "training/oneshot/loop.py",
        "embeddings[at : at + 1]",
        "embeddings[:1]",
        ("tests/training/oneshot/test_loop.py",),
    ),
    Mutant(
        "discriminators without instance norm",
        "training/students/pix2pixhd_discriminators.py",
        "_conv(narrow, wide, stride), nn.InstanceNorm2d(wide), nn.LeakyReLU(LEAK)",
        "_conv(narrow, wide, stride), nn.Identity(), nn.LeakyReLU(LEAK)",
        (_STUDENT,),
    ),
    Mutant(
        "discriminators leak 0.01",
        "training/students/pix2pixhd_discriminators.py",
        "LEAK = 0.2",
        "LEAK = 0.01",
        (_STUDENT,),
    ),
    Mutant(
        "discriminators' pooling counts padding",
        "training/students/pix2pixhd_discriminators.py",
        "count_include_pad=False",
        "count_include_pad=True",
        (_STUDENT,),
    ),
    Mutant(
        "Adam's beta1 is 0.9",
        "training/students/pix2pixhd.py",
        "BETAS = (0.5, 0.999)",
        "BETAS = (0.9, 0.999)",
        (_STUDENT,),
    ),
    Mutant(
        "the true pair comes every 8 iterations",
        "pipeline/recipe/recipe.py",
        "true_pair_every: PositiveInt = 16",
        "true_pair_every: PositiveInt = 8",
        (_RECIPE,),
    ),
    Mutant(
        "teach's rate is 1e-3",
        "pipeline/recipe/diffsketch.py",
        "learning_rate: Rate = 1e-4",
        "learning_rate: Rate = 1e-3",
        (_RECIPE,),
    ),
    Mutant(
        "distill's batch is 64",
        "pipeline/recipe/recipe.py",
        "batch: PositiveInt = 4\n",
        "batch: PositiveInt = 64\n",
        (_RECIPE,),
    ),
    Mutant(
        "held-out pairs are the dataset's own",
        "jobs/nodes/teacher_factory.py",
        "for index in range(samples, samples + count)",
        "for index in range(count)",
        ("tests/jobs/nodes",),
    ),
    Mutant(
        "teaching and dataset share noise",
        "training/oneshot/samples.py",
        'NOISE_STREAM = "teach-noise"',
        'NOISE_STREAM = "noise"',
        ("tests/training/oneshot/test_samples.py",),
    ),
    Mutant(
        "the weights of L1 and CLIP are exchanged",
        "training/oneshot/objective.py",
        '"pixel": w.l1,',
        '"pixel": w.clip,',
        ("tests/training/oneshot/test_objective.py",),
    ),
    Mutant(
        "K comes from one PCA",
        "jobs/experiments/selection/analysis.py",
        "[count.agreement.mean for count in counts]",
        "[count.agreement.mean for count in counts[:1]]",
        ("tests/jobs/experiments",),
    ),
    Mutant(
        "the prior keeps 64 components",
        "pipeline/diffusion/cdst.py",
        "components: int = 512",
        "components: int = 64",
        ("tests/pipeline/diffusion/test_cdst.py",),
    ),
    Mutant(
        "the ablation scores on training noise",
        "jobs/experiments/ablation/samples.py",
        '_EVALUATION_STREAM = "ablation-evaluation"',
        '_EVALUATION_STREAM = "teach-noise"',
        ("tests/jobs/experiments",),
    ),
)


def apply(mutant: Mutant, root: Path) -> str:
    """Change the file below `root`; return its text as it was.

    Raises:
        ValueError: the text to change does not stand there exactly once.
    """
    path = root / mutant.file
    text = path.read_text()
    if text.count(mutant.before) != 1:
        raise ValueError(
            f"{mutant.file}: expected {mutant.before!r} once, got {text.count(mutant.before)}"
        )
    path.write_text(text.replace(mutant.before, mutant.after))
    return text


def survives(mutant: Mutant, root: Path) -> bool:
    """Tell whether the tests below `root` pass although the mutant is there."""
    text = apply(mutant, root)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutant.tests,
             "-m", "not slow and not faults and not ray and not s3"],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )  # fmt: skip
    finally:
        (root / mutant.file).write_text(text)
    if done.returncode not in (0, 1):
        raise ValueError(f"{mutant.name}: the tests could not run: {done.stdout[-2000:]}")
    return done.returncode == 0


def main(names: list[str]) -> int:
    """Try the mutants whose names contain one of the words, all without words."""
    chosen = [m for m in MUTANTS if not names or any(name in m.name for name in names)]
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    left = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        root = Path(scratch)
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, root / name)
        for mutant in chosen:
            alive = survives(mutant, root)
            left += alive
            print(f"{'SURVIVES' if alive else 'killed'}  {mutant.name}", flush=True)
    print(f"{len(chosen) - left} of {len(chosen)} killed")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
