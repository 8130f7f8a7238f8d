"""The learning rate over a run: a function of the step alone, so that a resumed run continues it."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class PolynomialDecay:
    """The rate falls from `base` to 0 as (1 - step / steps) to a power.

    Attributes:
        base: the rate of the first step.
        steps: steps of the whole run, as if it never stopped early.
        power: 0 keeps the rate, 1 falls in a straight line.

    >>> PolynomialDecay(base=0.1, steps=10, power=1.0).rate(5)
    0.05
    """

    base: float
    steps: int
    power: float

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0 over all epochs."""
        return self.base * (1 - step / self.steps) ** self.power


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Let an optimiser go on at a rate; one that lies on the device is written there."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
