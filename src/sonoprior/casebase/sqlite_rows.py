"""How a case stands in the rows of a store in SQLite: every one sealed, with the number of its case."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .record import Record
from .sealed import SEAL, opened, sealed
from .store import Floats, number_of

HEAD = 3 * 8
"""The bytes in front of a vector: the numbers of case, group and exam."""


def vector_type(dimension: int) -> np.dtype[Any]:
    """A row of the table of vectors."""
    numbers = [("id", "<i8"), ("group", "<i8"), ("exam", "<i8")]
    return np.dtype([*numbers, ("vector", "<f4", (dimension,)), ("seal", f"V{SEAL}")])


def head_of(case: int, record: Record) -> bytes:
    """What stands in front of a case's vector."""
    return np.array([case, number_of(record.group), number_of(record.exam)], "<i8").tobytes()


def vector_row(head: bytes, vector: Floats) -> bytes:
    """A row of the table of vectors, of a vector (D,)."""
    return sealed(head + vector.astype("<f4").tobytes())


def body_of(record: Record) -> bytes:
    """A record without its thumbnail."""
    said = {
        "key": record.key,
        "group": record.group,
        "exam": record.exam,
        "facts": {name: list(texts) for name, texts in record.facts.items()},
        "caption": record.caption,
        "source": dict(record.source),
    }
    return json.dumps(said, ensure_ascii=False).encode()


def record_of(body: bytes, thumbnail: bytes) -> Record:
    """The record of a body."""
    return Record(**json.loads(body), thumbnail=thumbnail)


def record_row(case: int, body: bytes, thumbnail: bytes) -> tuple[int, bytes, bytes]:
    """A row of the table of records."""
    return case, sealed(body, case), sealed(thumbnail, case)


def record_in(case: int, body: object, thumbnail: object) -> Record | None:
    """The record of a row; None if it is damaged."""
    content, picture = opened(body, case), opened(thumbnail, case)
    return None if content is None or picture is None else record_of(content, picture)


def vectors_in(rows: list[bytes], dimension: int) -> NDArray[Any]:
    """The rows of the table of vectors as one array of `vector_type`."""
    return np.frombuffer(b"".join(rows), vector_type(dimension))
