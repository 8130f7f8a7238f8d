"""Several runs in use as one: their probabilities are averaged."""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from sonoprior.core.checks import listed
from sonoprior.core.errors import FolderError

from .evaluation import softmax
from .predictor import Images, Prediction, Predictor


class Ensemble:
    """Runs that label images together, by the mean of their probabilities; they cost as much as all of them.

    Args:
        members: runs of the same classes and image size, such as the folds of a study.

    Raises:
        FolderError: if there is none, one of them has other classes or another size, or they decide on each
            class by thresholds of their own.
    """

    def __init__(self, members: Sequence[Predictor]) -> None:
        if not members:
            raise FolderError("an ensemble needs at least one run, but got none.")
        for member in members:
            if member.model.decider is not None:
                raise FolderError(
                    f"an ensemble averages class probabilities, but {member.folder} decides on each class by"
                    " thresholds of its own; use the runs one by one."
                )
        self.members = members
        first = members[0]
        for member in members[1:]:
            _check_same(first, member)
        self._together = copy(first)
        networks = [member.model.network for member in members]
        self._together.model = replace(first.model, network=_Averaged(networks))

    @property
    def classes(self) -> Sequence[str]:
        """The classes that the runs tell apart."""
        return self.members[0].classes

    def predict(
        self,
        images: Images,
        *,
        batch_size: int = 32,
        on_unreadable: Callable[[str], None] | None = None,
    ) -> list[Prediction]:
        """Label images; see `Predictor.predict`."""
        return self._together.predict(images, batch_size=batch_size, on_unreadable=on_unreadable)


def load_ensemble(folders: Iterable[Path | str], device: str = "auto") -> Ensemble:
    """Open several run folders to use them as one; see `Ensemble`.

    The folds of a study's first seed: `load_ensemble(Path("STUDY/runs/VARIANT").glob("fold*-seed0"))`.
    """
    return Ensemble([Predictor(Path(folder), device) for folder in sorted(map(Path, folders))])


class _Averaged(nn.Module):
    """Networks to logits (B, K) whose softmax is the mean of the networks' own."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([softmax(network(images)) for network in self.networks]).mean(0).log()


def _check_same(first: Predictor, other: Predictor) -> None:
    kept = {
        "classes": (listed(first.classes), listed(other.classes)),
        "image size": (first.recipe.data.size, other.recipe.data.size),
    }
    for what, (wanted, came) in kept.items():
        if wanted != came:
            raise FolderError(
                f"the runs of an ensemble must have the same {what}, but {first.folder} has {wanted} and"
                f" {other.folder} has {came}."
            )
