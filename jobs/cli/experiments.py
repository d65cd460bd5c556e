"""Commands about the method itself: what the paper claims, checked on a backbone at hand."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.options import Device, Dtype, RecipeName, Workers

app = typer.Typer()

BackboneName = Annotated[
    str,
    typer.Argument(metavar="BACKBONE", help="embedded, a diffusers folder, or a cached hub id."),
]


@app.command()
def select(
    backbone: BackboneName,
    out: Annotated[Path, typer.Option("--out", help="Folder for figures and page.")],
    images: Annotated[int, typer.Option("--images", min=2, help="Images to sample.")] = 1000,
    steps: Annotated[int, typer.Option("--steps", min=4, help="DDIM steps.")] = 50,
    guidance: Annotated[float, typer.Option("--guidance", min=1.0)] = 5.0,
    prompts: Annotated[
        Path | None, typer.Option("--prompts", help="Prompts, one a line.  [default: by backbone]")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    write: Annotated[
        bool, typer.Option("--write", help="Make the result the backbone's own default.")
    ] = False,
    workers: Workers = 0,
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Find the denoising steps that represent the whole process (paper, appendix B)."""
    from jobs.experiments.select import Selection, run_select
    from jobs.runtime.devices import choose_machine
    from jobs.runtime.session import open_events

    selection = Selection(images, steps, guidance, prompts, seed, write, workers)
    with open_events(out / "events.jsonl") as on_event:
        run_select(backbone, out, selection, choose_machine(device, dtype), on_event)


@app.command()
def prior(
    backbone: BackboneName,
    out: Annotated[Path, typer.Option("--out", help="Folder for the prior and its page.")],
    prompts: Annotated[
        Path | None, typer.Option("--prompts", help="Prompts, one a line.  [default: by backbone]")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Fit the distribution of conditions, and test how normal it is (paper, appendix D)."""
    from jobs.experiments.prior import run_prior
    from jobs.runtime.devices import choose_machine
    from jobs.runtime.session import open_events

    with open_events(out / "events.jsonl") as on_event:
        run_prior(backbone, out, prompts, seed, choose_machine(device, dtype), on_event)


@app.command()
def confidence(
    domain_a: Annotated[Path, typer.Argument(metavar="A", help="Folder of one domain.")],
    domain_b: Annotated[Path, typer.Argument(metavar="B", help="Folder of another domain.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the table.")],
    clip: Annotated[
        str, typer.Option("--clip", help="embedded, or an open_clip model as NAME:FILE.")
    ] = "embedded",
    device: Device = "auto",
) -> None:
    """Score how far directional CLIP can be trusted within and across domains (equations 6, 7).

    Each domain is a folder with images/ and one folder per style, sketches matched by name.
    """
    from jobs.experiments.confidence import run_confidence
    from jobs.runtime.devices import choose_machine
    from jobs.runtime.session import open_events

    with open_events(out / "events.jsonl") as on_event:
        run_confidence(domain_a, domain_b, out, clip, choose_machine(device), on_event)


@app.command()
def ablate(
    recipe: RecipeName,
    out: Annotated[Path, typer.Option("--out", help="Folder for samples, runs and page.")],
    iterations: Annotated[
        int, typer.Option("--iterations", min=0, help="Per training; 0: the recipe's.")
    ] = 0,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Trainings per cell.")] = 3,
    images: Annotated[int, typer.Option("--images", min=2, help="Images to score on.")] = 100,
    styles: Annotated[
        str, typer.Option("--styles", help="Styles with known truth, by comma.")
    ] = "xdog,lineart,edges",
    distilled: Annotated[
        str,
        typer.Option("--distilled", help="Styles to compare students in, by comma; may be empty."),
    ] = "xdog",
    workers: Workers = 0,
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Train and score the rows of the paper's Table 1 on three styles with known truth."""
    from jobs.experiments.ablate import Ablation, run_ablate
    from jobs.runtime.devices import choose_machine
    from jobs.runtime.recipes import open_recipe
    from jobs.runtime.session import open_events

    chosen = [tuple(filter(None, names.split(","))) for names in (styles, distilled)]
    ablation = Ablation(iterations, seeds, images, workers, *chosen)
    with open_events(out / "events.jsonl") as on_event:
        run_ablate(open_recipe(recipe), out, ablation, choose_machine(device, dtype), on_event)
