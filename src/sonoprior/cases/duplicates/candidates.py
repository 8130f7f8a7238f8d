"""Pairs of small pictures that may be the same one: compared block by block, never all with all at once.

Each sketch is described by the low frequencies of its local contrast: once as a whole and once for each
of five views that leave a border of 5 % away. The whole of a cropped copy resembles one of the views of
its original, whichever side was cropped, so that a high similarity can be asked for and few pairs pass.
All pairs of wholes are compared, which is one matrix product; the views only where the wholes are not
altogether different.
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

WORTH_ALL_VIEWS = 0.45
"""The least cosine of two wholes for which the other views are looked at. The wholes of an image and of its
hardest copies reach 0.53; of other pictures one pair in a hundred gets here."""

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
    wholes = np.ascontiguousarray(descriptions[:, 0])
    for start in range(0, len(descriptions), tall):
        yield _ordered([*_block_pairs(descriptions, wholes, start, tall, similar)])


def _block_pairs(
    descriptions: NDArray[np.float32], wholes: NDArray[np.float32], start: int, tall: int, similar: float
) -> Iterator[Pairs]:
    """Pairs of a block of rows with all that come after, by blocks of columns."""
    for left in range(start, len(descriptions), _WIDE):
        alike = wholes[start : start + tall] @ wholes[left : left + _WIDE].T
        row, column = np.nonzero(alike >= WORTH_ALL_VIEWS)
        once = row + start < column + left
        first, second = row[once] + start, column[once] + left
        likeness = similarity(descriptions[first], descriptions[second])
        passed = likeness >= similar
        yield first[passed], second[passed], likeness[passed]


def similarity(some: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest cosine between the whole of one and a view of the other, either way round.

    Args:
        some: float32 (m, 6, 104).
        others: float32 (m, 6, 104), each to be compared with its counterpart.

    Returns:
        float32 (m,).
    """
    one_way = np.einsum("mvf,mf->mv", some, others[:, 0])
    other_way = np.einsum("mf,mvf->mv", some[:, 0], others)
    return np.maximum(one_way.max(axis=1), other_way.max(axis=1))


def _ordered(blocks: list[Pairs]) -> Pairs:
    first, second, similarity = (np.concatenate(part) for part in zip(*blocks, strict=True))
    order = np.argsort(-similarity, kind="stable")
    return first[order], second[order], similarity[order]
