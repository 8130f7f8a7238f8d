"""What every objective is: it reads the outputs of a stream and returns a sum, a count and monitors."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from sonoprior.attribution.guided import BatchNorm, GuidedPass
from sonoprior.models.taps import Tap


class Record(Protocol):
    """The tensors of a batch by field, with their presence masks; `cases.loading.Batch` is one."""

    fields: Mapping[str, Tensor]
    present: Mapping[str, Tensor]


@dataclass
class Term:
    """One objective's share of the loss, exact under accumulation and over several processes.

    Attributes:
        total: the sum over the items that count, a scalar on the graph (a zero on the graph if none do).
        count: how many items it is the sum of, a scalar.
        monitors: further figures for the log, each (sum, count).
    """

    total: Tensor
    count: Tensor
    monitors: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])


@dataclass(frozen=True)
class Output:
    """What the network gave for one stream.

    Attributes:
        logits: (B, K).
        guided: the guided pass at a tap, if an objective asked for one.
    """

    logits: Tensor
    guided: GuidedPass | None = None


@dataclass(frozen=True)
class Guidance:
    """The guided pass that an objective needs of the network."""

    tap: Tap
    batch_norm: BatchNorm
    closed_head: str | None


@dataclass(frozen=True)
class Context:
    """What an objective may need to know of the run when it is built.

    Attributes:
        network: (B, 1, H, W) to logits (B, K).
        tap: where the recipe reads attribution.
        example: (2, 1, H, W), images of the training size, for probes.
        level: the label level that is learned.
        class_counts: (K,), labelled training cases by class.
        priors: the names of the prior maps, in their order.
    """

    network: nn.Module
    tap: Tap
    example: Tensor
    level: str
    class_counts: Tensor
    priors: tuple[str, ...]


class Objective(nn.Module, ABC):
    """The base of all objectives. A subclass writes `forward`.

    Attributes:
        stream: which stream of batches it reads.
        guidance: the guided pass it needs, or None.
    """

    stream: str = "labelled"
    guidance: Guidance | None = None

    @abstractmethod
    def forward(self, output: Output, batch: Record) -> Term:
        """The term of one step."""


def averaged(term: Term) -> Tensor:
    """The term as a mean over the items of *all* processes, ready for a backward pass under DDP.

    DDP averages gradients over its processes; so each process contributes its own sum, over the common
    count, times the number of processes.
    """
    count = term.count.detach().clone().to(term.total.dtype)
    processes = 1
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(count)
        processes = torch.distributed.get_world_size()
    return term.total * processes / count.clamp(min=1)
