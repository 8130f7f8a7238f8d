"""Which classes and prior maps a mirror swaps, from the pairs that `dataset.yaml` names."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sonoprior.cases.info import DatasetInfo
from sonoprior.core.checks import listed
from sonoprior.core.errors import RecipeError


def label_partners(info: DatasetInfo, level: str, shown: Mapping[str, Sequence[str]]) -> list[int]:
    """For each class of a level the class of the mirrored image.

    Args:
        info: names the pairs.
        level: its name.
        shown: its classes in order, each with the single classes that it holds (`CaseSet.shown`): itself,
            or all of a label combination.

    Raises:
        RecipeError: if the mirror image of a class is not in the level.
    """
    return _partners(info, shown, f"of the level '{level}'")


def partners_above(
    level: str, labels: NDArray[np.int64], above: NDArray[np.int64], partners: Sequence[int]
) -> list[int]:
    """For each class of a level that an ontology puts above another the class of the mirrored image.

    Args:
        level: its name.
        labels: (N,) the class of each case one level below, -1 where unknown.
        above: (N,) that of this level.
        partners: for each class below that of the mirrored image (`label_partners`).

    Raises:
        RecipeError: if the mirror images of a class are of several classes.
    """
    up = {int(low): int(high) for low, high in zip(labels, above, strict=True) if low >= 0}
    found = []
    for number in range(int(above.max()) + 1):
        mirrored = {up.get(partners[low], number) for low, high in up.items() if high == number} or {number}
        if len(mirrored) > 1:
            raise RecipeError(
                f"augment.mirror must be 0 here, because the mirror images of class {number} of the level"
                f" '{level}' are of several classes ({listed(sorted(mirrored))}); set it to 0."
            )
        found.append(mirrored.pop())
    return found


def prior_partners(info: DatasetInfo, groups: Mapping[str, Sequence[str]]) -> list[int]:
    """For each prior map the map of the mirrored image: the one that unites its members' partners.

    Args:
        info: names the pairs.
        groups: the maps in order, each with the zones or landmarks that it unites.

    Raises:
        RecipeError: if there is no such map.
    """
    return _partners(info, groups, "among the priors")


def _partners(info: DatasetInfo, groups: Mapping[str, Sequence[str]], where: str) -> list[int]:
    swaps = {one: other for pair in info.mirror for one, other in (pair, pair[::-1])}
    united = [frozenset(members) for members in groups.values()]
    found = []
    for name, members in zip(groups, united, strict=True):
        mirrored = frozenset(swaps.get(member, member) for member in members)
        if mirrored not in united:
            lone = ", ".join(sorted(mirrored))
            raise RecipeError(
                f"augment.mirror must be 0 here, because the mirror image of '{name}' ({lone}) is not"
                f" {where}; set it to 0 or add that one."
            )
        found.append(united.index(mirrored) if mirrored != members else list(groups).index(name))
    return found
