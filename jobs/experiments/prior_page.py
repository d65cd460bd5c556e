"""The page of a condition prior: its components, the tests for normality, the distances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.experiments.prior_plots import plot_distances, plot_quantiles, plot_spectrum
from jobs.pages.facts import Fact, fingerprints_text, machine_fact, versions_fact
from jobs.pages.page import write_page
from pipeline.analysis.normality import MULTIVARIATE, OTHER_PROMPTS, PER_AXIS, UNIFORM

_NAMES = {
    MULTIVARIATE: "Multivariate normal, D_SD",
    PER_AXIS: "Normal along each axis",
    UNIFORM: "Uniform along each axis",
    OTHER_PROMPTS: "Other prompts",
}


@dataclass(frozen=True)
class MardiaRow:
    """One statistic of Mardia's with its two p-values."""

    name: str
    value: str
    asymptotic: str
    simulated: str


@dataclass(frozen=True)
class DistanceRow:
    """Distances of one distribution: mean and standard deviation over the folds."""

    name: str
    mean: str
    spread: str
    chosen: bool


def write_prior_page(path: Path, figures: Mapping[str, Any], scores: NDArray[np.floating]) -> Path:
    """Write the page of a prior; return its path.

    Args:
        figures: what is kept as the prior's JSON.
        scores: the prompts on the components, (N, K).
    """
    shapiro, draws, emd = figures["shapiro"], figures["draws"], figures["emd"]
    return write_page(
        path,
        "prior.html.j2",
        title="The distribution of conditions",
        lead=f"D_SD of the backbone “{figures['backbone']}”: a multivariate normal over "
        f"{figures['components']} principal components of its prompts’ embeddings. It is what "
        "sampled images are conditioned on, and here is how far it can be believed.",
        facts=_prior_facts(figures),
        spectrum_plot=plot_spectrum(figures["deviations"], shapiro["p_values"], shapiro["level"]),
        quantiles_plot=plot_quantiles(scores),
        level=shapiro["level"],
        by_chance=round(shapiro["level"] * figures["components"]),
        mardia_rows=_mardia_rows(figures["mardia"]),
        mardia=figures["mardia"],
        distance_note=_distance_note(emd["mean"]),
        distance_rows=_distance_rows(emd["each"]),
        distances_plot=plot_distances(emd["each"], _NAMES),
        folds=emd["folds"],
        draws_note=f"{draws['conditions']:,} conditions, as many as the paper’s dataset has, "
        f"were drawn in {draws['seconds']:.1f} s, 64 at a time.",
        provenance=_prior_provenance(figures),
        fingerprints_text=fingerprints_text(figures["fingerprint"]),
    )


def _prior_facts(figures: Mapping[str, Any]) -> list[Fact]:
    """Choose the four numbers at the top."""
    shapiro, emd = figures["shapiro"], figures["emd"]["mean"]
    tokens, channels = figures["embedding"]
    distinct = figures["distinct_prompts"]
    return [
        Fact("Prompts", f"{figures['prompts']:,}",
             f"{distinct:,} different; {tokens} tokens of {channels} channels"),
        Fact("Fail Shapiro-Wilk", f"{shapiro['rejected']} of {figures['components']}",
             f"components, at {shapiro['level']:.0%}"),
        Fact("Mardia", "rejected" if _is_rejected(figures) else "not rejected",
             f"normality of {figures['mardia']['components']} components together"),
        Fact("Distance to prompts", f"{emd[MULTIVARIATE]:,.1f}",
             f"per axis {emd[PER_AXIS]:,.1f}, uniform {emd[UNIFORM]:,.1f}"),
    ]  # fmt: skip


def _mardia_rows(mardia: Mapping[str, float]) -> list[MardiaRow]:
    """List the rows of Mardia's test."""
    return [
        MardiaRow(
            name=f"Multivariate {part}",
            value=f"{mardia[part]:,.1f}",
            asymptotic=_probability(mardia[f"{part}_p"]),
            simulated=_probability(mardia[f"{part}_simulated_p"]),
        )
        for part in ("skewness", "kurtosis")
    ]


def _is_rejected(figures: Mapping[str, Any]) -> bool:
    """Say whether Mardia's test finds the components not normal, by its simulated p-values."""
    mardia, level = figures["mardia"], figures["shapiro"]["level"]
    # Two tests of one hypothesis: each gets half of the level.
    return min(mardia["skewness_simulated_p"], mardia["kurtosis_simulated_p"]) < level / 2


def _distance_rows(emd: Mapping[str, Sequence[float]]) -> list[DistanceRow]:
    """List the rows of DiffSketch's Table 6, and that of the prompts themselves."""
    return [
        DistanceRow(_NAMES[name], f"{np.mean(d):,.2f}", f"{np.std(d):,.2f}", name == MULTIVARIATE)
        for name, d in emd.items()
    ]


def _distance_note(emd: Mapping[str, float]) -> str:
    """Say in words which distribution lies nearest."""
    rivals = {name: emd[name] for name in (PER_AXIS, UNIFORM)}
    best = min(rivals, key=lambda name: rivals[name])
    share = abs(1 - emd[MULTIVARIATE] / rivals[best])
    order = "nearer" if emd[MULTIVARIATE] < rivals[best] else "farther"
    return (
        f"Samples of D_SD lie {share:.1%} {order} to prompts that they were not fitted to than "
        f"those of the better rival, the {best} distribution. Other prompts would lie at "
        f"{emd[OTHER_PROMPTS]:,.2f}: no sampler can be expected to do better."
    )


def _prior_provenance(figures: Mapping[str, Any]) -> list[Fact]:
    """List what is needed to make the prior again."""
    return [
        Fact("Backbone", figures["backbone"]),
        Fact("Prompts", f"{figures['prompts']:,}, kept beside this page; seed {figures['seed']}"),
        machine_fact(figures["machine"]),
        versions_fact(figures["versions"]),
    ]  # fmt: skip


def _probability(p: float) -> str:
    """Write a p-value to three decimals, a smaller one as `< 0.001`."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
