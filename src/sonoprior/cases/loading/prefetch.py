"""Making the next item in the background while the current one is used."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


def prefetched(make: Callable[[Work], Result], works: Iterable[Work]) -> Iterator[Result]:
    """Yield `make(work)` in order, one result made before it is asked for.

    One thread makes them. What `make` raises is raised here; a consumer that leaves early, by an error or
    by dropping the iterator, ends the thread.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="sonoprior-loader") as pool:
        current: Future[Result] | None = None
        for work in works:
            following = pool.submit(make, work)
            if current is not None:
                yield current.result()
            current = following
        if current is not None:
            yield current.result()
