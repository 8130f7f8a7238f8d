"""What the objectives on embeddings and hierarchies are given, checked with one wording."""

from collections.abc import Mapping

from torch import Tensor

from sonoprior.core.checks import listed, nearest
from sonoprior.core.errors import RecipeError

from .base import Context


def one_label_a_case(wanted: str, context: Context, instead: str) -> None:
    """Refuse an objective on one label a case where a case may show several.

    Args:
        wanted: the objective.
        context: says which it is.
        instead: what is there for several labels.

    Raises:
        RecipeError: naming it.
    """
    context.leaf_logits(wanted)
    if context.heads is not None and context.heads.several:
        raise RecipeError(
            f"{wanted} learns one label a case, but data.several is true, so that a case may show several;"
            f" use {instead}, or set data.several: false to learn label combinations as classes."
        )


def members_of(wanted: str, context: Context) -> Tensor:
    """Which of the C labels each class number holds, (M, C) bool, for an objective on several labels a case.

    Raises:
        RecipeError: if a case shows one label only.
    """
    context.leaf_logits(wanted)
    if context.heads is None or not context.heads.several or context.members is None:
        raise RecipeError(
            f"{wanted} learns several labels a case, but each case is taken to show one; set"
            " `data.several: true`."
        )
    return context.members


def combinations_of(wanted: str, context: Context) -> tuple[Tensor, Tensor]:
    """The K label combinations with a logit, (K, C) of 0 and 1, and their labelled cases, (K,).

    Raises:
        RecipeError: if the network has no logits of combinations.
    """
    members = members_of(wanted, context)
    if context.combinations is None:
        raise RecipeError(
            f"{wanted} needs logits of the label combinations, but the network has none; add"
            " `model.combinations: {least: 1}`."
        )
    return members[context.combinations].long(), context.class_counts[context.combinations]


def check_batch(rows: Tensor, labels: Tensor) -> None:
    """Refuse a batch that is not (B, D) embeddings or logits and (B,) labels.

    Raises:
        RecipeError: with the shapes that came.
    """
    if rows.ndim != 2 or labels.shape != rows.shape[:1]:
        raise RecipeError(
            "a batch must have embeddings or logits (B, D) and labels (B,), but got"
            f" {tuple(rows.shape)} and {tuple(labels.shape)}."
        )


def check_labels(labels: Tensor, classes: int) -> None:
    """Refuse known labels (n,), n at least 1, that lie beyond the classes.

    Raises:
        RecipeError: naming the label.
    """
    highest = int(labels.max())
    if highest >= classes:
        raise RecipeError(f"labels must lie below the {classes} classes of the loss, but got {highest}.")


def labels_of(level: str, labels: Mapping[str, Tensor]) -> Tensor:
    """The labels of a level (B,).

    Raises:
        RecipeError: if the batch has none.
    """
    if level not in labels:
        raise RecipeError(
            f"the batch has no labels of the level '{level}', but of {listed(labels) or 'none'}."
            f"{nearest(level, labels)}"
        )
    return labels[level]


def check_similarity(similarity: Tensor) -> None:
    """Refuse what is no similarity matrix.

    Raises:
        RecipeError: if it is not square, or not finite.
    """
    _check_square("a similarity", similarity)
    if not similarity.isfinite().all():
        raise RecipeError("a similarity must be finite, but some of its entries are not.")


def check_distances(distances: Tensor) -> None:
    """Refuse what is no matrix of distances between classes.

    Raises:
        RecipeError: saying what is wrong with it.
    """
    _check_square("distances of classes", distances)
    if not (distances.isfinite().all() and (distances >= 0).all()):
        raise RecipeError("distances of classes must be finite and at least 0, but some entries are not.")
    if distances.diagonal().any():
        raise RecipeError("a class must be at distance 0 from itself, but some diagonal entries are not 0.")


def _check_square(what: str, matrix: Tensor) -> None:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise RecipeError(f"{what} must be a square matrix, but got {tuple(matrix.shape)}.")
