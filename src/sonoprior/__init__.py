"""Learning from ultrasound when labels are scarce, guided by what is known around the labels.

Research use only; never a diagnosis.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Loaded on first use, so that `import sonoprior` stays free of torch.
_PUBLIC = {
    "CaseSet": "sonoprior.cases",
    "PriorGuidedAttribution": "sonoprior.objectives",
    "load": "sonoprior.training",
    "load_ensemble": "sonoprior.training",
}
__all__ = ["CaseSet", "PriorGuidedAttribution", "__version__", "load", "load_ensemble"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'sonoprior' has no attribute '{name}'")
