"""Label combinations as classes: each set of labels that occurs is one.

Source: paper on deep clustering for abdominal ultrasound, section 2.2.3, eq 8.
"""

import torch
from torch import Tensor

from sonoprior.core.errors import RecipeError

from .multi_label_cross_entropy import check_multi_labels


def label_combinations(labels: Tensor) -> Tensor:
    """The combinations that occur, in the order of binary numbers: (K, C) of 0 and 1.

    Args:
        labels: (N, C) of 1, 0, and -1 for unknown; images with an unknown label show no combination.

    Raises:
        RecipeError: if fewer than two combinations occur.

    >>> label_combinations(torch.tensor([[1, 0], [0, 1], [1, 0], [1, -1]]))
    tensor([[0, 1],
            [1, 0]])
    """
    check_multi_labels(labels)
    found = labels[(labels >= 0).all(1)].unique(dim=0)
    if len(found) < 2:
        raise RecipeError(
            f"label combinations need at least 2 that occur among the {len(labels)} images, but got"
            f" {len(found)}."
        )
    return found


def combination_numbers(labels: Tensor, combinations: Tensor) -> Tensor:
    """The number of each image's combination, -1 where it is unknown or none of them: (B,).

    Args:
        labels: (B, C) of 1, 0, and -1 for unknown.
        combinations: (K, C), distinct.

    >>> combination_numbers(torch.tensor([[1, 0], [1, 1], [-1, 1]]), torch.tensor([[0, 1], [1, 0]]))
    tensor([ 1, -1, -1])
    """
    matches = (labels[:, None] == combinations).all(2)
    return torch.where(matches.any(1), matches.int().argmax(1), -1)
