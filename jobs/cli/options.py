"""Arguments and options that several commands take, so that they read the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

RecipeName = Annotated[
    str, typer.Argument(metavar="RECIPE", help="Recipe file, or the name of a shipped style.")
]
Run = Annotated[
    Path | None,
    typer.Option("--run", help="Folder for the artefacts.  [default: the recipe's]"),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Dtype = Annotated[
    str, typer.Option("--dtype", help="Backbone's numbers: auto, float32, float16, bfloat16.")
]
ShortSide = Annotated[
    int | None,
    typer.Option("--short-side", min=16, help="Draw at this many pixels, then enlarge."),
]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Ray workers; 0: by the machine.")]
SingleWriter = Annotated[
    bool, typer.Option("--single-writer", help="Vouch that no other run writes there.")
]
StoreAddress = Annotated[
    str, typer.Argument(metavar="DATASET", help="Folder or s3://bucket/prefix of the dataset.")
]
