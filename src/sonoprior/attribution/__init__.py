"""Where a model looks: attribution maps on the autograd graph, and for reports."""

from importlib import import_module
from typing import Any

_LAZY = {
    "GuidedPass": "guided",
    "guided_pass": "guided",
    "attribution_maps": "maps",
    "integrated_gradients": "integrated",
}
__all__ = ["GuidedPass", "attribution_maps", "guided_pass", "integrated_gradients"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
