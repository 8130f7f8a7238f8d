"""Terms made of terms, and the term of a batch that has nothing to compare."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from .base import Monitors, Term


def no_term(*inputs: Tensor, parameters: Iterable[nn.Parameter] = ()) -> Term:
    """A zero on the graph of the inputs and parameters, over no items.

    No value is read, so that an input that is not finite leaves the zero a zero.
    """
    zero = torch.stack([each.flatten()[:0].sum() for each in [*inputs, *parameters]]).sum()
    return Term(zero, zero.new_zeros((), dtype=torch.int64))


def counted(items: int, beside: Tensor) -> Tensor:
    """A count as a scalar on a tensor's device; made there, so that nothing is copied to it."""
    return torch.full((), items, device=beside.device)


def combined(parts: Mapping[str, tuple[float, Term]], cases: Tensor) -> Term:
    """A weighted sum of terms that are averages over different things: pairs, triplets, cases.

    Each is averaged over its own items in this batch, and the sum counts as often as the batch has cases;
    over several batches or processes that is the mean of batch means, weighted by cases. A part without
    items adds 0.

    Args:
        parts: name to weight and term.
        cases: how many cases the batch has, a scalar.

    Returns:
        The term, with each part's own mean in the monitors.
    """
    means = [weight * term.total / term.count.clamp(min=1) for weight, term in parts.values()]
    monitors: Monitors = {name: (term.total.detach(), term.count) for name, (_, term) in parts.items()}
    return Term(torch.stack(means).sum() * cases, cases, monitors)
