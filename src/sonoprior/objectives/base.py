"""What every objective is: it reads the outputs of a stream and returns a sum, a count and monitors."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

from sonoprior.attribution.guided import BatchNorm, GuidedPass
from sonoprior.core.checks import one_of
from sonoprior.core.errors import RecipeError
from sonoprior.models.heads import Heads
from sonoprior.models.taps import Tap

from .processes import process_count, summed_over_processes


class Record(Protocol):
    """The tensors of a batch by field, with their presence masks; `cases.loading.Batch` is one."""

    fields: Mapping[str, Tensor]
    present: Mapping[str, Tensor]


Monitors = dict[str, tuple[float | Tensor, float | Tensor]]
"""Figures for the log, each (sum, count). Left on the device, so that a step can be recorded."""


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
    monitors: Monitors = field(default_factory=Monitors)


@dataclass(frozen=True)
class Output:
    """What the network gave for one stream.

    Attributes:
        outputs: (B, width), all columns; what attribution differentiates.
        guided: the guided pass at a tap, if an objective asked for one.
        heads: which columns are what; logits all of them where it is not given.
    """

    outputs: Tensor
    guided: GuidedPass | None = None
    heads: Heads | None = None

    @property
    def logits(self) -> Tensor:
        """(B, K)."""
        return self.outputs if self.heads is None else self.heads.logits(self.outputs)

    @property
    def embeddings(self) -> dict[str, Tensor]:
        """Level to its embedding before it is normalised, (B, D)."""
        return {} if self.heads is None else self.heads.embeddings(self.outputs)


Views = Mapping[str, Output]
"""What the network gave for the views of one stream, by their names."""
Records = Mapping[str, Record]
"""The batches of the views of one stream, by their names; all of the same cases in the same order."""


@dataclass(frozen=True)
class Guidance:
    """The guided pass that an objective needs of the network."""

    tap: Tap
    batch_norm: BatchNorm
    closed_head: str | None


@dataclass(frozen=True)
class TextSpace:
    """What brings texts into the space of the images' embeddings.

    Attributes:
        level: whose embedding is compared with the texts.
        tower: from class numbers (T,) to embeddings (T, D) of what is said of them; see `text_towers`.
    """

    level: str
    tower: nn.Module


@dataclass(frozen=True)
class ShownTerms:
    """Which terms the cases show.

    Attributes:
        shown: (N, T) bool, which of T terms every case of the set shows.
        similarity: (T, T), how near the terms are.
        partners: (T,), for each term the one that the mirrored image shows in its place; itself for most.
    """

    shown: Tensor
    similarity: Tensor
    partners: Tensor


class Knowledge(Protocol):
    """What is known beside the images: the hierarchy of the classes, what is said of them, what is shown."""

    @property
    def classes(self) -> Mapping[str, Sequence[str]]:
        """The classes of every level of the hierarchy, the leaf's first."""
        ...

    @property
    def paths(self) -> Tensor:
        """(C, L), for each leaf class the number of its class at every level."""
        ...

    def similarity(self, level: str) -> Tensor:
        """(C_l, C_l): how near what is said of the classes of a level is, as the recipe's encoder has it."""
        ...

    def distances(self, level: str) -> Tensor:
        """(C_l, C_l): how far apart the classes of a level are, 0 on the diagonal."""
        ...

    def texts(self, level: str, dimension: int, *, trained: bool) -> nn.Module:
        """A module from class numbers (T,) to embeddings (T, `dimension`) of what is said of them."""
        ...

    def terms(self) -> ShownTerms:
        """Which terms every case of the set shows, and how near they are."""
        ...


