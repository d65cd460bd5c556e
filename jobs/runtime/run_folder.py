"""The folder of one style's artefacts: which stage leaves what, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

EVALUATION = "evaluation"


@dataclass(frozen=True)
class RunFolder:
    """Names inside a run folder, in the order in which the stages fill them."""

    root: Path

    @property
    def source(self) -> Path:
        """Image to draw over, its noise and its record (`source`)."""
        return self.root / "source"

    @property
    def example(self) -> Path:
        """Copy of the drawing, where the run is at an address (`teach`)."""
        return self.root / "example"

    @property
    def teacher(self) -> Path:
        """G_sketch, condition prior, strip and history (`teach`)."""
        return self.root / "teacher"

    @property
    def extractor(self) -> Path:
        """The student to keep (`distill`)."""
        return self.root / "extractor"

    @property
    def drawings(self) -> Path:
        """Drawings of photographs (`extract` as `demo` calls it)."""
        return self.root / "drawings"

    @property
    def evaluation(self) -> Path:
        """Scores and side-by-side pictures (`evaluate`)."""
        return self.root / EVALUATION

    @property
    def generation(self) -> Path:
        """What each run of `generate` did, one after the other."""
        return self.root / "generation.json"

    @property
    def events(self) -> Path:
        """Every event of every stage, one JSON object a line."""
        return self.root / "events.jsonl"

    @property
    def report(self) -> Path:
        """The self-contained page."""
        return self.root / "report.html"
