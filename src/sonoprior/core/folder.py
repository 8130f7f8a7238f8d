"""Folders that the project writes: whole or not at all, stamped with a kind and a format version."""

import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from typing import Any

from .errors import FolderError

STAMP = "sonoprior.json"


def _beside(path: Path) -> Path:
    """A hidden name of its own in the same folder, so that a rename never crosses a file system."""
    return path.with_name(f".{path.stem}.{token_hex(6)}{path.suffix}")


@contextmanager
def whole_file(path: Path) -> Generator[Path, None, None]:
    """Give a temporary path beside `path`; on success it takes the place of `path` in one step.

    A kill, an error or a full disk leaves the old file as it was and nothing new behind.
    """
    temporary = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise FolderError(f"cannot write {path}: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all, in UTF-8."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: object) -> None:
    """Write JSON whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON that the project wrote.

    Raises:
        FolderError: if the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FolderError(f"{path} is missing.") from error
    except (OSError, ValueError) as error:
        raise FolderError(f"{path} cannot be read as JSON: {error}.") from error


@contextmanager
def whole_folder(target: Path) -> Generator[Path, None, None]:
    """Give an empty folder beside `target`; on success it becomes `target`, on failure it vanishes.

    Raises:
        FolderError: if `target` exists and is not an empty folder, or cannot be written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FolderError(f"{target} exists already; name a new folder or remove that one first.")
    building = _beside(target)
    try:
        building.mkdir(parents=True)
        yield building
        if target.exists():
            target.rmdir()
        building.replace(target)
    except OSError as error:
        raise FolderError(f"cannot write {target}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def stamp(folder: Path, kind: str, format_version: int) -> None:
    """Mark a folder as a `kind` in this format version."""
    write_json(folder / STAMP, {"kind": kind, "format": format_version, "sonoprior": version("sonoprior")})


def require(folder: Path, kind: str, format_version: int) -> dict[str, Any]:
    """The stamp of a folder, if it is a `kind` that this version can read.

    Raises:
        FolderError: if the folder is missing, is something else, or was written by a newer version.
    """
    if not (folder / STAMP).is_file():
        raise FolderError(f"{folder} is not a {kind} folder: it has no {STAMP}.")
    found = read_json(folder / STAMP)
    if not isinstance(found, dict) or found.get("kind") != kind:
        came = found.get("kind") if isinstance(found, dict) else found
        raise FolderError(f"{folder} must be a {kind} folder, but it is marked as '{came}'.")
    refuse_newer(folder / STAMP, kind, found.get("format"), format_version)
    return found


def kind_of(folder: Path) -> str | None:
    """What a folder is marked as, such as "run"; None where it is marked as nothing."""
    found = read_json(folder / STAMP) if (folder / STAMP).is_file() else None
    return found.get("kind") if isinstance(found, dict) else None


def refuse_newer(where: Path, kind: str, found: object, known: int) -> None:
    """Refuse a format version that this version of the project does not know.

    Raises:
        FolderError: if `found` is not a whole number from 1 to `known`.
    """
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise FolderError(f"{where}: the format must be a whole number of 1 or more, but got {found!r}.")
    if found > known:
        raise FolderError(
            f"{where}: this {kind} has format {found}, and this version of sonoprior reads up to"
            f" {known}; install a newer sonoprior."
        )
