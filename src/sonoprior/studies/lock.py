"""One process at a time in a folder.

The locks are those of the operating system, so they end with the process that holds them, even if it is
killed; the hidden files that bear them stay, and mean nothing.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sonoprior.core.errors import FolderError

# A process that nobody listens to any more notices it after its epoch.
PATIENCE_S = 1800.0


@contextmanager
def only_process(folder: Path) -> Generator[None, None, None]:
    """Hold a study folder for this process.

    Raises:
        FolderError: if another process holds it.
    """
    with _held(folder / ".lock", folder, 0):
        yield


@contextmanager
def only_trainer(study: Path, run: Path, patience_s: float = PATIENCE_S) -> Generator[None, None, None]:
    """Hold a run folder, once whoever was given up with it has let it go.

    Args:
        study: the folder that the run belongs to.
        run: the run folder in it; it may not exist yet.
        patience_s: seconds to wait.

    Raises:
        FolderError: if another process still holds it then.
    """
    inside = run.relative_to(study)
    with _held(study / ".locks" / inside.with_name(f"{inside.name}.lock"), run, patience_s):
        yield


@contextmanager
def _held(path: Path, folder: Path, patience_s: float) -> Generator[None, None, None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=patience_s)
    try:
        lock.acquire()
    except Timeout as error:
        raise FolderError(
            f"another process is training in {folder}; wait until it has ended, or name a new folder."
        ) from error
    except OSError as error:
        raise FolderError(f"cannot write {path}: {error.strerror or error}.") from error
    try:
        yield
    finally:
        lock.release()
