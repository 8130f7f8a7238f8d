"""Plots of an embedding: its cases as points, and how alike its classes are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from .class_colours import Look, looks
from .drawing import COLOURS, FAINT, INK, Plot, finished, styled

_UNKNOWN = Look(FAINT, ".")
_SIDE = 3.5  # of a panel, in inches
_LEGEND_HOLDS = 40
NAMED = 40  # so many classes have room for their names beside a matrix
# Of a matrix, in inches: its side, a row's least height, a letter's width, and what is left around it.
_MATRIX, _ROW, _LETTER = 2.9, 0.1, 0.072
_ABOVE, _BELOW, _BETWEEN = 0.3, 0.95, 0.42
_LINES = COLOURS[5]
_POINTS_PER_INCH = 200  # thousands of points are pixels, for as shapes they would take megabytes


@dataclass(frozen=True)
class Map:
    """Cases as points.

    Attributes:
        cases: (n,) ids.
        points: (n, 2).
        labels: by level (n,) names of classes, empty where unknown.
    """

    cases: ArrayLike
    points: NDArray[np.float64]
    labels: Mapping[str, NDArray[np.str_]]


@dataclass(frozen=True)
class ClassesOfLevel:
    """A level to colour by: K classes, and the meta-class of each, empty where there is none."""

    level: str
    classes: Sequence[str]
    metas: Sequence[str]


@styled
def scatter(maps: Mapping[str, Map], levels: Sequence[ClassesOfLevel]) -> Plot:
    """Cases as points: a row of panels for each level, a column for each map, a legend at the right.

    Args:
        maps: by what the column is called.
        levels: what to colour by.
    """
    size = ((_SIDE * len(maps) + 3.2), _SIDE * len(levels))
    figure = Figure(figsize=size, layout="constrained", dpi=_POINTS_PER_INCH)
    ratios = [_SIDE] * len(maps) + [3.2]
    grid = figure.subplots(len(levels), len(maps) + 1, squeeze=False, width_ratios=ratios)
    for row, of in zip(grid, levels, strict=True):
        shown = looks(of.classes, of.metas)
        for axes, (name, cases) in zip(row, maps.items(), strict=False):
            _cloud(axes, cases, of, shown)
            axes.set_title(f"{name}, by {of.level}")
        known = all(cases.labels[of.level].all() for cases in maps.values())
        _explain(row[-1], of, shown, unknown=not known)
    tables = [
        pd.DataFrame(
            {"map": name, "case": of.cases, "x": of.points[:, 0], "y": of.points[:, 1]}
            | {f"label.{level}": names for level, names in of.labels.items()}
        )
        for name, of in maps.items()
    ]
    return finished(figure, pd.concat(tables))


def _cloud(axes: Axes, cases: Map, of: ClassesOfLevel, shown: Mapping[str, Look]) -> None:
    labels = cases.labels[of.level]
    for name, look in {"": _UNKNOWN, **shown}.items():
        points = cases.points[labels == name]
        axes.scatter(*points.T, s=11, c=look.colour, marker=look.sign, linewidths=0, rasterized=True)
    axes.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(FAINT)


def _explain(axes: Axes, of: ClassesOfLevel, shown: Mapping[str, Look], *, unknown: bool) -> None:
    """Every class below its meta-class; of too many classes only the meta-classes."""
    axes.set_axis_off()
    lines = _legend_lines(of, shown)
    lines += [("unknown", _UNKNOWN)] if unknown else []
    handles = [_sign(name, look) for name, look in lines]
    small = 8.5 if len(lines) <= 24 else 7
    legend = axes.legend(
        handles=handles, loc="center left", fontsize=small, labelspacing=0.25, handletextpad=0.3, borderpad=0
    )
    for text, (_, look) in zip(legend.get_texts(), lines, strict=True):
        if look is None:
            text.set_fontweight("bold")


def _legend_lines(of: ClassesOfLevel, shown: Mapping[str, Look]) -> list[tuple[str, Look | None]]:
    kinds = list(dict.fromkeys(of.metas))
    if len(of.classes) > _LEGEND_HOLDS:
        found = {
            meta: [shown[name] for name, own in zip(of.classes, of.metas, strict=True) if own == meta]
            for meta in kinds[:_LEGEND_HOLDS]
            if meta
        }
        middle = [(meta, Look(cousins[len(cousins) // 2].colour)) for meta, cousins in found.items()]
        return [*middle, (f"{len(of.classes)} classes", None)]
    lines: list[tuple[str, Look | None]] = []
    for meta in kinds:
        lines += [(meta or "of unknown kind", None)] if any(kinds) else []
        lines += [(name, shown[name]) for name, own in zip(of.classes, of.metas, strict=True) if own == meta]
    return lines


def _sign(name: str, look: Look | None) -> Line2D:
    if look is None:
        return Line2D([], [], linestyle="none", label=name)
    return Line2D([], [], linestyle="none", marker=look.sign, color=look.colour, markersize=5.5, label=name)


@dataclass(frozen=True)
class Side:
    """How alike K classes are on one side.

    Attributes:
        name: what the panel is called.
        values: (K, K), NaN where there is nothing to compare.
        scale: panels of one scale share their colours.
    """

    name: str
    values: NDArray[np.floating]
    scale: str


@styled
def class_similarities(sides: Sequence[Side], classes: Sequence[str], metas: Sequence[str]) -> Plot:
    """Similarity matrices of classes, with lines between meta-classes.

    Args:
        sides: a panel each, at most three in a row.
        classes: K names, those of one meta-class side by side.
        metas: (K,) the meta-class of each, empty where there is none.
    """
    side = max(_MATRIX, _ROW * min(len(classes), NAMED))
    across = min(3 if side < 3.2 else 2, len(sides))
    left, right = _margins(classes, metas)
    down = -(-len(sides) // across)
    width, height = left + across * (side + _BETWEEN) + right, down * (side + _BELOW)
    figure = Figure(figsize=(width, height))
    ranges = {scale: _range([one.values for one in sides if one.scale == scale]) for scale in _scales(sides)}
    for place, one in enumerate(sides):
        row, column = divmod(place, across)
        x, y = left + column * (side + _BETWEEN), height - row * (side + _BELOW) - side - _ABOVE
        axes = figure.add_axes((x / width, y / height, side / width, side / height))
        bar = figure.add_axes(
            ((x + 0.2 * side) / width, (y - 0.33) / height, 0.6 * side / width, 0.09 / height)
        )
        _matrix(axes, bar, one, metas, ranges[one.scale])
        _name(axes, classes, named=column == 0)
        if len(classes) > NAMED and (column == across - 1 or place == len(sides) - 1):
            _name_metas(axes, metas, side / len(classes))
    return finished(figure, pd.concat([_long(one, classes) for one in sides]))


def _margins(classes: Sequence[str], metas: Sequence[str]) -> tuple[float, float]:
    """Room for the names at the left, or of many classes for those of the meta-classes at the right."""
    if len(classes) > NAMED:
        return 0.1, _LETTER * max(map(len, metas))
    return 0.4 + _LETTER * max(map(len, classes)), 0.0


def _scales(sides: Sequence[Side]) -> list[str]:
    return list(dict.fromkeys(one.scale for one in sides))


def _range(matrices: Sequence[NDArray[np.floating]]) -> tuple[float, float]:
    """The lowest and highest entry off the diagonal, which would drown the others."""
    entries = np.concatenate([matrix[~np.eye(len(matrix), dtype=bool)] for matrix in matrices])
    found = entries[np.isfinite(entries)]
    if not len(found):
        return 0.0, 1.0
    low, high = float(found.min()), float(found.max())
    return (low, high) if high - low > 1e-6 else (low - 0.5, high + 0.5)


def _matrix(axes: Axes, bar: Axes, side: Side, metas: Sequence[str], ends: tuple[float, float]) -> None:
    axes.set_facecolor(FAINT)
    axes.imshow(side.values, cmap="Blues", vmin=ends[0], vmax=ends[1])
    for place, (one, other) in enumerate(pairwise(metas)):
        if one != other:
            axes.axhline(place + 0.5, color=_LINES, linewidth=1.2)
            axes.axvline(place + 0.5, color=_LINES, linewidth=1.2)
    axes.set_title(side.name)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar.imshow(np.linspace(*ends, 128)[None], cmap="Blues", aspect="auto", extent=(*ends, 0, 1))
    bar.set(yticks=[])
    bar.locator_params(axis="x", nbins=4)
    bar.tick_params(labelsize=8)
    bar.spines[:].set_visible(False)


def _name(axes: Axes, classes: Sequence[str], *, named: bool) -> None:
    """Numbers along the bottom, and at the left the names beside them; neither of too many classes."""
    if len(classes) > NAMED:
        axes.set(xticks=[], yticks=[])
        return
    numbers = [str(number) for number in range(1, len(classes) + 1)]
    names = [f"{name}  {number}" for name, number in zip(classes, numbers, strict=True)]
    small = 8.5 if len(classes) <= 20 else 7
    axes.set_xticks(range(len(classes)), numbers, fontsize=8.5 if len(classes) <= 12 else 6)
    axes.set_yticks(range(len(classes)), names if named else numbers, fontsize=small)


def _name_metas(axes: Axes, metas: Sequence[str], row: float) -> None:
    """The meta-classes at the right, each in the middle of its classes, where these leave room for a line."""
    for meta in dict.fromkeys(filter(None, metas)):
        places = np.flatnonzero(np.asarray(metas) == meta)
        if len(places) * row >= _ROW:
            at = (1.02, float(places.mean()))
            axes.annotate(meta, at, xycoords=("axes fraction", "data"), va="center", fontsize=8, color=INK)


def _long(side: Side, classes: Sequence[str]) -> pd.DataFrame:
    """One row for each pair of classes."""
    rows, columns = np.indices(side.values.shape)
    names = np.asarray(classes, dtype=object)
    return pd.DataFrame(
        {
            "side": side.name,
            "class": names[rows.ravel()],
            "other": names[columns.ravel()],
            "similarity": side.values.ravel(),
        }
    )
