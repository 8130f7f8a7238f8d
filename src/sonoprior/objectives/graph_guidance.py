"""Graph-guided similarity: the ontology's own similarity of what two images show is what they shall have.

An image shows a *set* of terms: a view, findings, a disorder. Two sets are as similar as the best matches of
their terms are on average, so that two images are near when they point to the same disorder, whatever their
class.

Source: thesis on privileged information, section 3.6.2 (future work: a similarity computed on the ontology
guides the visual one), in the form of eq 3.9; best-match average: as in `knowledge.sets`.
"""

import torch
from torch import Tensor, nn

from sonoprior.core.errors import RecipeError

from .base import Context, Objective, Output, Record, Term
from .embedding_settings import GraphGuidanceSettings, LanguageGuidanceSettings
from .inputs import check_similarity
from .language_guidance import LanguageGuidance


class GraphGuidance(nn.Module):
    """The matching loss between cosines of images and the best-match average of their terms.

    Images with the very same terms are "of one class" for the settings' `same_class`.

    Args:
        settings: see `LanguageGuidanceSettings`.
        similarity: (T, T) between terms, frozen. A measure without a bound, such as Resnik's, is brought to
            [0, 1] with `to_unit`, since cosines end at 1.

    >>> guidance = GraphGuidance(LanguageGuidanceSettings(), torch.eye(3))
    >>> terms = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=torch.bool)
    >>> int(guidance(torch.rand(4, 8), terms).count)
    3
    """

    similarity: Tensor

    def __init__(self, settings: LanguageGuidanceSettings, similarity: Tensor) -> None:
        super().__init__()
        check_similarity(similarity)
        self.register_buffer("similarity", similarity, persistent=False)
        self.guidance = LanguageGuidance(settings)

    def forward(self, embeddings: Tensor, terms: Tensor) -> Term:
        """Eq 3.9 over the cases with a term; a zero on the graph if there is none.

        Args:
            embeddings: (B, D), of images.
            terms: (B, T), which terms each image shows; none means unknown.

        Raises:
            RecipeError: if the terms are not those of the similarity.
        """
        if terms.shape != (len(embeddings), len(self.similarity)):
            raise RecipeError(
                f"terms must be (B, T), here ({len(embeddings)}, {len(self.similarity)}), but got"
                f" {tuple(terms.shape)}."
            )
        shown = terms.to(torch.bool)
        _, sets = shown.unique(dim=0, return_inverse=True)
        labels = torch.where(shown.any(1), sets, -1)
        return self.guidance(embeddings, labels, best_match_average(shown, self.similarity))


def best_match_average(sets: Tensor, similarity: Tensor) -> Tensor:
    """How similar sets of terms are: (B, B).

    `knowledge.sets.best_match_average` of a whole batch: each term looks for its best match in the other set;
    the mean is over the terms of both. An empty set is at 0 from all.

    Args:
        sets: (B, T), which terms belong to each.
        similarity: (T, T).

    >>> sets = torch.tensor([[True, False], [True, True]])
    >>> best_match_average(sets, torch.eye(2))
    tensor([[1.0000, 0.6667],
            [0.6667, 1.0000]])
    """
    if not sets.any():
        return similarity.new_zeros(len(sets), len(sets))
    used = sets.any(0)  # few of the terms of an ontology occur in a batch
    members, among = sets[:, used], similarity[used][:, used]
    best = torch.where(members[:, None, :], among, -torch.inf).amax(2)  # (B, T): of each set, for each term
    best = torch.where(members.any(1, keepdim=True), best, 0)
    # (B, B): of each term of the first its best match in the second, summed over them.
    towards = members.to(best) @ best.T
    counts = members.sum(1)
    return (towards + towards.T) / (counts[:, None] + counts).clamp(min=1)


def to_unit(similarity: Tensor) -> Tensor:
    """A similarity without a bound brought to [0, 1]: its least entry becomes 0, its largest 1.

    Raises:
        RecipeError: if it is not square and finite, or the same everywhere.

    >>> to_unit(torch.tensor([[3.0, 1.0], [1.0, 5.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 1.0000]])
    """
    check_similarity(similarity)
    least, largest = similarity.min(), similarity.max()
    if least == largest:
        raise RecipeError(f"a similarity that is {float(least):g} everywhere guides nothing.")
    return (similarity - least) / (largest - least)


class GraphGuidanceObjective(Objective):
    """The recipe's objective `graph_guidance`, on the embedding of the leaf.

    Args:
        settings: see `GraphGuidanceSettings`.
        context: gives the terms of every case and their similarity.

    Raises:
        RecipeError: if the recipe has no ontology, or no case has a term.
    """

    shown: Tensor
    partners: Tensor

    def __init__(self, settings: GraphGuidanceSettings, context: Context) -> None:
        super().__init__()
        self.level, _ = context.embedding("graph_guidance", settings.level)
        terms = context.known("graph_guidance").terms()
        # Unbounded measures end where their largest does; cosines end at 1.
        bounded = terms.similarity if float(terms.similarity.max()) <= 1 else to_unit(terms.similarity)
        self.register_buffer("shown", terms.shown, persistent=False)
        self.register_buffer("partners", terms.partners, persistent=False)
        self.loss = GraphGuidance(settings.guidance, bounded)

    def forward(self, output: Output, batch: Record) -> Term:
        """The matching loss of the batch; cases without a term are left out."""
        shown = self.shown[batch.fields["index"]]
        shown = torch.where(batch.fields["mirrored"][:, None], shown[:, self.partners], shown)
        return self.loss(output.embeddings[self.level], shown)
