"""The Prior Allocation Strategy: which channels of the attribution belong to which prior.

Source: thesis on privileged information, section 2.3.2, eq 2.7, whose upper limit is (p + 1) r - 1.
"""

from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor

from sonoprior.core.checks import listed
from sonoprior.core.errors import RecipeError

_SHARES = {
    "all": Fraction(1),
    "mean": Fraction(1),
    "half": Fraction(1, 2),
    "quarter": Fraction(1, 4),
    "three_quarters": Fraction(3, 4),
}


@dataclass(frozen=True)
class Allocation:
    """How many channels are constrained, and whether each of them or only their mean.

    Attributes:
        name: as a recipe writes it.
        share: the constrained share of the channels; None if `count` is given.
        count: the number of constrained channels.
        each: whether each channel alone must match its prior (All Channels).
    """

    name: str
    share: Fraction | None
    count: int | None
    each: bool

    @classmethod
    def parse(cls, name: str) -> "Allocation":
        """Read "all", "mean", "half", "quarter", "three_quarters", or "first K".

        >>> Allocation.parse("first 51").constrained(512)
        51

        Raises:
            RecipeError: for anything else.
        """
        if name in _SHARES:
            return cls(name, _SHARES[name], None, each=name == "all")
        word, _, number = name.partition(" ")
        if word == "first" and number.isdigit() and int(number) > 0:
            return cls(name, None, int(number), each=False)
        allowed = listed([*_SHARES, "first K"])
        raise RecipeError(f"allocation must be one of {allowed}, but got '{name}'.")

    def constrained(self, channels: int) -> int:
        """C1, the number of constrained channels of `channels`."""
        if self.count is not None:
            return self.count
        return int(channels * (self.share or 0))

    def per_prior(self, channels: int, priors: int) -> int:
        """R = floor(C1 / P), the channels that belong to each prior.

        Raises:
            RecipeError: if there are not enough channels for one each.
        """
        constrained = self.constrained(channels)
        if constrained > channels or constrained < priors:
            raise RecipeError(
                f"allocation '{self.name}' constrains {constrained} channels; with {priors} priors and"
                f" {channels} channels at the tap it must be from {priors} to {channels}."
            )
        return constrained // priors

    def allocate(self, maps: Tensor, priors: int) -> Tensor:
        """The maps that must resemble the priors: (n, P, m, h, w), from attribution (n, C, h, w).

        Channels p r ... (p + 1) r - 1 belong to prior p; m is 1, their mean, or r with All Channels.
        """
        per_prior = self.per_prior(maps.shape[1], priors)
        owned = maps[:, : per_prior * priors].unflatten(1, (priors, per_prior))
        return owned if self.each else owned.mean(2, keepdim=True)

    def free(self, maps: Tensor, priors: int) -> Tensor:
        """The mean map of the channels that no prior owns: (n, h, w); zero where there are none."""
        left = maps[:, self.per_prior(maps.shape[1], priors) * priors :]
        return left.mean(1) if left.shape[1] else maps.new_zeros(maps.shape[0], *maps.shape[2:])
