"""A text encoder: captions to unit vectors, frozen or on the graph."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from sonoprior.core.errors import ModelError

Tokens = Mapping[str, Tensor]
"""`input_ids` and `attention_mask`, both (n, T) int64; the mask is 0 where a shorter caption is filled up."""
Pool = Callable[[Any, Tensor], Tensor]
"""The outputs of a network and the mask (n, T) to a vector a caption (n, E)."""


class TextEncoder(nn.Module):
    """A tokeniser, a network, and how its outputs become one vector a caption.

    It starts in evaluation mode, so without dropout; `train` it to fine-tune it.

    Args:
        tokenizer: of `transformers`.
        network: takes `Tokens` by name.
        pool: see `Pool`.
        width: E.
        longest: how many tokens of a caption are read; the rest is cut off.
    """

    def __init__(self, tokenizer: Any, network: nn.Module, pool: Pool, width: int, longest: int) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.network = network
        self.pool = pool
        self.width = width
        self.longest = longest
        self._frozen = False
        self.eval()

    def forward(self, captions: Sequence[str]) -> Tensor:
        """The unit vectors of captions (n, E), on the graph unless frozen."""
        return self.encoded(self.tokens(captions))

    def tokens(self, captions: Sequence[str]) -> dict[str, Tensor]:
        """Captions as the network reads them, filled up to the longest of them; see `Tokens`.

        Raises:
            ModelError: if it is one text instead of several.
        """
        if isinstance(captions, str):
            raise ModelError(f"captions must be a list of texts, but got the text '{captions}'.")
        if not captions:
            return {name: torch.zeros(0, 1, dtype=torch.int64) for name in ("input_ids", "attention_mask")}
        found = self.tokenizer(
            list(captions),
            padding=True,
            padding_side="right",
            truncation=True,
            max_length=self.longest,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        return {name: found[name] for name in ("input_ids", "attention_mask")}

    def encoded(self, tokens: Tokens) -> Tensor:
        """The unit vectors of captions that are tokens already: (n, E)."""
        device = next(self.network.parameters()).device
        there = {name: tensor.to(device) for name, tensor in tokens.items()}
        mask = there["attention_mask"]
        if not len(mask):
            return torch.zeros(0, self.width, device=device)
        return functional.normalize(self.pool(self.network(**there), mask).float())

    @torch.no_grad()
    def embed(self, captions: Sequence[str], batch: int = 64) -> Tensor:
        """The unit vectors of captions (n, E), without dropout or a graph, some at a time."""
        training = self.training
        self.eval()
        try:
            starts = range(0, max(len(captions), 1), batch)
            return torch.cat([self(captions[start : start + batch]) for start in starts])
        finally:
            self.train(training)

    def frozen(self) -> Self:
        """Itself, never to change again: no weight has a gradient, and `train` leaves dropout off."""
        self._frozen = True
        self.requires_grad_(requires_grad=False)
        return self.eval()

    def train(self, mode: bool = True) -> Self:
        """As of every module, but what is frozen stays in evaluation mode."""
        return super().train(mode and not self._frozen)


def masked_mean(outputs: Any, mask: Tensor) -> Tensor:
    """The mean over the tokens of each caption: (n, E)."""
    weights = mask[:, :, None].to(outputs.last_hidden_state)
    return (outputs.last_hidden_state * weights).sum(1) / weights.sum(1).clamp(min=1)
