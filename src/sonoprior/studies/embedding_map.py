"""Embeddings in two dimensions, by t-SNE and, where it is installed, by UMAP; for looking, not measuring."""

import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sonoprior.core.checks import at_least
from sonoprior.core.errors import DataError, MissingExtraError
from sonoprior.core.randomness import generator

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

FEWEST, FEWEST_FOR_UMAP, MOST = 5, 30, 2000
_PERPLEXITY, _NEIGHBOURS = 30.0, 15


def drawn(size: int, most: int = MOST, seed: int = 0) -> Places:
    """Positions of so many of `size` cases, drawn by seed, in rising order; all where there are no more."""
    if size <= most:
        return np.arange(size)
    return np.sort(generator(seed, "map").permutation(size)[:most])


def tsne(embeddings: ArrayLike, seed: int = 0) -> Floats:
    """Embeddings (n, d) as points (n, 2) by t-SNE (van der Maaten and Hinton, JMLR 2008).

    Raises:
        DataError: if there are fewer than five.
    """
    from sklearn.manifold import TSNE

    given = _enough(embeddings, FEWEST)
    start = "pca" if given.shape[1] > 1 else "random"
    perplexity = min(_PERPLEXITY, (len(given) - 1) / 3)
    found = TSNE(perplexity=perplexity, init=start, random_state=seed).fit_transform(given)
    return np.asarray(found, dtype=np.float64)


def umap(embeddings: ArrayLike, seed: int = 0) -> Floats:
    """Embeddings (n, d) as points (n, 2) by UMAP (McInnes, Healy and Melville, 2018).

    The first call of a process compiles for 10 to 30 seconds.

    Raises:
        DataError: if there are fewer than thirty.
        MissingExtraError: if umap-learn is not installed.
    """
    given = _enough(embeddings, FEWEST_FOR_UMAP)
    if not has_umap():
        raise MissingExtraError("UMAP needs umap-learn: pip install 'sonoprior[plots]'.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # among others that a seed leaves it one thread
        from umap import UMAP

        model = UMAP(n_neighbors=_NEIGHBOURS, random_state=seed, n_jobs=1)
        return np.asarray(model.fit_transform(given), dtype=np.float64)


def has_umap() -> bool:
    """Whether umap-learn is installed."""
    return find_spec("umap") is not None


def methods(size: int) -> Mapping[str, Callable[[ArrayLike], Floats]]:
    """The maps that can be drawn here of so many cases, by name."""
    return {"t-SNE": tsne} | ({"UMAP": umap} if has_umap() and size >= FEWEST_FOR_UMAP else {})


def _enough(embeddings: ArrayLike, fewest: int) -> Floats:
    given = np.asarray(embeddings, dtype=np.float64)
    at_least("the number of cases on a map", len(given), fewest, DataError)
    return given
