"""Work in several processes: each reports on its way, and one that fails or dies takes no other along."""

import multiprocessing
import os
import threading
import traceback
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any, TypeAlias, cast

from sonoprior.core.errors import SonopriorError

Tell = Callable[[int], None]
Work = Callable[..., None]
_KILLED = "its process was ended from outside (exit status {status}); perhaps memory was short"


@dataclass(frozen=True)
class News:
    """What a piece of work reports.

    Attributes:
        name: which piece.
        steps: how many steps it has done, or None when it has ended.
        error: why it failed, one sentence; None if it did not.
        trace: the traceback of an error that nobody foresaw.
    """

    name: str
    steps: int | None = None
    error: str | None = None
    trace: str = ""


Reports: TypeAlias = Generator[News, None, None]


def work_through(
    pieces: Mapping[str, tuple[Any, ...]], work: Work, workers: int, preload: tuple[str, ...] = ()
) -> Reports:
    """Do pieces of work, each in a process of its own, so many at a time.

    Args:
        pieces: name to the arguments of `work`.
        work: called as `work(tell, *arguments)` in the process; `tell(steps)` reports. A function of a
            module, and arguments that can be sent to another process.
        workers: processes at a time.
        preload: modules that every process will need; imported once where the system allows.

    Yields:
        News as they come, the last of each piece with `steps` None.
    """
    context = _context(preload)
    waiting = list(pieces.items())
    running: dict[Connection, tuple[str, BaseProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                name, arguments = waiting.pop(0)
                connection, process = _start(context, work, arguments)
                running[connection] = (name, process)
            for connection in wait(list(running)):
                yield from _news(cast("Connection", connection), running)
    finally:
        for _, process in running.values():
            process.terminate()
            process.join()


def _context(preload: tuple[str, ...]) -> BaseContext:
    """Fork from a server that has imported what is slow to import; start afresh where there is none."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


def _start(context: BaseContext, work: Work, arguments: tuple[Any, ...]) -> tuple[Connection, BaseProcess]:
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_in_process, args=(sending, work, arguments))  # pyright: ignore[reportAttributeAccessIssue]
    process.start()
    sending.close()
    return receiving, process  # pyright: ignore[reportReturnType]  (on Windows the pipe is of another class)


def _in_process(sending: Connection, work: Work, arguments: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work(sending.send, *arguments)
    except BaseException as error:
        sending.send(described(error))
        raise SystemExit(1) from error


def _end_with_parent() -> None:
    """End this process with the one that it works for: nobody hears it, and the next try wants its folder."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # always so in a process that `multiprocessing` started
    wait([parent.sentinel])
    os._exit(1)


def described(error: BaseException) -> tuple[str, str]:
    """What to report of an error: one sentence, and the traceback if nobody foresaw it."""
    if isinstance(error, SonopriorError):
        return str(error), ""
    return f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error))


def _news(connection: Connection, running: dict[Connection, tuple[str, BaseProcess]]) -> Reports:
    name, process = running[connection]
    try:
        message = connection.recv()
    except EOFError:
        del running[connection]
        process.join()
        if process.exitcode not in (0, 1):
            yield News(name, error=_KILLED.format(status=process.exitcode))
        elif process.exitcode == 0:
            yield News(name)
        return
    if isinstance(message, int):
        yield News(name, steps=message)
    else:
        yield News(name, error=message[0], trace=message[1])
