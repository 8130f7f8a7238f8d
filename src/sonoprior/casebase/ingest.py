"""From the cases of a case set to records, with the frames to be embedded."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from sonoprior.bundle.manifest import Manifest
from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.cells import EMPTY, split_items
from sonoprior.cases.columns import PLAIN, family_of
from sonoprior.cases.combinations import NONE, classes_in
from sonoprior.cases.images import Grey
from sonoprior.core.errors import DataError
from sonoprior.core.progress import Ticker
from sonoprior.knowledge.ontology import Ontology
from sonoprior.render.pictures import thumbnail
from sonoprior.runtime.frames import picture

from .record import Record, pixels_of

_AT_ONCE = 64
_READERS = 4
_SIDE = 160
# They are files, or what is drawn in the image; a caption has its own place.
_NO_FACTS = ("zonemap", "points", "caption")

Facts = dict[str, list[str]]


@dataclass(frozen=True)
class Classes:
    """What a bundle knows of the classes of its levels.

    Attributes:
        manifest: of the bundle.
        ontology: of the bundle, if it has one.
    """

    manifest: Manifest
    ontology: Ontology | None

    def beside(self, facts: Facts) -> Facts:
        """The labels at levels where a case has none, which follow from one that it has: {"label.meta": ..}.

        A class belongs to the nearest class above it, where that is one alone.
        """
        if self.ontology is None:
            return {}
        codes = [
            self.manifest.class_terms(level)[label[0]]
            for level in self.manifest.terms
            if len(label := facts.get(f"label.{level}", [])) == 1
            and label[0] in self.manifest.class_terms(level)
        ]
        missing = [level for level in self.manifest.terms if f"label.{level}" not in facts]
        found = {level: self._above(codes[0], level) for level in missing} if codes else {}
        return {f"label.{level}": [name] for level, name in found.items() if name is not None}

    def _above(self, code: str, level: str) -> str | None:
        assert self.ontology is not None  # see `beside`
        ontology = self.ontology
        if code not in ontology.terms:
            return None
        above = ontology.ancestors(code)
        classes = {term: name for name, term in self.manifest.class_terms(level).items() if term in above}
        nearest = [
            term
            for term in classes
            if not any(other != term and term in ontology.ancestors(other) for other in classes)
        ]
        return classes[nearest[0]] if len(nearest) == 1 else None


def key_of(case_set: CaseSet, case: str) -> str:
    """The key of a case in a base."""
    return f"{case_set.info.name}/{case}"


def ingest(
    case_set: CaseSet, classes: Classes, tick: Ticker, on_unreadable: Callable[[str], None] | None = None
) -> Iterator[tuple[list[Record], list[Grey]]]:
    """The cases of a set with their frames, some at once.

    Args:
        case_set: the cases.
        classes: what the bundle knows of their classes.
        tick: told of every case that is done with.
        on_unreadable: told why an image cannot be used, which is then left out; where None that is an error.

    Raises:
        DataError: if an image cannot be used.
    """
    groups = case_set.groups()
    added = datetime.now(UTC).isoformat(timespec="seconds")
    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, len(case_set), _AT_ONCE):
            places = range(start, min(start + _AT_ONCE, len(case_set)))
            read = list(zip(places, pool.map(lambda at: _read(case_set, at), places), strict=True))
            _tell([str(found) for _, found in read if isinstance(found, DataError)], on_unreadable)
            frames = [(at, found) for at, found in read if not isinstance(found, DataError)]
            yield (
                [_record(case_set, at, groups[at], frame, classes, added) for at, frame in frames],
                [frame for _, frame in frames],
            )
            tick(len(places))


def _read(case_set: CaseSet, at: int) -> Grey | DataError:
    try:
        return picture(case_set.image_path(at))
    except DataError as error:
        return error


def _tell(problems: Sequence[str], on_unreadable: Callable[[str], None] | None) -> None:
    for problem in problems:
        if on_unreadable is None:
            raise DataError(problem)
        on_unreadable(problem)


def _record(case_set: CaseSet, at: int, group: str, frame: Grey, classes: Classes, added: str) -> Record:
    name, case = case_set.info.name, case_set.ids[at]
    facts = {"set": [name]} | _facts(case_set, at)
    exam = case_set.column("exam")[at]
    source = {
        "root": str(case_set.root.resolve()),
        "image": case_set.column("image")[at],
        "licence": case_set.info.licence,
        "source": case_set.info.source,
        "added": added,
        "pixels": pixels_of(frame),
    }
    return Record(
        key=key_of(case_set, case),
        group=f"{name}/{group}",
        exam=None if exam is None else f"{name}/{exam}",
        facts=facts | classes.beside(facts),
        caption=case_set.column("caption")[at] or "",
        source=source,
        thumbnail=thumbnail(frame, _SIDE),
    )


def _facts(case_set: CaseSet, at: int) -> Facts:
    """What may be filtered by, of one case."""
    columns = [
        name
        for name in case_set.table.columns
        if (name in PLAIN and name not in _NO_FACTS) or family_of(name) in ("label", "extra")
    ]
    cells = ((name, case_set.column(name)[at]) for name in columns)
    return {name: _texts(case_set, name, cell) for name, cell in cells if cell is not None}


def _texts(case_set: CaseSet, name: str, cell: str) -> list[str]:
    if name.removeprefix("label.") in case_set.info.several and name.startswith("label."):
        return classes_in(cell) or [NONE]
    if name == "terms":
        return [item for item in split_items(cell) if item and item != EMPTY]
    return [cell]
