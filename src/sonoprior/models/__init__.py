"""A backbone by name, with taps where its attribution is read."""

from importlib import import_module
from typing import Any

from .spec import ModelSpec

_LAZY = {"Network": "network", "build_network": "network", "Tap": "taps", "list_taps": "catalogue"}
__all__ = ["ModelSpec", "Network", "Tap", "build_network", "list_taps"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