@dataclass(frozen=True)
class Context:
    """What an objective may need to know of the run when it is built.

    Attributes:
        network: (B, 1, H, W) to outputs (B, K + L D).
        tap: where the recipe reads attribution.
        example: (2, 1, H, W), images of the training size, for probes.
        level: the label level that is learned.
        class_counts: (K,), labelled training cases by class.
        priors: the names of the prior maps, in their order.
        heads: which outputs are what; logits all of them where it is not given.
        sizes: how many classes each label level that a batch has holds.
        knowledge: beside the images; None for a recipe without a hierarchy.
        members: (M, C) bool, for each class number that a batch has at the level which of the C classes it
            holds, where a case may show several; None where a class number is one class.
        combinations: (K,), which of the M class numbers have a logit of their own; None without that head.
        streams: for every stream its cases, (n,) positions in its case set.
    """

    network: nn.Module
    tap: Tap
    example: Tensor
    level: str
    class_counts: Tensor
    priors: tuple[str, ...]
    heads: Heads | None = None
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])
    knowledge: Knowledge | None = None
    members: Tensor | None = None
    combinations: Tensor | None = None
    streams: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])

    def known(self, wanted: str) -> Knowledge:
        """What is known of the hierarchy.

        Raises:
            RecipeError: if the recipe has none.
        """
        if self.knowledge is None:
            raise RecipeError(
                f"{wanted} needs a hierarchy of the classes, but the recipe has none; add"
                " `hierarchy: {levels: [leaf level, level above, ...]}`, with an ontology if there is one."
            )
        return self.knowledge

    def embedding(self, wanted: str, level: str | None = None) -> tuple[str, int]:
        """The level whose embedding an objective reads, and its dimension; the leaf's where none is named.

        Raises:
            RecipeError: if the network has no such embedding.
        """
        if self.heads is None or not self.heads.embeds:
            raise RecipeError(
                f"{wanted} needs an embedding, but the network gives logits only; add"
                " `model.embedding: {dimension: 128}`."
            )
        chosen = self.heads.levels[0] if level is None else level
        one_of(f"the level of {wanted}", chosen, self.heads.levels, RecipeError)
        return chosen, self.heads.dimension

    def leaf_logits(self, wanted: str) -> None:
        """Refuse an objective on logits where there are none.

        Raises:
            RecipeError: saying how to have them.
        """
        if self.heads is not None and not self.heads.classifies:
            raise RecipeError(
                f"{wanted} needs logits, but the network only embeds or clusters; set `logits: true` in"
                " `model.embedding` or `model.clusters`."
            )


class Objective(nn.Module, ABC):
    """The base of all objectives that read one view of their cases. A subclass writes `forward`.

    Attributes:
        stream: which stream of batches it reads.
        guidance: the guided pass it needs, or None.
        text_space: what it learns to bring texts to the images with, or None.
        recordable: whether a step with it may be recorded on a GPU and replayed: whether what is computed
            never depends on the values of a tensor, but through other tensors.
    """

    recordable: bool = False
    stream: str = "labelled"
    guidance: Guidance | None = None
    text_space: TextSpace | None = None

    @abstractmethod
    def forward(self, output: Output, batch: Record) -> Term:
        """The term of one step."""


class ViewsObjective(nn.Module, ABC):
    """The base of all objectives that compare several views of the same cases. A subclass writes `forward`.

    Attributes:
        stream: which stream of batches it reads.
        views: which views of that stream it needs.
        without_gradient: those of them that teach and are not taught; the network keeps no graph of them,
            unless another objective needs one.
        recordable: as for `Objective`.
    """

    recordable: bool = False
    stream: str = "unlabelled"
    views: tuple[str, ...] = ("first", "second")
    without_gradient: frozenset[str] = frozenset()

    @abstractmethod
    def forward(self, outputs: Views, batches: Records) -> Term:
        """The term of one step; both by the names of the views."""

    def after_step(self) -> None:
        """Called after every step of the optimiser; momentum networks follow here."""


def averaged(term: Term) -> Tensor:
    """The term as a mean over the items of *all* processes, ready for a backward pass under DDP.

    DDP averages gradients over its processes; so each process contributes its own sum, over the common
    count, times the number of processes.
    """
    count = summed_over_processes(term.count.detach().to(term.total.dtype))
    return term.total * process_count() / count.clamp(min=1)
