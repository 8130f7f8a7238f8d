"""Pairs of small pictures that may be the same one: compared block by block, never all with all at once.

Each sketch is described by the low frequencies of its local contrast: once as a whole and once for each
of five views that leave a border of 5 % away. The whole of a cropped copy resembles one of the views of
its original, whichever side was cropped, so that a high similarity can be asked for and few pairs pass.
"""

from collections.abc import Iterator
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from .sketches import SIDE
from .texture import texture, tissue

Pairs: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]
"""First positions, second positions (always larger), similarity: three arrays of one length."""

SIMILAR = 0.7
"""The least similarity of a candidate; measured, see docs/results/duplicates.md."""

_BORDER = 5  # pixels of SIDE: 5 %
_VIEWS = (
    (0, 0, SIDE),
    *((y, x, SIDE - _BORDER) for y in (0, _BORDER) for x in (0, _BORDER)),
    (_BORDER // 2, _BORDER // 2, SIDE - _BORDER),
)
_DETAIL = 32  # side at which local contrast is taken
_RADIUS = 4.0
_FREQUENCIES = np.add.outer(np.arange(_DETAIL), np.arange(_DETAIL))
_KEPT = (_FREQUENCIES > 0) & (_FREQUENCIES < 14)  # 104 of them: robust to JPEG and to a shift by a pixel
DESCRIPTION = (len(_VIEWS), int(_KEPT.sum()))
"""The shape of a description: views, frequencies."""

_WIDE = 8192  # columns of a block


def describe(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The descriptions of a sketch (SIDE, SIDE): (6, 104), rows of length 1; the first is the whole.

    A picture without any texture has zeros, which resemble nothing.
    """
    inside = tissue(picture)
    views = [(slice(y, y + side), slice(x, x + side)) for y, x, side in _VIEWS]
    return np.stack([_frequencies(picture[view], inside[view]) for view in views])


def _frequencies(view: NDArray[np.uint8], inside: NDArray[np.uint8]) -> NDArray[np.float32]:
    kept = cv2.dct(texture(view, inside, _DETAIL, _RADIUS))[_KEPT]
    length = float(np.linalg.norm(kept))
    return (kept / length if length > 0 else kept).astype(np.float32)


def candidates(
    descriptions: NDArray[np.float32], similar: float = SIMILAR, tall: int = 256
) -> Iterator[Pairs]:
    """Pairs whose similarity reaches `similar`, block of rows by block of rows, the most similar first.

    The similarity of i and j is the largest cosine between a view of i and the whole of j. A pair is
    found from either side, so it may come twice.

    Args:
        descriptions: float32 (n, 6, 104), see `describe`.
        similar: the least similarity.
        tall: rows of a block; one block after another is yielded, also an empty one.
    """
    wholes = np.ascontiguousarray(descriptions[:, 0])
    for start in range(0, len(descriptions), tall):
        views = descriptions[start : start + tall].swapaxes(0, 1)
        yield _ordered([*_block_pairs(views, wholes, start, similar)])


def _block_pairs(
    views: NDArray[np.float32], wholes: NDArray[np.float32], start: int, similar: float
) -> Iterator[Pairs]:
    """Pairs of a block of rows, by blocks of columns: views (6, rows, 104) against wholes (n, 104)."""
    for left in range(0, len(wholes), _WIDE):
        best = views[0] @ wholes[left : left + _WIDE].T
        for view in views[1:]:
            np.maximum(best, view @ wholes[left : left + _WIDE].T, out=best)
        row, column = np.nonzero(best >= similar)
        first, second = row + start, column + left
        other = first != second
        low, high = np.minimum(first, second)[other], np.maximum(first, second)[other]
        yield low, high, best[row, column][other]


def _ordered(blocks: list[Pairs]) -> Pairs:
    first, second, similarity = (np.concatenate(part) for part in zip(*blocks, strict=True))
    order = np.argsort(-similarity, kind="stable")
    return first[order], second[order], similarity[order]
