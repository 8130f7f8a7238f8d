"""Work on many machines with dask: the same reports as `workers`, from workers that may die and be replaced.

The workers read and write the folders themselves, so all machines must see them under the same path. Each
worker does one piece of work at a time (`dask worker ADDRESS --nthreads 1 --nworkers N`), because torch's
random state and number of threads belong to a process. The work of a worker that dies is given to another
one, which goes on from the last checkpoint. dask sends pickled objects: keep its scheduler in a network of
your own, or secure it with dask's TLS settings.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from secrets import token_hex
from typing import Any

from sonoprior.core.checks import listed
from sonoprior.core.errors import FolderError, MissingExtraError, SonopriorError
from sonoprior.core.folder import write_text

from .workers import News, Reports, Tell, Work, described

_ANSWER_S = 10
_START_S = 30  # of a worker, on a busy machine
_DIED = "the workers that it ran on died one after another; perhaps memory was short"


class _NoLongerWantedError(Exception):
    """The cluster has given this piece of work up or to another worker."""


class Cluster:
    """The workers of a dask scheduler, for as long as the `with` block lasts.

    Args:
        address: of the scheduler, such as tcp://host:8786.

    Raises:
        MissingExtraError: if dask is not installed.
        SonopriorError: if no scheduler answers, it has no workers, or one works on several things at a time.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                "--cluster needs dask, which comes with the extra 'cluster'; install it with"
                " pip install 'sonoprior[cluster]'."
            ) from error
        self._address = address
        try:
            self._client: Any = Client(address, timeout=_ANSWER_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise SonopriorError(
                f"no dask scheduler answers at '{address}': start one with `dask scheduler` and name the"
                " address that it prints, such as tcp://host:8786."
            ) from error

    def __enter__(self) -> "Cluster":
        try:
            self._check_workers()
        except SonopriorError:
            self._client.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.close()

    @property
    def _workers(self) -> Mapping[str, Mapping[str, Any]]:
        """What the scheduler knows of each worker, by address."""
        return self._client.scheduler_info(n_workers=-1)["workers"]

    def _check_workers(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=_START_S)
        except TimeoutError as error:
            raise SonopriorError(
                f"the scheduler at {self._address} has no workers; start some with"
                f" `dask worker {self._address} --nthreads 1`."
            ) from error
        for address, worker in self._workers.items():
            _check_threads(address, worker["nthreads"])

    @property
    def sharing(self) -> int:
        """How many workers share the cores of a machine, on the one with most of them."""
        return max(Counter(worker["host"] for worker in self._workers.values()).values())

    def check_sees(self, folders: Sequence[Path]) -> None:
        """Refuse folders that are not the same on every worker.

        Raises:
            FolderError: naming the folder and the machines that do not see it.
        """
        for folder in folders:
            probe, word = folder / f".{token_hex(6)}.probe", token_hex(6)
            write_text(probe, word)
            try:
                answers: Mapping[str, bool] = self._client.run(_sees, str(probe), word)
            finally:
                probe.unlink()
            blind = [self._workers[address]["host"] for address, sees in answers.items() if not sees]
            if blind:
                raise FolderError(
                    f"every worker must see {folder} under this path, but those on"
                    f" {listed(dict.fromkeys(blind))} do not; put it on a disk that all machines share."
                )

    def work_through(self, pieces: Mapping[str, tuple[Any, ...]], work: Work) -> Reports:
        """Do pieces of work on the workers; see `workers.work_through`.

        While there are no workers it waits for new ones.

        Yields:
            News as they come, the last of each piece with `steps` None.

        Raises:
            SonopriorError: if the scheduler is gone.
        """
        topic, arrived = f"sonoprior-{token_hex(6)}", SimpleQueue[tuple[str, Any]]()
        self._client.subscribe_topic(topic, lambda event: arrived.put(event[1]))
        waiting: dict[str, Any] = {}
        try:
            for name, arguments in pieces.items():
                future = self._client.submit(
                    _on_worker, topic, name, work, arguments, key=f"{topic}-{name}", pure=False
                )
                waiting[name] = future
                _announce(future, name, arrived)
            while waiting:
                name, what = self._next(arrived)
                item = _news(name, what) if name in waiting else None
                if item is None:
                    continue
                if item.steps is None:
                    del waiting[
                        name
                    ]  # the scheduler forgets it, and does not repeat it for a worker that dies
                yield item
        finally:
            self._client.cancel(list(waiting.values()))
            self._client.unsubscribe_topic(topic)

    def _next(self, arrived: SimpleQueue[tuple[str, Any]]) -> tuple[str, Any]:
        """What comes next of a piece: its name, and what `_news` reads."""
        while True:
            try:
                return arrived.get(timeout=_ANSWER_S)
            except Empty:
                if self._client.status != "running":
                    raise SonopriorError(
                        f"the scheduler at {self._address} is gone; what is finished is kept, and the same"
                        " command goes on."
                    ) from None


def _check_threads(worker: str, threads: int) -> None:
    if threads != 1:
        raise SonopriorError(
            f"each worker must do one run at a time, but {worker} has {threads} threads; start it with"
            " --nthreads 1, and as many workers as runs are wanted at a time with --nworkers."
        )


def _announce(future: Any, name: str, arrived: SimpleQueue[tuple[str, Any]]) -> None:
    future.add_done_callback(lambda ended: arrived.put((name, ended)))


def _news(name: str, what: Any) -> News | None:
    """News from what arrived: steps, the end (error, trace) that a worker reports, or a future.

    A worker says itself how a piece ended, because fetching a result from a worker that has just died takes
    dask half a minute. Only of what no worker can report does the future speak.
    """
    if isinstance(what, int):
        return News(name, steps=what)
    if isinstance(what, tuple | list):
        error, trace = what
        return News(name, error=error, trace=trace)
    if what.status == "error":
        error = what.exception()
        sentence = _DIED if type(error).__name__ == "KilledWorker" else described(error)[0]
        return News(name, error=sentence)
    return News(name, error="the cluster has given it up") if what.status == "cancelled" else None


def _sees(probe: str, word: str) -> bool:
    """On a worker: whether a file is there with this word in it."""
    path = Path(probe)
    return path.is_file() and path.read_text(encoding="utf-8") == word


def _on_worker(topic: str, name: str, work: Work, arguments: tuple[Any, ...]) -> None:
    """On a worker: do a piece of work, and report how it ended."""
    from distributed import get_worker

    worker: Any = get_worker()
    error, trace = None, ""
    try:
        _check_threads(worker.address, worker.state.nthreads)
        work(_telling(worker, topic, name), *arguments)
    except _NoLongerWantedError:
        return
    except Exception as failure:  # noqa: BLE001 (whatever it is, it is this piece's own failure)
        error, trace = described(failure)
    worker.log_event(topic, (name, (error, trace)))


def _telling(worker: Any, topic: str, name: str) -> Tell:
    key = worker.get_current_task()

    def tell(steps: int) -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state not in {"executing", "long-running"}:
            raise _NoLongerWantedError(name)
        worker.log_event(topic, (name, steps))

    return tell
