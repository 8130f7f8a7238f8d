"""A process that adds cases to a store, to be killed."""

from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from casebase.made_records import made_records, made_vectors
from sonoprior.casebase.sqlite import SqliteStore
from sonoprior.studies.runs import PRELOAD as RUNS_NEED

# Everything is imported once, in a process from which the others are forked. There is one such process, and
# the runs of studies are forked from it too: without what they need it would be imported anew for every run.
_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["casebase.adding_process", *RUNS_NEED])


class AddingProcess:
    """Ready to add cases when told to."""

    def __init__(self, path: Path, set_name: str, count: int = 400) -> None:
        self._line, other = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_add, args=(path, set_name, count, other), daemon=True)
        self._process.start()
        assert self._line.recv() == "ready"

    def go(self) -> None:
        """Begin."""
        self._line.send("go")

    def wait(self) -> str:
        """What it says at the end."""
        said = self._line.recv()
        self._process.join()
        return said

    def kill(self) -> None:
        """SIGKILL, wherever it is."""
        self._process.kill()
        self._process.join()


def _add(path: Path, set_name: str, count: int, line: Connection) -> None:
    store = SqliteStore(path)
    records, vectors = made_records(count, set_name=set_name), made_vectors(count)
    line.send("ready")
    line.recv()
    with store.adding() as adding:
        for start in range(0, count, 50):
            adding.put(records[start : start + 50], vectors[start : start + 50])
    line.send("done")
