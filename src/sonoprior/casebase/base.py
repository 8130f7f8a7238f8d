"""A case base: one folder with cases, their embeddings, and the bundle that embeds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from sonoprior.bundle.folder import open_bundle
from sonoprior.bundle.manifest import Manifest
from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.images import Grey
from sonoprior.core.checks import one_of
from sonoprior.core.errors import DataError, FolderError
from sonoprior.core.folder import read_json, require, stamp, whole_folder, write_json
from sonoprior.core.progress import Ticker, bar
from sonoprior.knowledge.ontology import Ontology

from .bundles import Bundle, Bundles, space_of
from .images import Images
from .index import SETTINGS, Setting
from .ingest import Classes, ingest, key_of
from .loaded import Loaded
from .network_shares import refuse_share
from .record import Record
from .sqlite import SqliteStore
from .stats import Stats, stats_of
from .store import Adding, Floats, Places, Store, Vectors

if TYPE_CHECKING:
    from sonoprior.runtime import Recogniser

KIND, FORMAT = "case base", 1
DATABASE, SETTINGS_FILE, BUNDLES, INDEX = "cases.db", "settings.json", "bundles", "index"
_AT_ONCE = 64

OnUnreadable = Callable[[str], None]
Sets = Sequence[CaseSet | Path | str]


class CaseBase:
    """Known cases that may be searched. `open` and `build` make one.

        base = CaseBase.build("out/bundle", ["out/phantom"], "out/cases")
        vectors = base.vectors()
        ids, cosines = base.nearest(base.recogniser.embed([frame]), k=10)
        base.store.records(ids[0])

    Attributes:
        folder: of the base.
        store: of the cases.
        setting: which index is used: "auto", "exact" or "hnsw".
    """

    def __init__(self, folder: Path, store: Store, setting: Setting) -> None:
        self.folder, self.store = folder, store
        self.setting: Setting = setting
        self._bundles = Bundles(folder / BUNDLES)
        self._now: Loaded | None = None

    @staticmethod
    def open(folder: Path | str) -> "CaseBase":
        """Open a base.

        Raises:
            FolderError: if it is no base, is damaged, of a newer format, or on a network share.
        """
        folder = Path(folder)
        require(folder, KIND, FORMAT)
        refuse_share(folder)
        return CaseBase(folder, SqliteStore(folder / DATABASE), _setting(folder))

    @staticmethod
    def build(
        bundle: Path | str,
        sets: Sets,
        out: Path | str,
        index: Setting = "auto",
        on_unreadable: OnUnreadable | None = None,
    ) -> "CaseBase":
        """Make a base.

        Args:
            bundle: the folder of a bundle, which is copied into the base.
            sets: case sets, or their folders.
            out: the folder to write.
            index: "exact"; "hnsw", approximate; or "auto", which is exact up to a million cases.
            on_unreadable: told why an image cannot be used, which is then left out; where None that is an
                error.

        Raises:
            DataError: if a set or an image cannot be used, a key is there twice, or no image is left.
            FolderError: if the bundle cannot be used, `out` exists, cannot be written or is on a network
                share.
        """
        out = Path(out)
        one_of("the index of a case base", index, SETTINGS, DataError)
        refuse_share(out)
        case_sets = _opened(sets)
        with whole_folder(out) as building:
            space = Bundles(building / BUNDLES).copy(Path(bundle))
            SqliteStore.create(building / DATABASE, space).close()
            write_json(building / SETTINGS_FILE, {"index": index})
            stamp(building, KIND, FORMAT)
            base = CaseBase.open(building)
            if not base.add(case_sets, on_unreadable):
                raise DataError(f"{out} was not written: no image of the case sets can be used.")
            base.vectors()
            base._loaded().index  # noqa: B018 (a graph is linked now, not when somebody waits for an answer)
            base.close()
        return CaseBase.open(out)

    def vectors(self) -> Vectors:
        """All cases as they are now; read again where anybody has changed anything."""
        if self._now is None or self._now.vectors.version != self.store.version():
            vectors = self.store.vectors()
            self._now = Loaded(vectors, self.setting, self.folder / INDEX, self._bundles.of(vectors.space))
        return self._now.vectors

    def nearest(
        self, queries: Floats, k: int, leave_out: Places | None = None, among: Places | None = None
    ) -> tuple[Places, Floats]:
        """The k nearest cases of each query, among those of the last `vectors()`.

        Args:
            queries: (q, D) of length 1.
            k: how many.
            leave_out: (q,) the number of the group that each query must not find, see `store.number_of`; -1
                for none.
            among: the numbers of the cases that may be found; None for all.

        Returns:
            numbers (q, k) of cases, -1 where there are fewer, and cosines, minus infinity there.

        Raises:
            DataError: if the queries have another length than the base's embeddings.
        """
        now = self._loaded()
        wanted = now.vectors.space.dimension
        if queries.ndim != 2 or queries.shape[1] != wanted:
            raise DataError(
                f"queries must have the shape (queries, {wanted}), as the embeddings of {self.folder}, but"
                f" have {queries.shape}; was another bundle used?"
            )
        return now.nearest(queries, k, leave_out, among)

    @property
    def manifest(self) -> Manifest:
        """What the bundle says of itself."""
        return self._used().manifest

    @property
    def ontology(self) -> Ontology | None:
        """The bundle's ontology; None without one."""
        return self._used().ontology

    @property
    def learnt(self) -> frozenset[str]:
        """The digests of the cases that had a part in the bundle's training, see `bundle.learnt`."""
        return self._used().learnt

    @property
    def recogniser(self) -> "Recogniser":
        """The bundle in use; opened when first asked for."""
        return self._used().recogniser

    def add(self, sets: Sets, on_unreadable: OnUnreadable | None = None) -> int:
        """Add all cases of case sets, or none where something goes wrong.

        Args:
            sets: case sets, or their folders.
            on_unreadable: see `build`.

        Returns:
            How many were added.

        Raises:
            DataError: if a set or an image cannot be used, or a key is there already.
            FolderError: if the disk is full, or the base is damaged.
        """
        case_sets = _opened(sets)
        self._refuse_known(case_sets)
        count = 0
        with self.store.adding() as adding, bar("embedding cases", sum(map(len, case_sets))) as tick:
            for records, frames in self._ingested(case_sets, adding, tick, on_unreadable):
                embeddings = self._bundles.of(adding.space).recogniser.embed(frames)
                kept = _with_direction(records, embeddings, on_unreadable)
                if kept:
                    adding.put([records[at] for at in kept], embeddings[kept])
                count += len(kept)
        return count

    def remove(self, keys: Iterable[str] = (), exams: Iterable[str] = (), sets: Iterable[str] = ()) -> int:
        """Remove cases.

        Args:
            keys: "SET/CASE".
            exams: "SET/EXAM".
            sets: names of case sets.

        Returns:
            How many were removed.

        Raises:
            DataError: if there is no such case, exam or set.
        """
        known = self.store.facts().get("set", {})
        for name in (sets := list(sets)):
            one_of("a case set of the base", name, known, DataError)
        ids = {*self.store.ids(list(keys))}
        for exam in exams:
            ids.update(self._of_exam(exam, known))
        if sets:
            ids.update(self.store.where({"set": sets}).tolist())
        self.store.remove(sorted(ids))
        return len(ids)

    def stats(self) -> Stats:
        """What the base holds."""
        return stats_of(self.folder, self.store, self.vectors(), self.manifest, self.setting)

    def problems(self) -> list[str]:
        """One sentence for everything that is damaged; reads all there is."""
        try:
            open_bundle(self.folder / BUNDLES / self.store.space().id)
        except FolderError as error:
            return [str(error), *self.store.problems()]
        return self.store.problems()

    def reembed(self, bundle: Path | str, moved: Mapping[str, Path] | None = None) -> int:
        """Embed all cases by another bundle; until that is done the base is searched as it was.

        Facts that the bundle before knew of classes, such as their labels at higher levels, stay. Where this
        was interrupted it goes on.

        Args:
            bundle: the folder of a bundle, which is copied into the base.
            moved: where case sets lie now, by name, if their images are not where they were.

        Returns:
            How many cases were embedded.

        Raises:
            DataError: if the base is embedded by this network already, or an image is missing, cannot be
                used, or is another one than when it was added.
            FolderError: if the bundle cannot be used, or the disk is full.
        """
        known = self.store.facts().get("set", {})
        for name in moved or {}:
            one_of("a case set of the base", name, known, DataError)
        space = space_of(open_bundle(Path(bundle)))
        count, images = 0, Images(moved or {})
        with self.store.reembedding(space) as new, bar("embedding cases anew", len(self.store)) as tick:
            self._bundles.copy(Path(bundle))
            recogniser = self._bundles.of(space).recogniser
            while ids := new.missing(_AT_ONCE):
                records = self.store.records(ids)
                embeddings = recogniser.embed([images.of(record) for record in records])
                _with_direction(records, embeddings, None)
                new.put(ids, embeddings)
                count += len(ids)
                tick(len(ids))
        self._bundles.keep_only(self.store.space())
        return count

    def close(self) -> None:
        """Let go of all files."""
        self.store.close()
        self._now = None

    def _loaded(self) -> Loaded:
        if self._now is None:
            self.vectors()
        assert self._now is not None  # just read
        return self._now

    def _used(self) -> Bundle:
        """The bundle of the last `vectors()`, or of now."""
        return self._now.bundle if self._now else self._bundles.of(self.store.space())

    def _ingested(
        self, case_sets: Iterable[CaseSet], adding: Adding, tick: Ticker, on_unreadable: OnUnreadable | None
    ) -> Iterable[tuple[list[Record], list[Grey]]]:
        bundle = self._bundles.of(adding.space)
        classes = Classes(bundle.manifest, bundle.ontology)
        for case_set in case_sets:
            yield from ingest(case_set, classes, tick, on_unreadable)

    def _refuse_known(self, case_sets: Iterable[CaseSet]) -> None:
        """Before minutes of embedding."""
        if not len(self.store):
            return
        for case_set in case_sets:
            here = self.store.where({"set": [case_set.info.name]})
            known = (
                self.store.where({"set": [case_set.info.name], "case": case_set.ids}) if len(here) else here
            )
            if len(known):
                key = self.store.records([int(known[0])])[0].key
                raise DataError(
                    f"{len(known)} of the {len(case_set)} cases of {case_set.root} are in {self.folder}"
                    f" already, such as '{key}'; remove them first, or give the case set another name."
                )

    def _of_exam(self, exam: str, sets: Iterable[str]) -> list[int]:
        for name in sets:
            if exam.startswith(f"{name}/"):
                found = self.store.where({"set": [name], "exam": [exam.removeprefix(f"{name}/")]})
                if len(found):
                    return found.tolist()
        raise DataError(f"there is no exam '{exam}' in {self.folder}; exams are named SET/EXAM.")


