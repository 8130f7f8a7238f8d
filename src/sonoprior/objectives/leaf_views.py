"""What the objectives that compare the leaf's embedding of two views have in common."""

from torch import Tensor

from .base import Context, Views, ViewsObjective


class LeafViewsObjective(ViewsObjective):
    """The base of all objectives on the leaf's embedding of two views. A subclass writes `forward`.

    Args:
        name: of the objective, for messages.
        stream: which stream it reads.
        context: gives the embedding.

    Raises:
        RecipeError: if the network has no embedding.
    """

    def __init__(self, name: str, stream: str, context: Context) -> None:
        super().__init__()
        self.stream = stream
        self.level, self.dimension = context.embedding(name)

    def embeddings(self, outputs: Views) -> tuple[Tensor, Tensor]:
        """The leaf's embedding of the first and of the second view, (B, D) each, before it is normalised."""
        first, second = (outputs[view].embeddings[self.level] for view in self.views)
        return first, second
