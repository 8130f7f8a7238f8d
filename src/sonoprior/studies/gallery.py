"""The pictures of a report that show where each variant looked."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.priors import prior_maps
from sonoprior.core.errors import DataError
from sonoprior.core.randomness import generator
from sonoprior.render.blocks import Block, Figure, Paragraph, Table
from sonoprior.render.overlays import heat_map, legend, outlined
from sonoprior.render.pictures import thumbnail
from sonoprior.render.plots import overlay_legend
from sonoprior.training.recipe import Recipe

from .finished import FinishedRun

Mask = NDArray[np.bool_]
SIDE = 168
_MOST_PANELS = 160
_MOST_CASES = 6
_METHODS = {
    "grad": "gradient",
    "grad_input": "gradient times input",
    "grad_cam": "class activation (Grad-CAM)",
}
_PAGE = 930  # what the columns of pictures share, in CSS pixels


class Looked(Protocol):
    """Where a run looked in one image, as `training.predictor.Attribution`."""

    @property
    def prediction(self) -> Any:
        """With `label` and `confidence`; None for a run that only embeds."""
        ...

    @property
    def maps(self) -> Mapping[str, NDArray[np.float32]]:
        """For each prior the attribution of its channels, (H, W)."""
        ...

    @property
    def free(self) -> NDArray[np.float32]:
        """The attribution of the other channels, (H, W)."""
        ...


class Looking(Protocol):
    """A run in use, as `training.predictor.Predictor`."""

    def attribution(self, images: Any) -> Sequence[Looked]:
        """Where it looks in uint8 images (H, W)."""
        ...


Load = Callable[..., Looking]


@dataclass(frozen=True)
class Shown:
    """A case of the gallery.

    Attributes:
        case: its id.
        label: its class.
        image: uint8 (H, W).
        masks: for each prior bool (H, W), None where it is absent.
    """

    case: str
    label: str
    image: NDArray[np.uint8]
    masks: Mapping[str, Mask | None]


def attribution_gallery(runs: Mapping[str, FinishedRun], case_set: CaseSet, load: Load) -> list[Block]:
    """Image, outline, and where each variant looked; a row for each prior and one for the free channels.

    Variants whose priors are grouped otherwise have other maps; they stand in a table of their own.

    Args:
        runs: variant to its run on one fold with one seed, the same for all.
        case_set: where the images come from.
        load: opens a run folder, as `sonoprior.load`.
    """
    some = next(iter(runs.values()))
    alike: dict[tuple[str, ...], dict[str, FinishedRun]] = {}
    for name, run in runs.items():
        alike.setdefault(tuple(run.priors), {})[name] = run
    panels = sum((max(len(priors), 1) + 1) * (len(of) + 2) for priors, of in alike.items())
    chosen = _chosen(some, max(1, min(_MOST_CASES, _MOST_PANELS // panels)))
    about = (
        f"Test cases of {some.name}, drawn by lot from each class, those with an outline first; nothing was"
        " picked by its result. Each map is scaled to its own largest value, so colours say where, not how"
        f" much; negative attribution is left out.{_taken(runs.values())}"
    )
    tables = [block for of in alike.values() for block in _side_by_side(of, chosen, case_set, load)]
    return [Paragraph(about), *tables]


def _taken(runs: Iterable[FinishedRun]) -> str:
    """What the maps are, if it is the same for all; otherwise the variants' settings say it."""
    said = {
        f" A map is the {_METHODS[of.attribution.method]} of {_attributed(of)} at '{of.model.tap}'."
        for of in (run.recipe for run in runs)
    }
    return said.pop() if len(said) == 1 else ""


def _attributed(recipe: Recipe) -> str:
    if not recipe.classifies:
        return "the sum of its outputs"
    return "the sum of the logits" if recipe.attributed == "sum" else "what is predicted"