def _setting(folder: Path) -> Setting:
    found = read_json(folder / SETTINGS_FILE)
    setting = found.get("index") if isinstance(found, dict) else None
    return cast("Setting", one_of(f"{folder / SETTINGS_FILE}: index", str(setting), SETTINGS, FolderError))


def _opened(sets: Sets) -> list[CaseSet]:
    """Case sets of which every key is there once.

    Raises:
        DataError: if two have a case of the same key.
    """
    opened = [one if isinstance(one, CaseSet) else CaseSet.open(one) for one in sets]
    seen: dict[str, Path] = {}
    for case_set in opened:
        for case in case_set.ids:
            before = seen.setdefault(key_of(case_set, case), case_set.root)
            if before is not case_set.root:
                raise DataError(
                    f"{before} and {case_set.root} both have the case '{key_of(case_set, case)}'; give one of"
                    " the case sets another name."
                )
    return opened


def _with_direction(
    records: Sequence[Record], embeddings: Floats, on_unreadable: OnUnreadable | None
) -> list[int]:
    """The places of the cases whose embedding (n, D) points anywhere; of the others somebody is told.

    Raises:
        DataError: if nobody is to be told.
    """
    points = np.isfinite(embeddings).all(axis=1) & embeddings.any(axis=1)
    for at in np.flatnonzero(~points).tolist():
        problem = (
            f"the network finds nothing in the image of case '{records[at].key}', so it cannot be compared."
        )
        if on_unreadable is None:
            raise DataError(problem)
        on_unreadable(problem)
    return np.flatnonzero(points).tolist()
