"""Named augmentations and the views of a step: weak, strong, one plain, two. Free of torch."""

from collections.abc import Mapping

from sonoprior.core.checks import one_of
from sonoprior.core.errors import RecipeError

from .spec import AugmentSpec

# What another frame of the same view might show: a label surely holds.
WEAK = AugmentSpec(
    rotate=5.0, zoom=0.1, translate=0.05, gain=0.05, depth_gain=0.05, contrast=0.1, gamma=0.1, noise=0.03
)
# What another examiner, machine or patient might show, as far as it still looks like ultrasound.
STRONG = AugmentSpec(
    rotate=15.0,
    zoom=0.1,
    translate=0.08,
    gain=0.08,
    depth_gain=0.15,
    contrast=0.25,
    gamma=0.25,
    noise=0.05,
    depth_zoom=0.2,
    sector_zoom=0.4,
    speckle=0.6,
    shadow=0.3,
    shadows=2,
    cutout=0.4,
)

UNCHANGED = AugmentSpec(
    mirror=0, rotate=0, zoom=0, translate=0, gain=0, depth_gain=0, contrast=0, gamma=0, noise=0
)

POLICIES: Mapping[str, AugmentSpec] = {"weak": WEAK, "strong": STRONG}

VIEWS: Mapping[str, Mapping[str, AugmentSpec | None]] = {
    "plain": {"plain": None},
    "weak-strong": {"weak": WEAK, "strong": STRONG},
    "two": {"first": STRONG, "second": STRONG},
}


def policy(name: str) -> AugmentSpec:
    """The settings of a named augmentation.

    "weak": mirror 0.5, rotate 5, zoom 0.1, translate 0.05, gain 0.05, depth_gain 0.05, contrast 0.1,
    gamma 0.1, noise 0.03; nothing else.

    "strong": mirror 0.5, rotate 15, zoom 0.1, translate 0.08, gain 0.08, depth_gain 0.15, contrast 0.25,
    gamma 0.25, noise 0.05, depth_zoom 0.2, sector_zoom 0.4, speckle 0.6, two shadows up to 0.3, one cut-out
    up to 0.4.

    Raises:
        RecipeError: if there is no such policy.

    >>> policy("weak").rotate
    5.0
    """
    return POLICIES[one_of("the augmentation policy", name, list(POLICIES), RecipeError)]


def views(name: str) -> Mapping[str, AugmentSpec | None]:
    """The views of a step, by name: "plain" (one, unchanged), "weak-strong", or "two" (both strong).

    Raises:
        RecipeError: if there is no such choice of views.

    >>> list(views("weak-strong"))
    ['weak', 'strong']
    """
    return VIEWS[one_of("the choice of views", name, list(VIEWS), RecipeError)]
