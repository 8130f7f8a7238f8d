"""From a case set to batches: a cache of pixels, augmentation of whole batches, sampling, the loader.

The settings (`AugmentSpec`) and the geometry (`letterbox`) are free of torch; the rest is loaded when used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .letterbox import cache_side, from_letterbox, letterbox
from .policies import policy, views
from .spec import AugmentSpec

if TYPE_CHECKING:
    from .batch import Batch
    from .cache import Cache
    from .loader import Loader
    from .shrink import network_input
    from .view_loader import ViewLoader

__all__ = [
    "AugmentSpec",
    "Batch",
    "Cache",
    "Loader",
    "ViewLoader",
    "cache_side",
    "from_letterbox",
    "letterbox",
    "network_input",
    "policy",
    "views",
]

_LAZY = {
    "Batch": ".batch",
    "Cache": ".cache",
    "Loader": ".loader",
    "ViewLoader": ".view_loader",
    "network_input": ".shrink",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name], __name__), name)