def _side_by_side(
    runs: Mapping[str, FinishedRun], cases: Sequence[tuple[str, str]], case_set: CaseSet, load: Load
) -> list[Block]:
    """Variants with the same priors."""
    some = next(iter(runs.values()))
    names = list(some.priors) or ["attribution"]
    shown = [_case(some, case_set, case, label) for case, label in cases]
    looked = {name: load(run.folder).attribution([one.image for one in shown]) for name, run in runs.items()}
    free = any(np.any(one.free) for of_variant in looked.values() for one in of_variant)
    rows = [
        row
        for at, one in enumerate(shown)
        for row in _rows(one, {name: of_variant[at] for name, of_variant in looked.items()}, names, free)
    ]
    key = Figure(overlay_legend(legend(some.priors)), alt="legend of the overlays")
    side = min(SIDE, _PAGE // (len(runs) + 2) - 14)
    sized = [[_sized(cell, side) for cell in row] for row in rows]
    return [key, Table(["map", "image", "outline", *runs], sized)]


def _sized(cell: str | Figure, side: int) -> str | Figure:
    """Columns of one width: a page of many variants has smaller pictures, not uneven ones."""
    return replace(cell, width=f"{side}px") if isinstance(cell, Figure) else cell


def _chosen(run: FinishedRun, most: int) -> list[tuple[str, str]]:
    """Ids and classes of test cases: round by round one of each class, those with an outline first."""
    found = run.measured()
    outlined_cases = set(run.localisation()["case"])
    order = generator(0, "gallery").permutation(len(found))
    queues: dict[int, list[str]] = {}
    for at in sorted(order, key=lambda place: found.cases[place] not in outlined_cases):
        queues.setdefault(int(found.labels[at]), []).append(str(found.cases[at]))
    rounds = max(len(queue) for queue in queues.values())
    by_turn = [
        (queues[label][turn], run.classes[label])
        for turn in range(rounds)
        for label in sorted(queues)
        if turn < len(queues[label])
    ]
    return sorted(by_turn[:most], key=lambda pair: run.classes.index(pair[1]))


def _case(run: FinishedRun, case_set: CaseSet, case: str, label: str) -> Shown:
    at = position(case_set, case)
    return Shown(case, label, case_set.read_image(at), prior_masks(run, case_set, at))


def position(case_set: CaseSet, case: str) -> int:
    """Where a case stands in a case set.

    Raises:
        DataError: if it is not there.
    """
    if case not in case_set.ids:
        raise DataError(f"{case_set.root} must hold the cases of the runs, but it has no case '{case}'.")
    return case_set.ids.index(case)


def prior_masks(run: FinishedRun, case_set: CaseSet, at: int) -> dict[str, Mask | None]:
    """For each prior of a run where it really is in a case, (H, W) bool; None where it is absent."""
    spec = run.recipe.data.priors
    if spec is None or not run.priors:
        return {}
    maps, present = prior_maps(case_set, at, spec.real)
    return {name: maps[number] >= 0.5 if present[number] else None for number, name in enumerate(run.priors)}


def _rows(
    one: Shown, looked: Mapping[str, Looked], names: Sequence[str], free: bool
) -> Iterable[list[str | Figure]]:
    for number, name in enumerate(names):
        alone = [one.masks.get(name) if other == number else None for other in range(len(names))]
        panels = [
            _panel(
                one,
                found.maps[name],
                alone,
                _said(found, one.label) if number == 0 else "",
                f"{variant}, {name}",
            )
            for variant, found in looked.items()
        ]
        image = _picture(one.image, f"{one.label}; {one.case}") if number == 0 else ""
        yield [name, image, _outline(one, alone), *panels]
    if free:
        panels = [
            _panel(one, found.free, [], "", f"{variant}, free channels") for variant, found in looked.items()
        ]
        yield ["free channels", "", "", *panels]


def _outline(one: Shown, masks: Sequence[Mask | None]) -> Figure | str:
    drawn = [mask for mask in masks if mask is not None]
    if not drawn:
        return "not outlined"
    caption = "" if any(mask.any() for mask in drawn) else "outlined as empty"
    return _picture(outlined(one.image, masks), caption, f"outline of {one.case}")


def _panel(
    one: Shown, heat: NDArray[np.float32], masks: Sequence[Mask | None], caption: str, alt: str
) -> Figure:
    return _picture(outlined(heat_map(one.image, heat), masks), caption, f"{alt}, {one.case}")


def _picture(picture: NDArray[np.uint8], caption: str, alt: str = "") -> Figure:
    return Figure(thumbnail(picture, SIDE), caption, alt or caption)


def _said(looked: Looked, label: str) -> str:
    if looked.prediction is None:
        return ""
    sign = "✓" if looked.prediction.label == label else "✗"
    return f"{sign} {looked.prediction.label}, {100 * looked.prediction.confidence:.0f}\N{NO-BREAK SPACE}%"
