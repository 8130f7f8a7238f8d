"""The number of an image among those of its stream, from its place in the case set."""

import torch
from torch import Tensor, nn


class ImageNumbers(nn.Module):
    """Counts the cases of a stream from 0, in the order of the case set.

    Args:
        cases: (n,) positions in the case set, distinct, in any order.

    >>> ImageNumbers(torch.tensor([8, 3, 5]))(torch.tensor([3, 8]))
    tensor([0, 2])
    """

    cases: Tensor

    def __init__(self, cases: Tensor) -> None:
        super().__init__()
        self.register_buffer("cases", cases.sort().values, persistent=False)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.cases)

    def forward(self, positions: Tensor) -> Tensor:
        """The numbers (B,) of images at positions (B,) that are among the cases."""
        return torch.searchsorted(self.cases, positions)
