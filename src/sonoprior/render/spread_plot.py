"""How runs spread at the values of a setting: arrays in, a drawing and its numbers out."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from .drawing import FAINT, Plot, finished, one_panel, styled


@styled
def spread(
    values: Mapping[str, Mapping[str, ArrayLike]], axis: str, label: str, of_name: Mapping[str, str]
) -> Plot:
    """Runs of several methods at the values of a setting: a dot each, and a box; on the right all together.

    Args:
        values: method to value of the setting to (R,) numbers, NaN where there is none.
        axis: the setting.
        label: of the numbers.
        of_name: colour of each method.
    """
    runs = {name: {place: _defined(of) for place, of in places.items()} for name, places in values.items()}
    named = dict.fromkeys(place for places in runs.values() for place in places)
    places = sorted(named, key=float)
    width = 0.8 / len(runs)
    figure, axes = one_panel(2.2 + (0.5 + 0.4 * len(runs)) * (len(places) + 1), 3.6)
    for number, (name, of_place) in enumerate(runs.items()):
        at_places = [of_place.get(place, np.empty(0)) for place in places]
        aside = (number - (len(runs) - 1) / 2) * width
        for at, of in enumerate([*at_places, np.concatenate(at_places)]):
            _box(axes, at + aside, of, 0.8 * width, of_name[name])
        axes.plot([], [], "s", color=of_name[name], label=name)
    axes.axvline(len(places) - 0.5, color=FAINT, linewidth=1.2)
    axes.set_xticks(range(len(places) + 1), [*places, "all"])
    axes.set(xlabel=axis, ylabel=label)
    axes.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    rows = [
        {"method": name, "place": place, "run": run, "value": value}
        for name, of_place in values.items()
        for place, of in of_place.items()
        for run, value in enumerate(np.asarray(of, dtype=float).tolist())
    ]
    return finished(figure, pd.DataFrame(rows))


def _defined(values: ArrayLike) -> NDArray[np.float64]:
    found = np.asarray(values, dtype=np.float64)
    return found[~np.isnan(found)]


def _box(axes: Axes, place: float, values: NDArray[np.float64], width: float, colour: str) -> None:
    if not len(values):
        return
    line = {"color": colour, "linewidth": 1.2}
    axes.boxplot(
        [values],
        positions=[place],
        widths=width,
        showfliers=False,
        manage_ticks=False,
        patch_artist=True,
        boxprops={"edgecolor": colour, "facecolor": f"{colour}30"},
        medianprops={"color": colour, "linewidth": 2.4},
        whiskerprops=line,
        capprops=line,
    )
    # Side by side, in the order of the runs, so that equal ones are both seen.
    beside = place + 0.5 * width * (np.linspace(-1, 1, len(values)) if len(values) > 1 else np.zeros(1))
    axes.plot(beside, values, "o", color=colour, markersize=3, alpha=0.8)
