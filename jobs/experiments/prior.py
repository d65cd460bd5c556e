"""`onesketch prior`: the distribution of conditions of a backbone, and how normal it is."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from jobs.experiments.prior_page import write_page
from jobs.runtime.devices import Machine
from jobs.runtime.events import Events
from jobs.runtime.provenance import describe_machine, versions
from jobs.runtime.weights import locate_backbone
from jobs.stages.prompts import embed_prompts, prompts_for
from pipeline.analysis.normality import Mardia, answerable, distances, mardia, shapiro_p_values
from pipeline.diffusion.backbone import backbone_folder, load_backbone
from pipeline.diffusion.cdst import ConditionPrior
from pipeline.seeds import generator, stream_seed
from pipeline.teachers.diffsketch import PRIOR_FILE
from pipeline.whole_file import write_bytes, write_json

FIGURES, PAGE, PROMPTS = "prior.json", "prior.html", "prompts.txt"
COMPONENTS = 512
FOLDS = 5
LEAST_PROMPTS = 4 * FOLDS
LEVEL = 0.05
DRAWS = 30_000


@dataclass(frozen=True)
class NormalityTests:
    """What the tests of appendix D.2 say of a prior.

    scores: of the prompts on the components, (N, K); shapiro_p: one a component; emd: distance to
    held-out prompts by distribution, one a fold; draws_s: seconds that 30,000 conditions took.
    """

    scores: np.ndarray
    shapiro_p: np.ndarray
    mardia: Mardia
    emd: dict[str, list[float]]
    draws_s: float

    @property
    def rejected(self) -> int:
        """Components that fail Shapiro-Wilk."""
        return int((self.shapiro_p < LEVEL).sum())


def time_draws(prior: ConditionPrior, seed: int) -> float:
    """Draw as many conditions as a dataset of the paper's size needs; gives the seconds."""
    start = time.monotonic()
    for _ in prior.stream(generator(seed, i, "condition") for i in range(DRAWS)):
        pass
    return time.monotonic() - start


def run_tests(
    prior: ConditionPrior, embeddings: Tensor, distinct: Sequence[int], seed: int, events: Events
) -> NormalityTests:
    """Run every test on a prior and the embeddings (N, L, D) that it was fitted to.

    distinct: the first of each group of equal prompts: none may be held out and fitted to as well.
    """
    scores = prior.scores(embeddings).double().numpy()
    shapiro_p = shapiro_p_values(scores)
    events("prior.shapiro", rejected=int((shapiro_p < LEVEL).sum()), components=len(shapiro_p))
    normality = mardia(answerable(scores), stream_seed(seed, 0, "mardia"))
    events(
        "prior.mardia",
        skewness_p=normality.skewness_simulated_p,
        kurtosis_p=normality.kurtosis_simulated_p,
    )
    emd = dict(distances(embeddings[list(distinct)], COMPONENTS, FOLDS, seed))
    events("prior.emd", **{name.replace(" ", "_"): float(np.mean(d)) for name, d in emd.items()})
    draws_s = time_draws(prior, seed)
    events("prior.draws", conditions=DRAWS, seconds=round(draws_s, 2))
    return NormalityTests(scores, shapiro_p, normality, emd, draws_s)


def figures_of(
    found: NormalityTests, prior: ConditionPrior, prompts: Sequence[str]
) -> dict[str, Any]:
    """Give every figure of an examination as JSON."""
    return {
        "prompts": len(prompts),
        "distinct_prompts": len(set(prompts)),
        "embedding": list(prior.mean.shape),
        "components": len(prior.deviations),
        "shapiro": {
            "level": LEVEL,
            "rejected": found.rejected,
            "p_values": found.shapiro_p.tolist(),
        },
        "mardia": asdict(found.mardia),
        "emd": {
            "folds": FOLDS,
            "mean": {name: float(np.mean(d)) for name, d in found.emd.items()},
            "each": found.emd,
        },
        "draws": {"conditions": DRAWS, "seconds": found.draws_s},
        "deviations": prior.deviations.tolist(),
    }


def check_prompts(prompts: Sequence[str]) -> None:
    """Raise ValueError for a list that is too short to hold part of it out."""
    if len(set(prompts)) < LEAST_PROMPTS:
        raise ValueError(
            f"{len(set(prompts))} different prompts are too few to test a distribution with: give "
            f"{LEAST_PROMPTS} or more (the paper: 1,000)"
        )


def run_prior(
    backbone: str, out: Path, prompts: Path | None, seed: int, machine: Machine, events: Events
) -> None:
    """Fit D_SD, test it, write prior.safetensors, the prompts, figures and page."""
    location = locate_backbone(backbone)
    texts = prompts_for(backbone, backbone_folder(location), prompts)
    check_prompts(texts)
    with events.stage("prior"):
        loaded = load_backbone(location, machine.device, machine.dtype)
        embeddings = embed_prompts(loaded, texts)
        prior = ConditionPrior.fit(embeddings, COMPONENTS, {"prompts": str(len(texts))})
        prior.save(out / PRIOR_FILE)
        write_bytes(out / PROMPTS, ("\n".join(texts) + "\n").encode())
        distinct = [texts.index(text) for text in dict.fromkeys(texts)]
        found = run_tests(prior, embeddings, distinct, seed, events)
        provenance = {
            "backbone": backbone,
            "seed": seed,
            "machine": describe_machine(machine),
            "versions": versions(),
            "fingerprint": loaded.fingerprint,
        }
        figures = figures_of(found, prior, texts) | provenance
        write_json(out / FIGURES, figures)
        write_page(out / PAGE, figures, found.scores)
    events("prior.ready", prior=str(out / PRIOR_FILE), page=str(out / PAGE))
