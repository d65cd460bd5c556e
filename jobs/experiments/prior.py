"""`onesketch prior`: the distribution of conditions of a backbone, and how normal it is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from jobs.experiments.prior_page import write_prior_page
from jobs.nodes.models import find_model, name_everywhere
from jobs.runtime.devices import Machine
from jobs.runtime.events import Events
from jobs.runtime.provenance import describe_machine, versions
from jobs.stages.prompts import prompts_for
from pipeline.analysis.normality import Mardia, answerable, distances, mardia, shapiro_p_values
from pipeline.diffusion.backbone import backbone_folder, load_backbone
from pipeline.diffusion.cdst import ConditionPrior
from pipeline.diffusion.sampling import embed_prompts
from pipeline.seeds import generator, stream_seed
from pipeline.storage.node_cache import NodeCache
from pipeline.systems.conditions import PRIOR_FILE
from pipeline.whole_file import write_bytes, write_json

_FIGURES, _PAGE, _PROMPTS = "prior.json", "prior.html", "prompts.txt"
_COMPONENTS = 512
_FOLDS = 5
_LEAST_PROMPTS = 4 * _FOLDS
_LEVEL = 0.05
DRAWS = 30_000


@dataclass(frozen=True)
class NormalityTests:
    """What the tests of DiffSketch D.2 say of a prior.

    Attributes:
        scores: of the prompts on the components, (N, K).
        shapiro_p: p-value of Shapiro-Wilk per component, (K,).
        mardia: Mardia's test.
        emd: by distribution, the earth mover's distance to held-out prompts in each fold.
        draws_s: seconds that 30,000 conditions took.
    """

    scores: NDArray[np.float64]
    shapiro_p: NDArray[np.float64]
    mardia: Mardia
    emd: dict[str, list[float]]
    draws_s: float

    @property
    def rejected(self) -> int:
        """Components that fail Shapiro-Wilk."""
        return int((self.shapiro_p < _LEVEL).sum())


def run_prior(
    backbone: str, out: Path, prompts: Path | None, seed: int, machine: Machine, events: Events
) -> None:
    """Fit D_SD and test it; write prior.safetensors, the prompts, figures and page.

    Args:
        backbone: a recipe's name of it.
        out: folder for what is written.
        prompts: file of one prompt a line; None: by the backbone.

    Raises:
        ValueError: backbone or prompts are missing, or the prompts are too few.
    """
    location = find_model("backbone", name_everywhere(backbone), NodeCache())
    texts = prompts_for(backbone, backbone_folder(location), prompts)
    _check_prompts(texts)
    with events.stage("prior"):
        loaded = load_backbone(location, machine.device, machine.dtype)
        embeddings = embed_prompts(loaded, texts)
        prior = ConditionPrior.fit(embeddings, _COMPONENTS, {"prompts": str(len(texts))})
        prior.save(out / PRIOR_FILE)
        write_bytes(out / _PROMPTS, ("\n".join(texts) + "\n").encode())
        distinct = [texts.index(text) for text in dict.fromkeys(texts)]
        found = _run_tests(prior, embeddings, distinct, seed, events)
        provenance = {
            "backbone": backbone,
            "seed": seed,
            "machine": describe_machine(machine),
            "versions": versions(),
            "fingerprint": loaded.fingerprint,
        }
        figures = _prior_figures(found, prior, texts) | provenance
        write_json(out / _FIGURES, figures)
        page = write_prior_page(out / _PAGE, figures, found.scores)
    events("prior.ready", prior=str(out / PRIOR_FILE), page=str(page))


def _check_prompts(prompts: Sequence[str]) -> None:
    if len(set(prompts)) < _LEAST_PROMPTS:
        raise ValueError(
            f"{len(set(prompts))} different prompts are too few to test a distribution with: give "
            f"{_LEAST_PROMPTS} or more (DiffSketch: 1,000)"
        )


def _run_tests(
    prior: ConditionPrior, embeddings: Tensor, distinct: Sequence[int], seed: int, events: Events
) -> NormalityTests:
    """Run every test on a prior.

    Args:
        embeddings: (N, L, D), what it was fitted to.
        distinct: the first of each group of equal prompts: none may be both held out and
            fitted to.
    """
    scores = prior.scores(embeddings).double().numpy()
    shapiro_p = shapiro_p_values(scores)
    events("prior.shapiro", rejected=int((shapiro_p < _LEVEL).sum()), components=len(shapiro_p))
    normality = mardia(answerable(scores), stream_seed(seed, 0, "mardia"))
    events(
        "prior.mardia",
        skewness_p=normality.skewness_simulated_p,
        kurtosis_p=normality.kurtosis_simulated_p,
    )
    emd = dict(distances(embeddings[list(distinct)], _COMPONENTS, _FOLDS, seed))
    events("prior.emd", **{name.replace(" ", "_"): float(np.mean(d)) for name, d in emd.items()})
    draws_s = _time_draws(prior, seed)
    events("prior.draws", conditions=DRAWS, seconds=round(draws_s, 2))
    return NormalityTests(scores, shapiro_p, normality, emd, draws_s)


def _time_draws(prior: ConditionPrior, seed: int) -> float:
    """Draw as many conditions as a dataset of DiffSketch's size needs; return the seconds."""
    start = time.monotonic()
    for _ in prior.stream(generator(seed, i, "condition") for i in range(DRAWS)):
        pass
    return time.monotonic() - start


def _prior_figures(
    found: NormalityTests, prior: ConditionPrior, prompts: Sequence[str]
) -> dict[str, Any]:
    """Return every figure of a prior as JSON-able data."""
    return {
        "prompts": len(prompts),
        "distinct_prompts": len(set(prompts)),
        "embedding": list(prior.mean.shape),
        "components": len(prior.deviations),
        "shapiro": {
            "level": _LEVEL,
            "rejected": found.rejected,
            "p_values": found.shapiro_p.tolist(),
        },
        "mardia": asdict(found.mardia),
        "emd": {
            "folds": _FOLDS,
            "mean": {name: float(np.mean(d)) for name, d in found.emd.items()},
            "each": found.emd,
        },
        "draws": {"conditions": DRAWS, "seconds": found.draws_s},
        "deviations": prior.deviations.tolist(),
    }
