"""Commands about the method itself: what DiffSketch claims, checked on a backbone at hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.cli.options import (
    Device,
    Drawings,
    Dtype,
    Inputs,
    RecipeName,
    Workers,
    local_path,
    unfold_options,
)

if TYPE_CHECKING:
    from jobs.experiments.ablate import Ablation
    from jobs.experiments.select import Selection

app = typer.Typer()

BackboneName = Annotated[
    str,
    typer.Argument(metavar="BACKBONE", help="embedded, a diffusers folder, or a cached hub id."),
]
Prompts = Annotated[
    Path | None, typer.Option("--prompts", help="Prompts, one a line.  [default: by backbone]")
]
Results = Annotated[
    Path,
    typer.Option("--out", parser=local_path, metavar="FOLDER", help="For the results."),
]


@dataclass(frozen=True)
class SelectOptions:
    """What to select from; the fields are those of `Selection`."""

    images: Annotated[int, typer.Option("--images", min=2, help="Images to sample.")] = 1000
    steps: Annotated[int, typer.Option("--steps", min=4, help="DDIM steps.")] = 50
    guidance: Annotated[float, typer.Option("--guidance", min=1.0)] = 5.0
    prompts: Prompts = None
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0
    write: Annotated[
        bool, typer.Option("--write", help="Make the result the backbone's own default.")
    ] = False
    workers: Workers = 0

    def selection(self) -> Selection:
        """Build what the experiment takes."""
        from jobs.experiments.select import Selection

        return Selection(**vars(self))


@app.command()
@unfold_options
def select(
    backbone: BackboneName,
    out: Results,
    options: SelectOptions,
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Find the denoising steps that stand for all.

    DiffSketch, section 3.1 and appendix B.
    """
    from jobs.experiments.select import run_select
    from jobs.nodes.ray_session import machine_for_tasks
    from jobs.runtime.devices import Asked
    from jobs.runtime.events import open_events

    asked = Asked(device, dtype)
    with open_events(out / "events.jsonl") as events, machine_for_tasks(asked) as machine:
        run_select(backbone, out, options.selection(), machine, events)


@app.command()
def prior(
    backbone: BackboneName,
    out: Results,
    prompts: Prompts = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Fit the distribution of conditions.

    It also tests how normal that distribution is: DiffSketch, appendix D.
    """
    from jobs.experiments.prior import run_prior
    from jobs.runtime.devices import choose_machine
    from jobs.runtime.events import open_events

    with open_events(out / "events.jsonl") as events:
        run_prior(backbone, out, prompts, seed, choose_machine(device, dtype), events)


@app.command()
def confidence(
    domain_a: Annotated[Path, typer.Argument(metavar="A", help="Folder of one domain.")],
    domain_b: Annotated[Path, typer.Argument(metavar="B", help="Folder of another domain.")],
    out: Results,
    clip: Annotated[
        str, typer.Option("--clip", help="embedded, or an open_clip model as NAME:FILE.")
    ] = "embedded",
    device: Device = "auto",
) -> None:
    """Score how far directional CLIP can be trusted.

    Within a domain and across two: DiffSketch, equations 6 and 7. Each domain is a folder with
    images/ and one folder per style, sketches matched by name.
    """
    from jobs.experiments.confidence import run_confidence
    from jobs.runtime.devices import choose_machine
    from jobs.runtime.events import open_events

    with open_events(out / "events.jsonl") as events:
        run_confidence(domain_a, domain_b, out, clip, choose_machine(device), events)


@dataclass(frozen=True)
class AblateOptions:
    """What to train; the fields are those of `Ablation`, which explains them."""

    iterations: Annotated[
        int, typer.Option("--iterations", min=0, help="Per training; 0: the recipe's.")
    ] = 0
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Trainings per cell.")] = 3
    images: Annotated[int, typer.Option("--images", min=2, help="Images to score on.")] = 100
    workers: Workers = 0
    styles: Annotated[str, typer.Option("--styles", help="Styles with known truth, by comma.")] = (
        "xdog,lineart,edges"
    )
    distilled: Annotated[
        str,
        typer.Option("--distilled", help="Styles to compare students in, by comma; may be empty."),
    ] = "xdog"

    def ablation(self) -> Ablation:
        """Build what the experiment takes."""
        from jobs.experiments.ablate import Ablation

        lists = {"styles": _by_comma(self.styles), "distilled": _by_comma(self.distilled)}
        return Ablation(**{**vars(self), **lists})


@app.command()
@unfold_options
def ablate(
    recipe: RecipeName,
    out: Results,
    options: AblateOptions,
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Train and score the rows of DiffSketch's Table 1.

    In three styles with known truth; a stopped run goes on where it was.
    """
    from jobs.experiments.ablate import run_ablate
    from jobs.nodes.ray_session import machine_for_tasks
    from jobs.runtime.devices import Asked
    from jobs.runtime.events import open_events
    from jobs.runtime.recipes import open_recipe

    asked = Asked(device, dtype)
    with open_events(out / "events.jsonl") as events, machine_for_tasks(asked) as machine:
        run_ablate(open_recipe(recipe), out, options.ablation(), machine, events)


@app.command("extract-by-teacher")
def extract_by_teacher(
    teacher: Annotated[Path, typer.Argument(help="Folder of a teacher (<run>/teacher).")],
    inputs: Inputs,
    out: Drawings,
    prompt: Annotated[str, typer.Option("--prompt", help="What the photographs show.")] = "",
    inversion: Annotated[
        str, typer.Option("--inversion", help="fixed-point or ordinary.")
    ] = "fixed-point",
    backbone: Annotated[
        str, typer.Option("--backbone", help="What the teacher was taught on.")
    ] = "embedded",
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Draw photographs with the teacher, by inversion.

    One PNG each, of the photograph's size, and inversion.json: what was lost on the way.
    """
    from jobs.extract.by_teacher import (
        InversionOptions,
        load_teacher_extractor,
        run_extract_by_teacher,
    )
    from jobs.extract.drawings import check_drawings
    from jobs.runtime.devices import choose_machine
    from jobs.runtime.events import open_events

    options = InversionOptions(prompt, inversion)
    machine = choose_machine(device, dtype)
    # Before the models are loaded, which takes a while.
    check_drawings(inputs, out)
    with open_events() as events:
        extractor = load_teacher_extractor(teacher, backbone, options, machine)
        run_extract_by_teacher(extractor, inputs, out, events)


@app.command()
def style(
    name: Annotated[str, typer.Argument(metavar="STYLE", help="xdog, edges or sobel.")],
    image: Annotated[Path, typer.Argument(help="Image to draw.")],
    out: Annotated[
        Path, typer.Option("--out", parser=local_path, metavar="FILE.png", help="For the drawing.")
    ],
) -> None:
    """Draw an image in a style with known truth.

    The style has a formula, or is a small network that comes along.
    """
    from jobs.experiments.style import draw_style

    draw_style(name, image, out)


def _by_comma(names: str) -> tuple[str, ...]:
    return tuple(filter(None, names.split(",")))
