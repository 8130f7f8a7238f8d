"""Plots as SVG with the numbers behind them as CSV; arrays in, nothing computed but their drawing.

Every function that draws data returns a `Plot`. Figures are objects of their own; nothing is left behind
in matplotlib's global state.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from .drawing import COLOURS, FAINT, GREY, INK, Plot, finished, one_panel, styled, svg


@dataclass(frozen=True)
class Estimate:
    """A number with the bounds of its interval, and of a second one; NaN where there is none."""

    name: str
    value: float
    low: float
    high: float
    second_low: float = nan
    second_high: float = nan


@dataclass(frozen=True)
class Places:
    """A line over an axis: at each of (n,) places a value with the bounds of its interval, NaN for none."""

    place: ArrayLike
    value: ArrayLike
    low: ArrayLike
    high: ArrayLike


@dataclass(frozen=True)
class Needed:
    """How many labels do what `without` do without something, with bounds.

    -inf is fewer than `fewest`, inf more than `most`, NaN not known.
    """

    without: float
    value: float
    low: float
    high: float
    fewest: float
    most: float


def colours(names: Sequence[str], baseline: str | None = None) -> dict[str, str]:
    """One colour a name, grey for the baseline."""
    others = [name for name in names if name != baseline]
    chosen = {name: COLOURS[position % len(COLOURS)] for position, name in enumerate(others)}
    return {name: chosen.get(name, GREY) for name in names}


@styled
def differences(estimates: Sequence[Estimate], label: str) -> Plot:
    """Differences with their intervals, one line each, around a line at zero.

    The first interval is thick; the second is thin, and leaves the plot where it is much wider.
    """
    figure, axes = one_panel(7.2, 0.75 + 0.42 * len(estimates))
    axes.axvline(0, color=INK, linewidth=1)
    for row, estimate in enumerate(estimates):
        _interval(axes, row, estimate)
    axes.set_yticks(range(len(estimates)), [estimate.name for estimate in estimates])
    axes.set_ylim(len(estimates) - 0.4, -0.6)
    _keep_in_view(axes, estimates)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(label)
    return finished(figure, pd.DataFrame(estimates))


def _interval(axes: Axes, row: int, estimate: Estimate) -> None:
    """One interval: full colour where it leaves zero out, grey where zero lies inside."""
    clear = estimate.low > 0 or estimate.high < 0
    colour = COLOURS[0] if clear else GREY
    axes.plot([estimate.second_low, estimate.second_high], [row, row], color=colour, linewidth=1)
    axes.plot([estimate.low, estimate.high], [row, row], color=colour, linewidth=4, solid_capstyle="butt")
    axes.plot([estimate.value], [row], marker="o", markersize=7, color=colour)
    said = f"{estimate.value:+.1f}".replace("-", "−")
    axes.annotate(said, (estimate.value, row), (0, 7), textcoords="offset points", ha="center")


def _keep_in_view(axes: Axes, estimates: Sequence[Estimate]) -> None:
    """As wide as the thick intervals want, half as much again on both sides for the thin ones."""
    ends = [end for one in estimates for end in (one.low, one.value, one.high) if isfinite(end)] + [0.0]
    thin = [end for one in estimates for end in (one.second_low, one.second_high) if isfinite(end)]
    room = 0.5 * (max(ends) - min(ends)) or 1.0
    margin = 0.1 * room
    lowest = max(min([*ends, *thin]), min(ends) - room) - margin
    axes.set_xlim(lowest, min(max([*ends, *thin]), max(ends) + room) + margin)


@styled
def over_axis(
    panels: Mapping[str, Mapping[str, Places]],
    axis: str,
    of_name: Mapping[str, str],
    zero: Collection[str] = (),
) -> Plot:
    """Lines over an axis with a band for their intervals: a panel for each quantity.

    Args:
        panels: label of the quantity to name of the line to its points, from left to right.
        axis: what is drawn from left to right.
        of_name: colour of each line.
        zero: the panels that have a line at zero.
    """
    figure = Figure(figsize=(4.4 * len(panels), 3.4), layout="constrained")
    drawn = figure.subplots(1, len(panels), squeeze=False)[0]
    tables: list[pd.DataFrame] = []
    for axes, (label, lines) in zip(drawn, panels.items(), strict=True):
        if label in zero:
            axes.axhline(0, color=INK, linewidth=1)
        tables += [_places(axes, label, name, of, of_name[name]) for name, of in lines.items()]
        _mark_places(axes, [place for of in lines.values() for place in np.asarray(of.place).tolist()])
        axes.set(xlabel=axis, ylabel=label)
        axes.legend(fontsize=9)
    return finished(figure, pd.concat(tables))


def _places(axes: Axes, label: str, name: str, of: Places, colour: str) -> pd.DataFrame:
    table = pd.DataFrame({key: np.asarray(values, dtype=float) for key, values in vars(of).items()})
    place = table["place"]
    axes.fill_between(place, table["low"], table["high"], color=colour, alpha=0.18, linewidth=0)
    axes.plot(place, table["value"], "o-", color=colour, linewidth=1.8, markersize=5, label=name)
    return table.assign(quantity=label, line=name)


def _mark_places(axes: Axes, places: Sequence[float]) -> None:
    """A tick at every place; by powers where the places span more than one of ten."""
    marks = sorted(set(places))
    if marks[0] > 0 and marks[-1] / marks[0] >= 8:
        axes.set_xscale("log")
    axes.set_xticks(marks, [f"{mark:g}" for mark in marks])
    axes.minorticks_off()


_PAIRED_WITH_ROOM = 8
_LETTERS_WITH_ROOM = 15


@styled
def paired(values: Mapping[str, ArrayLike], runs: Sequence[str], label: str) -> Plot:
    """Every run of every variant, runs on the same fold and seed joined by a line, means as bars.

    Args:
        values: variant to (R,) numbers, NaN where a run is missing.
        runs: R names, such as "fold 0, seed 1".
        label: of the axis.
    """
    table = pd.DataFrame({name: np.asarray(of, dtype=float) for name, of in values.items()}, index=list(runs))
    few = len(values) <= _PAIRED_WITH_ROOM and max(map(len, values)) <= _LETTERS_WITH_ROOM
    figure, axes = one_panel(1.6 + (1.15 if few else 0.42) * len(values), 3.4 if few else 4.0)
    places = np.arange(len(values))
    axes.plot(places, table.to_numpy().T, color=FAINT, linewidth=1, zorder=1)
    for place, name in zip(places, values, strict=True):
        axes.plot(np.full(len(table), place), table[name], "o", color=GREY, markersize=4, zorder=2)
        axes.plot([place - 0.22, place + 0.22], [table[name].mean()] * 2, color=COLOURS[0], linewidth=3)
    axes.set_xticks(places, list(values), rotation=0 if few else 50, ha="center" if few else "right")
    axes.set_xlim(-0.5, len(values) - 0.5)
    axes.set_ylabel(label)
    return finished(figure, table.rename_axis("run").reset_index())


@styled
def labels_saved(
    lines: Mapping[str, Places],
    needed: Mapping[str, Sequence[Needed]],
    label: str,
    of_name: Mapping[str, str],
) -> Plot:
    """What lines reach with so many labels, and beside it how many of one line do what those of another do.

    Args:
        lines: name to its points over numbers of labels.
        needed: name of a line to what is read off it.
        label: of what is reached.
        of_name: colour of each line.
    """
    figure = Figure(figsize=(8.8, 3.6), layout="constrained")
    reached, asked = figure.subplots(1, 2)
    tables = [_places(reached, label, name, of, of_name[name]) for name, of in lines.items()]
    _mark_places(reached, [place for of in lines.values() for place in np.asarray(of.place).tolist()])
    reached.set(xlabel="labels", ylabel=label)
    reached.legend(fontsize=9)
    rows = [(name, one) for name, of in needed.items() for one in of]
    ends = [end for _, one in rows for end in (one.without, one.fewest, one.most)]
    asked.plot([min(ends), max(ends)], [min(ends), max(ends)], color=GREY, linewidth=1.2, linestyle="dashed")
    for number, (name, of) in enumerate(needed.items()):
        aside = 1.035 ** (number - (len(needed) - 1) / 2)
        for one in of:
            _labels_needed(asked, one, aside, of_name[name])
    asked.set(xscale="log", yscale="log", xlabel="labels without", ylabel="labels that do the same with")
    _mark_both(asked, sorted({one.without for _, one in rows}), sorted(set(ends)))
    table = pd.DataFrame([{"quantity": "labels needed", "line": name, **vars(one)} for name, one in rows])
    return finished(figure, pd.concat([*tables, table]))


def _labels_needed(axes: Axes, one: Needed, aside: float, colour: str) -> None:
    """A number with its bounds; what lies beyond the measured numbers ends at the outermost of them."""
    place = aside * one.without
    value, low, high = (float(np.clip(end, one.fewest, one.most)) for end in (one.value, one.low, one.high))
    axes.plot([place, place], [low, high], color=colour, linewidth=2)
    beyond = {-np.inf: "v", np.inf: "^"}
    axes.plot([place], [value], marker=beyond.get(one.value, "o"), markersize=6, color=colour)
    for end, at in ((one.low, low), (one.high, high)):
        if end in beyond and end != one.value:
            axes.plot([place], [at], marker=beyond[end], markersize=6, color=colour, fillstyle="none")


def _mark_both(axes: Axes, across: Sequence[float], up: Sequence[float]) -> None:
    axes.set_xticks(across, [f"{mark:.0f}" for mark in across])
    axes.set_yticks(up, [f"{mark:.0f}" for mark in up])
    axes.minorticks_off()


@styled
def curves(panels: Mapping[str, Mapping[str, ArrayLike]], of_name: Mapping[str, str]) -> Plot:
    """Learning curves: a panel for each quantity, a line for each variant, mean and standard deviation.

    Args:
        panels: title to variant to (R, E) numbers, one row a run and one column an epoch, NaN where a
            run has ended; the line goes as far as any run does.
        of_name: colour of each variant.
    """
    figure = Figure(figsize=(1.2 + 4 * len(panels), 3.2), layout="constrained")
    tables: list[pd.DataFrame] = []
    for axes, (title, lines) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        axes.set_title(title)
        axes.set_xlabel("epoch")
        tables += [_curve(axes, title, name, np.atleast_2d(of), of_name[name]) for name, of in lines.items()]
    # Beside the panels: many lines leave no room inside.
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right upper", fontsize=9)
    return finished(figure, pd.concat(tables))


def _curve(axes: Axes, title: str, name: str, values: NDArray[np.floating], colour: str) -> pd.DataFrame:
    runs = pd.DataFrame(values.T)
    mean, spread = runs.mean(axis=1), runs.std(axis=1).fillna(0)
    epochs = np.arange(1, len(runs) + 1)
    axes.fill_between(epochs, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
    axes.plot(epochs, mean, color=colour, linewidth=1.8, label=name)
    columns = {"quantity": title, "variant": name, "epoch": epochs, "mean": mean, "std": spread}
    return pd.DataFrame(columns | {"runs": runs.notna().sum(axis=1)})


@styled
def confusion(counts: ArrayLike, classes: Sequence[str]) -> Plot:
    """A confusion matrix: counts (K, K), row the true class, shaded by the share of the row."""
    matrix = np.asarray(counts, dtype=float)
    rows = matrix.sum(axis=1, keepdims=True)
    share = np.divide(matrix, rows, out=np.zeros_like(matrix), where=rows > 0)
    few = len(classes) <= 8
    side = 1.5 + (0.75 if few else 0.45) * len(classes)
    figure, axes = one_panel(side + 0.6, side)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), number in np.ndenumerate(matrix):
        text = f"{100 * share[row, column]:.0f} %\n({number:g})" if few else f"{100 * share[row, column]:.0f}"
        colour = "white" if share[row, column] > 0.55 else INK
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    _name_classes(axes, classes, most=3)
    axes.set_yticks(range(len(classes)), list(classes))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="predicted", ylabel="true")
    return finished(
        figure, pd.DataFrame(matrix, list(classes), list(classes)).rename_axis("true").reset_index()
    )


@dataclass(frozen=True)
class Bins:
    """One model's reliability: (bins,) each, NaN where a bin is empty."""

    confidence: ArrayLike
    accuracy: ArrayLike
    count: ArrayLike


