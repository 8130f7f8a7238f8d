"""What a search found, as a page of pictures and as JSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sonoprior.bundle.manifest import Manifest
from sonoprior.core.folder import write_json
from sonoprior.render.blocks import Block, Cell, Figure, Gallery, Paragraph, Table, Tile
from sonoprior.render.page import Page
from sonoprior.render.pictures import thumbnail

from .query import Query
from .record import Record
from .search import Found, Frame, Hit
from .terms import LABEL, Facts

_SIDE = 160
_READING = (
    "What was asked for, and the known cases that the model holds to be most like it, the best first. A"
    " similarity is a cosine: 1 for what looks the same to the model. The distance says how far apart two"
    " views lie in the ontology: 0 for the same one, 1 for views that share nothing. Nothing of the query's"
    " own patient or exam is shown unless it was asked for. Likeness is no diagnosis."
)
_CORRECTED = "The query is moved from the mean of its own view to that of this one."
_NO_QUERY = "The mean of what was found is looked for: the most typical cases come first."


def label_of(facts: Facts, manifest: Manifest) -> str:
    """What a case is labelled at the first level of the bundle; at its own first where that has none."""
    own = [*([manifest.views.level] if manifest.views else []), *manifest.levels]
    names = [f"{LABEL}{level}" for level in own] or [name for name in facts if name.startswith(LABEL)]
    return " + ".join(next((facts[name] for name in names if name in facts), ()))


def number(value: float | None) -> str:
    """A similarity or a distance as it is shown; empty where it is unknown."""
    return "" if value is None else f"{value:.2f}"


def plain(found: Found) -> dict[str, Any]:
    """What was found, for JSON: everything but pictures."""
    return {
        "asked": [{"name": one.name, "facts": _plain(one.facts)} for one in found.shown],
        "found": "exams" if found.exams else "cases",
        "corrected": found.corrected,
        "could be found": found.could,
        "left out as the query's own": found.left_out,
        "hits": [_plain_hit(hit, exam=found.exams) for hit in found.hits],
    }


def _plain(facts: Facts) -> dict[str, list[str]]:
    return {name: list(texts) for name, texts in facts.items()}


def _plain_hit(hit: Hit, *, exam: bool) -> dict[str, Any]:
    said: dict[str, Any] = {"similarity": round(hit.similarity, 6)}
    said |= {} if hit.score is None else {"re-ranked": round(hit.score, 6)}
    if exam:
        return {"exam": hit.name} | said | {"frames": [_plain_frame(frame) for frame in hit.frames]}
    return said | _plain_frame(hit.frames[0])


def _plain_frame(frame: Frame) -> dict[str, Any]:
    record = frame.record
    return {
        "case": record.key,
        "similarity": round(frame.similarity, 6),
        "distance": None if frame.distance is None else round(frame.distance, 6),
        "exam": record.exam,
        "facts": _plain(record.facts),
        "caption": record.caption,
        "source": dict(record.source),
    }


def write_search(folder: Path, found: Found, query: Query, manifest: Manifest) -> None:
    """Write `index.html`, the query beside what was found, and `search.json`.

    Args:
        folder: where to write; it exists.
        found: what was found.
        query: what was asked.
        manifest: of the bundle that the base holds.
    """
    write_json(folder / "search.json", plain(found))
    page = Page("Known cases", about=f"Found by {manifest.name}.", simulated=manifest.simulated)
    page.section("Asked", Paragraph(_READING), *_asked(found, query, manifest))
    blocks = _exams(found, manifest) if found.exams else _cases(found, manifest)
    page.section("Found", *(blocks if found.hits else [Paragraph("Nothing.")]))
    page.write(folder / "index.html")


def _asked(found: Found, query: Query, manifest: Manifest) -> list[Block]:
    tiles = [
        Tile(
            _small(one.picture), ": ".join(text for text in (one.name, label_of(one.facts, manifest)) if text)
        )
        for one in found.shown
        if one.picture is not None
    ]
    narrowed = [
        *([f"Term: {query.term}, and what lies below it."] if query.term else []),
        *([_CORRECTED] if found.corrected else []),
        *(f"{name}: {' or '.join(texts)}." for name, texts in query.where.items()),
    ]
    said = [f"Text: {query.text}"] if query.text else [] if found.shown else [_NO_QUERY]
    return [*([Gallery(tiles, width=_SIDE)] if tiles else []), *map(Paragraph, [*said, *narrowed])]


def _small(picture: np.ndarray | bytes) -> bytes:
    return picture if isinstance(picture, bytes) else thumbnail(picture, _SIDE)


def _cases(found: Found, manifest: Manifest) -> list[Block]:
    tiles = [
        Tile(hit.record.thumbnail, f"{place}. {_said(hit.frames[0], manifest)}", *_badge(hit.frames[0]))
        for place, hit in enumerate(found.hits, 1)
    ]
    return [Gallery(tiles, width=_SIDE), _details(found, manifest)]


def _badge(frame: Frame) -> Sequence[Any]:
    """A word beside the colour, for those who do not see it."""
    if frame.distance is None:
        return ()
    return ("✓ same view", "good") if frame.distance <= 0 else (f"distance {frame.distance:.2f}", "warning")


def _said(frame: Frame, manifest: Manifest) -> str:
    label = label_of(frame.record.facts, manifest) or "not labelled"
    return f"{frame.similarity:.2f}: {label} ({frame.record.key})"


def _details(found: Found, manifest: Manifest) -> Table:
    scored = any(hit.score is not None for hit in found.hits)
    header = [
        "",
        "case",
        "similarity",
        *(["re-ranked"] if scored else []),
        "distance",
        "label",
        "device",
        "terms",
    ]
    rows = [
        [
            place,
            hit.name,
            number(hit.similarity),
            *([number(hit.score)] if scored else []),
            number(hit.frames[0].distance),
            label_of(hit.record.facts, manifest),
            _of(hit.record, "device"),
            _of(hit.record, "terms"),
        ]
        for place, hit in enumerate(found.hits, 1)
    ]
    return Table(header, rows)


def _of(record: Record, fact: str) -> str:
    return ", ".join(record.facts.get(fact, ()))


def _exams(found: Found, manifest: Manifest) -> list[Block]:
    """A row an exam, and in it beside each frame of the query the exam's frame that is most like it."""
    header = ["exam", "similarity", *(Path(one.name).name for one in found.shown)]
    rows: list[list[str | int | float | Cell | Figure]] = [
        [
            hit.name,
            number(hit.similarity)
            if hit.score is None
            else f"{number(hit.similarity)}, re-ranked {number(hit.score)}",
            *(Figure(frame.record.thumbnail, _said(frame, manifest)) for frame in hit.frames),
        ]
        for hit in found.hits
    ]
    return [Table(header, rows)]
