"""Several views of the same cases from one read."""

from collections.abc import Iterator, Mapping

from sonoprior.core.errors import RecipeError

from .batch import Batch
from .loader import Loader
from .prefetch import prefetched
from .sampling import Positions
from .spec import AugmentSpec


class ViewLoader:
    """Gives each batch of a loader once a view, each view with draws of its own.

    A view is a whole batch, since a mirror may swap the labels and priors of one view and not of another.
    The draws depend on the seed, the name of the view, the epoch and the case, and on nothing else: a
    resumed run goes on with the same ones, and another view beside it changes none.

    Args:
        loader: which cases, in which order; how it augments does not matter.
        views: the settings of each view by its name, None for the plain images; see `policies.views`.
        same_sides: whether all views of a case are mirrored alike. They have to be where a mirror changes the
            class: else what one view is taken for is wrong for the other.

    Raises:
        RecipeError: if there is no view, one has no name, or a mirror would need a class or prior that is
            missing.
    """

    def __init__(
        self, loader: Loader, views: Mapping[str, AugmentSpec | None], *, same_sides: bool = False
    ) -> None:
        if not views or "" in views:
            raise RecipeError(f"views must be at least one, each with a name, but got {list(views)}.")
        self._loader = loader
        self._makers = {
            name: loader.maker(spec, view=name, same_sides=same_sides) for name, spec in views.items()
        }

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self._loader)

    def epoch(self, epoch: int) -> Iterator[Mapping[str, Batch]]:
        """For each batch of one epoch, counted from 0, its views by name."""

        def made(part: tuple[Positions, Positions]) -> Mapping[str, Batch]:
            raw = self._loader.read(*part)
            return {name: make(raw, epoch) for name, make in self._makers.items()}

        return prefetched(made, self._loader.parts(epoch))
