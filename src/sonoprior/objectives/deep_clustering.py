"""Deep clustering: a cluster shall hold the same images in two augmented views, and no other cluster's.

Source: Dadoun et al., "Deep clustering for abdominal organ classification in ultrasound imaging", Journal of
Medical Imaging 10(3), 2023, section 2.2, after PICA: Huang, Gong and Zhu, "Deep semantic clustering by
partition confidence maximisation", CVPR 2020. Where eq 1 says rows of P its columns are meant, one a cluster.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from sonoprior.core.errors import RecipeError

from .base import Context, Output, Records, Term, Views, ViewsObjective
from .cluster_sizes import log_shares, size_term
from .clustering_settings import DeepClusteringSettings
from .terms import combined, counted, no_term


class DeepClustering(nn.Module):
    """PICA, or LSD with the Dirichlet prior on the sizes: eq 3 plus lambda times eq 4 or 6.

    Args:
        settings: see `DeepClusteringSettings`.

    >>> loss = DeepClustering(DeepClusteringSettings())
    >>> term = loss(torch.randn(8, 4), torch.randn(8, 4))
    >>> sorted(term.monitors)
    ['largest_share', 'partition', 'size', 'smallest_share']
    """

    def __init__(self, settings: DeepClusteringSettings) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, first_logits: Tensor, second_logits: Tensor) -> Term:
        """The loss of a batch, counted once an image; a zero on the graph if it has none.

        A column is as long as its batch, so the loss is a number of the whole batch and no mean over images:
        over several batches or processes the term is the mean of their losses, weighted by images, and not
        the loss of all images together. A batch shall be as large as it can be, with nearly all classes in
        it; of a single image all columns are alike, and the first part is log(K) without a gradient.

        Args:
            first_logits: (B, K), of the clusters, of one augmented view of each image, written with a tilde
                in the source; the sizes are read from it.
            second_logits: (B, K), of the other augmented view, written with a hat; its clusters are the rows
                of eq 2.

        Returns:
            The term. Its monitors: "partition", eq 3, from log(1 + (K - 1) / e), which is not 0, over log(K)
            for uniform assignments upwards; "size", eq 4 or 6, without its weight; "largest_share" and
            "smallest_share", of the z of eq 4.

        Raises:
            RecipeError: if the views differ in shape, or have fewer than two clusters.
        """
        _check_views(first_logits, second_logits)
        if len(first_logits) == 0:
            return no_term(first_logits, second_logits)
        with torch.autocast(first_logits.device.type, enabled=False):  # half has no digits for small shares
            return self._term(_log_assignments(first_logits), _log_assignments(second_logits))

    def _term(self, first: Tensor, second: Tensor) -> Term:
        uncertainties, shares = partition_uncertainties(first, second), log_shares(first)
        size = size_term(shares, self.settings.size)
        images, clusters, once = (counted(n, first) for n in (*first.shape, 1))
        parts = {
            "partition": (1.0, Term(uncertainties.sum(), clusters)),
            "size": (self.settings.size_weight, Term(size, once)),
        }
        term = combined(parts, images)
        smallest, largest = shares.detach().exp().aminmax()
        term.monitors.update(largest_share=(largest, 1), smallest_share=(smallest, 1))
        return term


def partition_uncertainties(first: Tensor, second: Tensor) -> Tensor:
    """-log m_jj of eqs 1 and 2, for each cluster; its mean is eq 3.

    Args:
        first: (B, K), logarithms of the assignments of the first view, B at least 1.
        second: (B, K), of the second view.

    Returns:
        (K,).
    """
    cosines = _unit_columns(second).T @ _unit_columns(first)  # (K of the second view, K of the first)
    itself = torch.arange(len(cosines), device=cosines.device)
    return functional.cross_entropy(cosines, itself, reduction="none")


def _unit_columns(log_assignments: Tensor) -> Tensor:
    # A cosine does not know how long a column is. In units of its largest entry the column of a cluster that
    # nobody is in keeps its direction, where its probabilities would all be rounded to 0.
    largest = log_assignments.detach().amax(0)
    return functional.normalize((log_assignments - largest).exp(), dim=0)


def _log_assignments(logits: Tensor) -> Tensor:
    return functional.log_softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)), 1)


def _check_views(first: Tensor, second: Tensor) -> None:
    if first.ndim != 2 or first.shape != second.shape:
        raise RecipeError(
            "deep clustering needs logits (B, K) of two views of the same images, but got"
            f" {tuple(first.shape)} and {tuple(second.shape)}."
        )
    if first.shape[1] < 2:
        raise RecipeError(f"deep clustering needs at least 2 clusters, but got {first.shape[1]}.")


class DeepClusteringObjective(ViewsObjective):
    """The recipe's objective `deep_clustering`, on the logits of the clusters.

    Args:
        settings: see `DeepClusteringSettings`.
        context: gives the clusters, and the cases of the stream.

    Raises:
        RecipeError: if the network has no clusters, or more of them than the stream has images.
    """

    recordable = True

    def __init__(self, settings: DeepClusteringSettings, context: Context) -> None:
        super().__init__()
        self.stream = settings.stream
        clusters = 0 if context.heads is None else context.heads.clusters
        if clusters == 0:
            raise RecipeError(
                "deep_clustering needs logits of clusters, but the network has none; set `model.clusters:"
                " {count: combinations}`."
            )
        images = len(context.streams[settings.stream])
        if clusters > images:
            raise RecipeError(
                f"model.clusters.count must be at most the {images} images of the stream '{settings.stream}',"
                f" but got {clusters}."
            )
        self.loss = DeepClustering(settings)

    def forward(self, outputs: Views, batches: Records) -> Term:  # noqa: ARG002 - the outputs say it all
        """The loss of the batch."""
        first, second = (_cluster_logits(outputs[view]) for view in self.views)
        return self.loss(first, second)


def _cluster_logits(output: Output) -> Tensor:
    assert output.heads is not None
    return output.heads.cluster_logits(output.outputs)
