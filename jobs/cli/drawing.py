"""Commands for those who have an extractor: photographs and films in, drawings out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from jobs.cli.options import (
    Drawings,
    Inputs,
    Model,
    NodeOptions,
    ShortSide,
    node_cache,
    unfold_options,
)

if TYPE_CHECKING:
    from pipeline.drawings.finish import Finish

app = typer.Typer()


@dataclass(frozen=True)
class DrawingOptions:
    """How photographs are drawn, and what becomes of the drawings."""

    short_side: ShortSide = None
    dtype: Annotated[
        str, typer.Option("--dtype", help="Extractor's numbers: float32, float16, bfloat16.")
    ] = "float32"
    batch: Annotated[int, typer.Option("--batch", min=1, help="Of one size, drawn at once.")] = 1
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="In (0, 1): darker is black, else white.")
    ] = None
    thickness: Annotated[
        int, typer.Option("--thickness", help="Pixels by which lines grow, or shrink below 0.")
    ] = 0
    invert: Annotated[bool, typer.Option("--invert", help="White on black.")] = False
    alpha: Annotated[bool, typer.Option("--alpha", help="Ink over nothing.")] = False
    svg: Annotated[
        str, typer.Option("--svg", metavar="KIND", help="SVG: outline or centerline.")
    ] = ""
    again: Annotated[
        bool, typer.Option("--again", help="Draw those anew that are there, and replace them.")
    ] = False

    def finish(self) -> Finish:
        """Build what is done with drawings; ValueError for what contradicts itself."""
        from pipeline.drawings.finish import Finish
        from pipeline.drawings.vectors import SVG_KINDS

        if self.svg and (self.alpha or self.svg not in SVG_KINDS):
            raise ValueError(
                "--svg has ink over nothing already: leave --alpha out"
                if self.alpha
                else f"--svg {self.svg}: expected one of {', '.join(SVG_KINDS)}"
            )
        form = self.svg or ("alpha" if self.alpha else "grey")
        return Finish(cast(Any, form), self.threshold, self.thickness, self.invert)


@app.command()
@unfold_options
def extract(
    model: Model,
    inputs: Inputs,
    out: Drawings,
    drawing: DrawingOptions,
    node: NodeOptions,
) -> None:
    """Draw photographs with the extractor.

    One PNG or SVG each, of the photograph's size, black on white. A folder is searched with all
    folders in it; names that begin with a dot are left out. Started again, it goes on.
    """
    from jobs.extract.extract import ExtractOptions, run_extract
    from jobs.runtime.devices import choose_machine
    from jobs.runtime.events import open_events

    finish = drawing.finish()
    machine = choose_machine(node.device, drawing.dtype)
    options = ExtractOptions(
        drawing.short_side, machine.dtype, drawing.batch, finish, drawing.again
    )
    with open_events() as events:
        folder = Path(node_cache(node.cache, node.cache_gib).local_path(model))
        run_extract(folder, inputs, out, machine, events, options)
