"""Making the next items in the background while the current one is used."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


def prefetched(make: Callable[[Work], Result], works: Iterable[Work], ahead: int = 1) -> Iterator[Result]:
    """Yield `make(work)` in order, at most `ahead` results made before they are asked for.

    One thread makes them. What `make` raises is raised here; a consumer that leaves early, by an error or
    by dropping the iterator, ends the thread.
    """
    pending: deque[Future[Result]] = deque()
    todo = iter(works)
    pool = ThreadPoolExecutor(1, thread_name_prefix="sonoprior-loader")
    try:
        pending.extend(pool.submit(make, work) for work in islice(todo, ahead))
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(make, work) for work in islice(todo, 1))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
