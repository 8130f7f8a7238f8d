"""What is taken from lightly, an extra of its own: losses and heads of self-supervised learning."""

import warnings
from importlib import import_module
from typing import Any

from torch import nn

from sonoprior.core.errors import MissingExtraError


def losses() -> Any:
    """The module of lightly's losses.

    Raises:
        MissingExtraError: if lightly is not installed.
    """
    return _part("lightly.loss")


def heads() -> Any:
    """The module of lightly's projection and prediction heads.

    Raises:
        MissingExtraError: if lightly is not installed.
    """
    return _part("lightly.models.modules.heads")


def dino_head(*widths: int) -> nn.Module:
    """DINO's projection with normalised prototypes; input, hidden, bottleneck and output widths.

    Raises:
        MissingExtraError: if lightly is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # it normalises by a function that torch will replace
        return heads().DINOProjectionHead(*widths)


def _part(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "the objectives byol, vicreg and dino need lightly, which comes with the extra 'lightly'; install"
            " it with pip install 'sonoprior[lightly]'."
        ) from error
