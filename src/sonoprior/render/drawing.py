"""What every plot is drawn with: one style, colours, and the way from a figure to a `Plot`."""

import io
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Okabe and Ito's colours, readable with every common form of colour blindness; grey is the baseline's.
GREY = "#7a7f87"
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
INK = "#1c2230"
FAINT = "#d5d9e0"
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Liberation Sans", "Arial"],
    "font.size": 10.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "sonoprior",
}
styled = rc_context(_STYLE)


@dataclass(frozen=True)
class Plot:
    """A drawing and its numbers.

    Attributes:
        svg: the picture, as the bytes of an SVG file.
        csv: the numbers behind it.
    """

    svg: bytes
    csv: str


def one_panel(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of one panel, its sides in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def finished(figure: Figure, numbers: pd.DataFrame) -> Plot:
    """A figure with the numbers behind it."""
    return Plot(svg(figure), numbers.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def svg(figure: Figure) -> bytes:
    """A figure as the bytes of an SVG file, the same every time."""
    buffer = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    return buffer.getvalue()
