"""Spatial priors: where the known things are in an image, as maps that guide a network's attribution.

Equations by number are those of the thesis `000`, section 2.3.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sonoprior.core.checks import one_of
from sonoprior.core.errors import DataError
from sonoprior.core.randomness import generator

from .annotations import (
    Map,
    Spots,
    area_around,
    box_areas,
    centre_of,
    known_cases,
    landmark_spots,
    map_areas,
    outline_areas,
    point_spots,
)
from .case_set import CaseSet
from .info import BUILT_IN_GROUPINGS, check_grouping

Source: TypeAlias = Literal["outlines", "boxes", "points", "landmarks", "maps"]
Control: TypeAlias = Literal["none", "shuffled", "blob", "random"]
Grouping: TypeAlias = dict[str, list[str]]
# An area or spots.
Place: TypeAlias = NDArray[Any]

_AREAS = {"outlines": outline_areas, "boxes": box_areas, "maps": map_areas}
_SPOTS = {"points": point_spots, "landmarks": landmark_spots}
_FORMS: dict[str, Callable[[Any], Place]] = {"box": area_around, "point": centre_of}


class PriorSpec(BaseModel):
    """Which knowledge becomes priors, and how it is grouped.

    Attributes:
        source: outlines, boxes and centre points of zones; landmarks; or maps, automatic masks and heat
            maps that stand in files.
        grouping: "each" for one map a zone (or landmark, or map), "one" for the union of all, a name from
            the groupings of `dataset.yaml`, or {name of a map: [what it unites]}.
        sigma: standard deviation of the Gaussian at a point or landmark, in pixels of the image.
        noise: standard deviation of an error of position, in pixels of the image, for studies of
            robustness; points and landmarks move one by one, an outline, a box or a map as a whole.
        form: what is made of an outline, a box or a map, to learn how precise it must be: "given" leaves it
            as it is, "box" fills the box around it, "point" keeps its centre alone.
        resolution: the side of the maps in the cache, as a share of the images' side there; where an image
            has many, such as 51 landmarks, 0.25 takes 16 times less disk.
        control: what guides in place of the real priors, to learn whether their place matters: "shuffled"
            (each prior exchanged between the training images that have it), "blob" (for all of them one
            centred disc of the mean area), "random" (for each a smooth area of its size at a random place).
            An image without a prior gets none, and localisation is measured against the real ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Source = "outlines"
    grouping: str | dict[str, list[str]] = "one"
    sigma: float = Field(default=3.0, ge=0.1, allow_inf_nan=False)
    noise: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    form: Literal["given", "box", "point"] = "given"
    resolution: float = Field(default=1.0, ge=0.05, le=1)
    control: Control = "none"

    @model_validator(mode="after")
    def _form_of_an_area(self) -> "PriorSpec":
        if self.form != "given" and self.source in _SPOTS:
            raise ValueError(
                f"form must be 'given' for {self.source}, which have no extent, but got '{self.form}'"
            )
        return self

    @property
    def of_spots(self) -> bool:
        """Whether the priors are Gaussians at spots rather than areas."""
        return self.source in _SPOTS or self.form == "point"

    @property
    def real(self) -> "PriorSpec":
        """The same priors as they really are, by which localisation is measured."""
        return self.model_copy(update={"noise": 0.0, "form": "given", "control": "none"})


def prior_names(case_set: CaseSet, spec: PriorSpec) -> list[str]:
    """The names of the prior maps, in their order.

    Raises:
        DataError: if the case set has nothing of this source, or not this grouping.
    """
    return list(prior_groups(case_set, spec))


def prior_groups(case_set: CaseSet, spec: PriorSpec) -> Grouping:
    """For each prior map, in order, the zones, landmarks or maps that it unites.

    Raises:
        DataError: if the case set has nothing of this source, or not this grouping.
    """
    known = _known_names(case_set, spec.source)
    if spec.grouping == "each":
        return {name: [name] for name in known}
    if spec.grouping == "one":
        return {"all": known}
    if isinstance(spec.grouping, dict):
        groups, where = spec.grouping, "grouping"
    else:
        names = [*BUILT_IN_GROUPINGS, *case_set.info.groupings]
        name = one_of(f"{case_set.root}: the grouping", spec.grouping, names, DataError)
        groups, where = case_set.info.groupings[name], f"groupings.{name}"
    check_grouping(f"{case_set.root}: {where}", groups, known)
    return groups


def presence(case_set: CaseSet, spec: PriorSpec) -> NDArray[np.bool_]:
    """Which prior is present in which case, (n, P) bool, from the table alone.

    Raises:
        DataError: see `prior_names`; or if landmarks cannot be read.
    """
    grouping = prior_groups(case_set, spec)
    known = known_cases(case_set, spec.source)
    return np.stack([np.any([known[name] for name in names], axis=0) for names in grouping.values()], axis=1)


