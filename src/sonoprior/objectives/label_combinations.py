"""Label combinations as classes: their numbers, and the labels that they stand for.

Source: paper on deep clustering for abdominal ultrasound, section 2.2.3, eq 8.
"""

import torch
from torch import Tensor


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


def labels_shown(numbers: Tensor, members: Tensor) -> Tensor:
    """The labels of each image's combination: (B, C) of 1, 0, and -1 for unknown.

    Args:
        numbers: (B,) of combinations, -1 for unknown.
        members: (M, C) bool, which labels each combination holds.

    >>> labels_shown(torch.tensor([1, -1]), torch.tensor([[True, False], [True, True]]))
    tensor([[ 1,  1],
            [-1, -1]])
    """
    return members[numbers.clamp(min=0)].long().masked_fill((numbers < 0)[:, None], -1)
