"""Colours of many classes: shades of one hue for each meta-class, so that cousins look like cousins."""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from matplotlib.colors import to_hex, to_rgb

from .drawing import GREY

# Hues that stay apart in all their shades, which the sky blue beside the blue of other plots would not.
_HUES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#C62828", "#7E57C2")
# A class differs from its cousins in shade and in sign, since many shades of one hue are hard to tell apart.
_SIGNS = "os^DvPX<*p>h"
_DARKEST, _LIGHTEST = -0.45, 0.5
_GOLDEN = 0.618


@dataclass(frozen=True)
class Look:
    """How the cases of a class are drawn: a colour "#rrggbb" and a sign as matplotlib names it."""

    colour: str
    sign: str = "o"


def looks(classes: Sequence[str], metas: Sequence[str]) -> dict[str, Look]:
    """How each class is drawn.

    Args:
        classes: K names.
        metas: (K,) the meta-class of each, empty where it is unknown, which is grey; all empty where there
            are no meta-classes, and each class then has a hue of its own.
    """
    if not any(metas):
        shown = zip(classes, hues(len(classes)), cycle(_SIGNS), strict=False)
        return {name: Look(hue, sign) for name, hue, sign in shown}
    kinds = list(dict.fromkeys(meta for meta in metas if meta))
    hue_of = dict(zip(kinds, hues(len(kinds)), strict=True)) | {"": GREY}
    found: dict[str, Look] = {}
    for meta in dict.fromkeys(metas):
        cousins = [name for name, of in zip(classes, metas, strict=True) if of == meta]
        for place, name in enumerate(cousins):
            found[name] = Look(_shade(hue_of[meta], place, len(cousins)), _SIGNS[place % len(_SIGNS)])
    return found


def hues(count: int) -> list[str]:
    """So many colours: at first some that were chosen, then others as far apart as they come."""
    others = [
        to_hex(colorsys.hls_to_rgb((0.13 + _GOLDEN * number) % 1, (0.32, 0.5, 0.66)[number % 3], 0.55))
        for number in range(count - len(_HUES))
    ]
    return [*_HUES, *others][:count]


def _shade(colour: str, place: int, of: int) -> str:
    """The shade at a place between dark and light; the colour itself where it stands alone."""
    share = 0.0 if of == 1 else _DARKEST + (_LIGHTEST - _DARKEST) * place / (of - 1)
    end = 1.0 if share > 0 else 0.0
    red, green, blue = (part + abs(share) * (end - part) for part in to_rgb(colour))
    return to_hex((red, green, blue))