@styled
def reliability(models: Mapping[str, Bins], of_name: Mapping[str, str]) -> Plot:
    """Reliability diagram: share right over confidence; the area of a point grows with its cases."""
    figure, axes = one_panel(4.4, 4.1)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.5)
    axes.annotate("as sure as right", (0.02, 0.07), rotation=45, color=GREY, fontsize=9)
    for name, bins in models.items():
        count = np.asarray(bins.count, dtype=float)
        sizes = 12 + 150 * count / max(count.max(), 1)
        line = pd.DataFrame({"x": bins.confidence, "y": bins.accuracy}).dropna()
        axes.plot(line["x"], line["y"], color=of_name[name], linewidth=1.5, label=name)
        axes.scatter(
            np.asarray(bins.confidence), np.asarray(bins.accuracy), sizes, color=of_name[name], alpha=0.7
        )
    axes.set(xlabel="confidence", ylabel="share right", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.legend(loc="lower right", fontsize=9)
    tables = [pd.DataFrame(vars(bins)).assign(model=name) for name, bins in models.items()]
    return finished(figure, pd.concat(tables))


@styled
def by_class(
    values: Mapping[str, ArrayLike],
    classes: Sequence[str],
    of_name: Mapping[str, str],
    label: str,
    chance: ArrayLike | None = None,
) -> Plot:
    """Bars side by side: a group for each class, a bar for each variant.

    Args:
        values: variant to (K,) numbers, NaN where there is none.
        classes: K names.
        of_name: colour of each variant.
        label: of the axis.
        chance: (K,) what looking everywhere alike would give, drawn as a short line.
    """
    width = 0.8 / max(len(values), 1)
    places = np.arange(len(classes))
    figure, axes = one_panel(min(1.8 + (0.5 + 0.35 * len(values)) * len(classes), 11.5), 3.2)
    for number, (name, heights) in enumerate(values.items()):
        middle = places + (number - (len(values) - 1) / 2) * width
        axes.bar(middle, np.asarray(heights, dtype=float), width * 0.92, color=of_name[name], label=name)
    if chance is not None:
        axes.hlines(
            chance,
            places - 0.44,
            places + 0.44,
            colors=INK,
            linestyles="dashed",
            label="looking everywhere",
        )
    _name_classes(axes, classes, most=5)
    axes.set_ylabel(label)
    axes.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    table = pd.DataFrame({name: np.asarray(of, dtype=float) for name, of in values.items()}, list(classes))
    extra = {} if chance is None else {"looking everywhere": np.asarray(chance, dtype=float)}
    return finished(figure, table.assign(**extra).rename_axis("class").reset_index())


@styled
def overlay_legend(outlines: Mapping[str, str]) -> bytes:
    """What the colours of an overlay mean, as SVG: the bar of the heat map and a line for each outline.

    Args:
        outlines: name to "#RRGGBB", as `overlays.legend` gives it.
    """
    figure = Figure(figsize=(2.6 + 1.9 * len(outlines), 0.5))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set(xlim=(0, figure.get_figwidth()), ylim=(0, 1))
    axes.imshow(np.linspace(0, 1, 128)[None], cmap="inferno", extent=(0.1, 1.1, 0.3, 0.7), aspect="auto")
    axes.text(1.2, 0.5, "looked: low to high", va="center")
    for number, (name, colour) in enumerate(outlines.items()):
        left = 2.9 + 1.9 * number
        axes.plot([left, left + 0.35], [0.5, 0.5], color=colour, linewidth=3)
        axes.text(left + 0.45, 0.5, name, va="center")
    return svg(figure)


def _name_classes(axes: Axes, classes: Sequence[str], most: int) -> None:
    """Names along the bottom, slanted where there are more than `most`."""
    axes.set_xticks(range(len(classes)), list(classes))
    if len(classes) > most:
        axes.tick_params(axis="x", labelrotation=40)
