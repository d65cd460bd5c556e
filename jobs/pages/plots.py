"""Plots inside a page: SVG with the page's own fonts and colours; it needs no other file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

INK, SOFT, LINE, MARK, MISS = "#1c1b19", "#6b6862", "#dedad2", "#1f6f54", "#a3442f"
# Early to late, or low to high: dark enough at both ends to be seen on paper.
RAMP = LinearSegmentedColormap.from_list("ramp", ["#e0b23c", "#b4563a", "#5d3a6e", "#1d2c4f"])
_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "savefig.dpi": 200,
}


@contextmanager
def plotting(name: str) -> Iterator[None]:
    """Draw in the page's style; `name` keeps the marks of several plots in one page apart."""
    # Through the object-oriented interface alone: no global backend is chosen or changed.
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name}):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure, sizes in inches; call while `plotting`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def svg(figure: Any, alt: str) -> Markup:
    """Turn a figure into SVG for a page; call while `plotting`, which it belongs to."""
    figure.patch.set_alpha(0)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # The page's own font instead of a name that a reader's machine may not have.
    text = text.replace("'DejaVu Sans', sans-serif", "inherit").replace("'DejaVu Sans'", "inherit")
    label = Markup('<svg role="img" aria-label="{}"').format(alt)
    return Markup(text.replace("<svg", str(label), 1))