def prior_maps(
    case_set: CaseSet, i: int, spec: PriorSpec, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The prior maps of one case.

    A prior is present if any of its members is. Areas are united by their maximum, spots by the sum of
    their Gaussians (eq. 2.11) scaled to a maximum of 1.

    Args:
        case_set: the cases.
        i: the position of the case.
        spec: what becomes a prior.
        seed: of the error of position; it is drawn by case id and name, whatever the order of calls.

    Returns:
        maps (P, H, W) float32 in [0, 1], zero where absent; and presence (P,) bool.

    Raises:
        DataError: see `prior_names`; or if a file, box or point does not fit the image.
    """
    grouping = prior_groups(case_set, spec)
    members = list(dict.fromkeys(name for names in grouping.values() for name in names))
    shape = case_set.shape(i)
    found = _placed(case_set, i, members, spec, seed)
    there = [[found[name] for name in names if name in found] for names in grouping.values()]
    maps = np.stack([_united(parts, spec, shape) for parts in there])
    return maps, np.array([bool(parts) for parts in there])


def _placed(case_set: CaseSet, i: int, members: list[str], spec: PriorSpec, seed: int) -> dict[str, Place]:
    """What is present: where the annotation says or, with noise, near it; in the form asked for."""
    found = (_AREAS | _SPOTS)[spec.source](case_set, i, members)
    if spec.noise > 0:
        found = _moved(case_set, i, found, spec, seed)
    if spec.form == "given":
        return found
    return {name: _FORMS[spec.form](area) for name, area in found.items()}


def _moved(
    case_set: CaseSet, i: int, found: dict[str, Place], spec: PriorSpec, seed: int
) -> dict[str, Place]:
    """Each place with an error of its own."""
    case = str(case_set.column("case")[i])
    draws = {name: generator(seed, "prior noise", case, name) for name in found}
    if spec.source in _SPOTS:
        edge = np.array(case_set.shape(i)[::-1]) - 1
        return {
            name: np.clip(spots + draws[name].normal(0, spec.noise, spots.shape), 0, edge)
            for name, spots in found.items()
        }
    from scipy import ndimage  # slow to import, and a bundle answers without

    return {
        name: ndimage.shift(area, np.rint(draws[name].normal(0, spec.noise, 2)), order=0)
        for name, area in found.items()
    }


def _united(parts: list[Place], spec: PriorSpec, shape: tuple[int, int]) -> Map:
    if not parts:
        return np.zeros(shape, dtype=np.float32)
    if spec.of_spots:
        return gaussian_map(np.concatenate(parts), spec.sigma, shape)
    return np.max(parts, axis=0)


def gaussian_map(spots: Spots, sigma: float, shape: tuple[int, int]) -> Map:
    """Unit impulses at spots, smoothed by a Gaussian (eqs 2.10, 2.11), scaled to a maximum of 1.

    The Gaussian is evaluated at the spots themselves, which need not lie on whole pixels; its constant
    factor, printed for one dimension, falls out with the scaling.

    Args:
        spots: (k, 2), x and y in pixels.
        sigma: standard deviation in pixels.
        shape: (H, W).

    Returns:
        (H, W) float32 in [0, 1]; zeros if there is no spot.

    >>> gaussian_map(np.array([[1.0, 0.0]]), 1.0, (1, 3)).round(2)
    array([[0.61, 1.  , 0.61]], dtype=float32)
    """
    across = _bells(spots[:, 0], sigma, shape[1])  # (k, W)
    down = _bells(spots[:, 1], sigma, shape[0])  # (k, H)
    total = down.T @ across
    highest = total.max()
    return (total / highest if highest > 0 else total).astype(np.float32)


def _bells(centres: NDArray[np.float64], sigma: float, length: int) -> NDArray[np.float64]:
    """A Gaussian of height 1 over the positions 0 .. length - 1, one row a centre."""
    return np.exp(-((np.arange(length) - centres[:, None]) ** 2) / (2 * sigma**2))


def _known_names(case_set: CaseSet, source: Source) -> list[str]:
    """What this source may hold: zones, landmarks, or names of maps."""
    info = case_set.info
    known = {"landmarks": info.landmarks, "maps": case_set.named("map")}.get(source, info.zones)
    if not known:
        needed = {"landmarks": "landmarks in dataset.yaml", "maps": "columns map.<name>"}
        what = needed.get(source, "zones in dataset.yaml")
        raise DataError(f"{case_set.root}: priors from {source} need {what}, but there are none.")
    return known
