"""What the processes of one training add up."""

import torch
from torch import Tensor


def process_count() -> int:
    """How many processes train together."""
    return torch.distributed.get_world_size() if _several() else 1


def summed_over_processes(values: Tensor) -> Tensor:
    """The sum of all processes' values, any shape; the values themselves where there is one process."""
    return _reduced(values, torch.distributed.ReduceOp.SUM)


def highest_of_processes(values: Tensor) -> Tensor:
    """The largest of all processes' values, any shape; the values themselves where there is one process."""
    return _reduced(values, torch.distributed.ReduceOp.MAX)


def _reduced(values: Tensor, operation: "torch.distributed.ReduceOp.RedOpType") -> Tensor:
    if not _several():
        return values
    reduced = values.clone()
    torch.distributed.all_reduce(reduced, operation)
    return reduced


def _several() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
