"""Checks of arguments and settings with one wording: the thing, what is allowed, what came."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from math import isfinite
from typing import TypeVar

from .errors import SonopriorError

Number = TypeVar("Number", int, float)

_SHOWN = 12


def listed(names: Iterable[object], most: int = _SHOWN) -> str:
    """Names in a sentence, cut after `most` of them.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    items = [str(name) for name in names]
    if len(items) <= most:
        return ", ".join(items)
    return f"{', '.join(items[:most])} and {len(items) - most} more"


def nearest(name: str, allowed: Iterable[str]) -> str:
    """The hint that ends a message about an unknown name: the closest known one, or nothing.

    >>> nearest("guidence", ["guidance", "classification"])
    " Did you mean 'guidance'?"
    """
    close = get_close_matches(name, list(allowed), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""


def one_of(
    what: str, value: str, allowed: Collection[str], error: type[SonopriorError] = SonopriorError
) -> str:
    """Return `value` if it is allowed, raise `error` otherwise.

    >>> one_of("reduction", "sum", ["correlation", "sum"])
    'sum'
    """
    if value not in allowed:
        raise error(
            f"{what} must be one of {listed(allowed)}, but got '{value}'.{nearest(str(value), allowed)}"
        )
    return value


def at_least(what: str, value: Number, lowest: float, error: type[SonopriorError] = SonopriorError) -> Number:
    """Return `value` if it is a finite number and not below `lowest`, raise `error` otherwise."""
    if not (isfinite(value) and value >= lowest):
        raise error(f"{what} must be at least {lowest:g}, but got {value}.")
    return value


def within(
    what: str, value: Number, lowest: float, highest: float, error: type[SonopriorError] = SonopriorError
) -> Number:
    """Return `value` if it lies in [lowest, highest], raise `error` otherwise."""
    if not (isfinite(value) and lowest <= value <= highest):
        raise error(f"{what} must lie between {lowest:g} and {highest:g}, but got {value}.")
    return value
