"""From what is asked to what is searched with: embeddings, the query's own cases, and what is known of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sonoprior.cases.images import Grey
from sonoprior.core.checks import nearest
from sonoprior.core.errors import DataError, ModelError
from sonoprior.metrics.neighbours import best
from sonoprior.runtime.frames import picture

from .query import Query
from .record import Record, pixels_of
from .store import Vectors
from .terms import LABEL, Facts

if TYPE_CHECKING:
    from sonoprior.runtime import Answer

    from .base import CaseBase

Floats = NDArray[np.float32]
Places = NDArray[np.int64]

# An image that is a case of the base is nearest to itself; as many are looked at as an embedding may hold for
# alike.
_LOOKED_AT = 64


@dataclass(frozen=True)
class Shown:
    """One thing that was asked with.

    Attributes:
        name: a file, a key, or the text itself.
        picture: of an image or a case, to be shown.
        facts: what is known of it: of a case what the base says, of another image what the bundle names it.
        familiar: whether an image looks like those that the bundle learnt from; None where it cannot tell.
    """

    name: str
    picture: Grey | bytes | None = None
    facts: Facts = field(default_factory=dict[str, Sequence[str]])
    familiar: bool | None = None


@dataclass(frozen=True)
class Asked:
    """A query as the base sees it.

    Attributes:
        vectors: (q, D) of length 1: one of each image, of each frame of an exam, or of the text.
        shown: q things that were asked with.
        groups: numbers of the groups that the query itself is of.
    """

    vectors: Floats
    shown: Sequence[Shown]
    groups: frozenset[int] = frozenset()


def asked_of(base: "CaseBase", query: Query, vectors: Vectors) -> Asked:
    """What a query that likens is searched with.

    Raises:
        DataError: if an image cannot be read, or a case or an exam is not in the base.
        ModelError: if a text is asked for and the bundle has no text encoder.
    """
    if query.text is not None:
        if base.manifest.text is None:
            raise ModelError(
                f"a search by text needs a bundle with a text encoder, but '{base.manifest.name}' has none;"
                " search by a term of its ontology instead (--term)."
            )
        return Asked(base.recogniser.embed_text([query.text]), [Shown(query.text)])
    if query.images:
        return _by_images(base, query, vectors)
    if query.case is not None:
        return _by_known(base, base.store.ids([query.case]), vectors)
    assert query.exam is not None  # what else there is to liken to
    return _by_known(base, _of_exam(base, query.exam), vectors)


def rows_of(vectors: Vectors, ids: Places) -> Places:
    """The rows of cases by number, ascending; of those alone that the base had when the vectors were read."""
    return np.flatnonzero(np.isin(vectors.ids, ids))


def _by_known(base: "CaseBase", ids: Sequence[int], vectors: Vectors) -> Asked:
    rows = rows_of(vectors, np.array(ids))
    records = base.store.records(vectors.ids[rows].tolist())
    shown = [Shown(record.key, record.thumbnail, record.facts) for record in records]
    return Asked(vectors.matrix[rows], shown, frozenset(vectors.groups[rows].tolist()))


def _by_images(base: "CaseBase", query: Query, vectors: Vectors) -> Asked:
    names = [
        str(image) if isinstance(image, str | Path) else f"image {number}"
        for number, image in enumerate(query.images, 1)
    ]
    frames = [picture(image, name) for image, name in zip(query.images, names, strict=True)]
    answers = base.recogniser.answers(frames)
    own = _of_exam(base, query.exam) if query.exam is not None else []
    shown: list[Shown] = []
    for image, name, frame, answer in zip(query.images, names, frames, answers, strict=True):
        path = Path(image).resolve() if isinstance(image, str | Path) else None
        known = _known_as(base, path, frame, answer.embedding, vectors)
        facts = next(iter(known.values())).facts if known else _named(base, answer)
        shown.append(Shown(name, frame, facts, answer.familiar))
        own += known
    groups = vectors.groups[rows_of(vectors, np.array(own, np.int64))]
    return Asked(np.stack([answer.embedding for answer in answers]), shown, frozenset(groups.tolist()))


def _named(base: "CaseBase", answer: "Answer") -> Facts:
    """What the bundle names an image that is no case of the base."""
    views = base.manifest.views
    return {f"{LABEL}{views.level}": answer.shown} if views and answer.shown else {}


def _known_as(
    base: "CaseBase", path: Path | None, frame: Grey, embedding: Floats, vectors: Vectors
) -> dict[int, Record]:
    """The cases that an image is, by number: those of the same file, and those with the same pixels."""
    index, _ = best((vectors.matrix @ embedding)[None], _LOOKED_AT)
    ids = vectors.ids[index[index >= 0]].tolist()
    pixels = pixels_of(frame)
    ids += [] if path is None else base.store.where({"image": _endings(path)}).tolist()
    return {
        number: record
        for number, record in zip(ids, base.store.records(ids), strict=True)
        if record.source.get("pixels") == pixels or (path and _path(record) == path)
    }


def _endings(path: Path) -> list[str]:
    """How a case set may name a file: relative to any folder above it."""
    return ["/".join(path.parts[-count:]) for count in range(1, len(path.parts))]


def _path(record: Record) -> Path:
    return (Path(record.source["root"]) / record.source["image"]).resolve()


def _of_exam(base: "CaseBase", exam: str) -> list[int]:
    """The cases of an exam, "SET/EXAM".

    Raises:
        DataError: if there is none; the nearest is offered.
    """
    known = base.store.facts().get("exam", {})
    names = [name for name in known if exam == name or exam.endswith(f"/{name}")]
    ids = base.store.where({"exam": names}).tolist() if names else []
    found = [
        number for number, record in zip(ids, base.store.records(ids), strict=True) if record.exam == exam
    ]
    if not found:
        hint = nearest(exam.rpartition("/")[2], known)
        raise DataError(f"the base has no exam '{exam}'; an exam is named SET/EXAM.{hint}")
    return found
