"""Bytes with a checksum at their end, so that damage is found when they are read."""

from collections.abc import Sequence
from zlib import crc32

import numpy as np

SEAL = 4
"""How many bytes longer the bytes become."""
# What CRC-32 makes of any bytes that its own checksum follows, wherever it began.
_WHOLE = 0x2144DF1C


def sealed(content: bytes, number: int = 0) -> bytes:
    """The content, then its CRC-32 begun at the number of what it belongs to.

    The number is not stored: content that was put in the place of another's does not fit either.
    """
    return content + crc32(content, number).to_bytes(SEAL, "little")


def opened(seal: object, number: object = 0) -> bytes | None:
    """The content of sealed bytes; None if they are damaged, or belong to something else."""
    if not isinstance(seal, bytes) or not isinstance(number, int) or crc32(seal, number) != _WHOLE:
        return None
    return seal[:-SEAL]


def first_damaged(seals: Sequence[object], length: int) -> int | None:
    """The place of the first of many sealed bytes, all of number 0, that is damaged; None if none is.

    Args:
        seals: what was read.
        length: that each must have.
    """
    rows = [row if isinstance(row, bytes) and len(row) == length else b"" for row in seals]
    wrong = np.fromiter(map(crc32, rows), np.uint32, len(rows)) != _WHOLE
    return int(wrong.argmax()) if wrong.any() else None
