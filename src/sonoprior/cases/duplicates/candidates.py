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

_WIDE = 4096  # columns of a block


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

    Args:
        descriptions: float32 (n, 6, 104), see `describe`.
        similar: the least similarity.
        tall: rows of a block; one block after another is yielded, also an empty one.
    """
    for start in range(0, len(descriptions), tall):
        yield _ordered([*_block_pairs(descriptions, start, tall, similar)])


def _block_pairs(descriptions: NDArray[np.float32], start: int, tall: int, similar: float) -> Iterator[Pairs]:
    """Pairs of a block of rows with all that come after, by blocks of columns."""
    rows = descriptions[start : start + tall]
    for left in range(start, len(descriptions), _WIDE):
        likeness = similarity(rows, descriptions[left : left + _WIDE])
        row, column = np.nonzero(likeness >= similar)
        first, second = row + start, column + left
        once = first < second
        yield first[once], second[once], likeness[row, column][once]


def similarity(some: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest cosine between the whole of one and a view of the other, either way round.

    Args:
        some: float32 (m, 6, 104).
        others: float32 (n, 6, 104).

    Returns:
        float32 (m, n).
    """
    best = some[:, 0] @ others[:, 0].T
    for view in range(1, len(_VIEWS)):
        np.maximum(best, some[:, view] @ others[:, 0].T, out=best)
        np.maximum(best, some[:, 0] @ others[:, view].T, out=best)
    return best


def _ordered(blocks: list[Pairs]) -> Pairs:
    first, second, similarity = (np.concatenate(part) for part in zip(*blocks, strict=True))
    order = np.argsort(-similarity, kind="stable")
    return first[order], second[order], similarity[order]
