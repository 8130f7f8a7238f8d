"""A bundle as a folder: its files with their digests, written whole and checked when opened."""

from hashlib import file_digest
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sonoprior.core.errors import FolderError
from sonoprior.core.folder import STAMP, read_json, require, stamp, write_json

from .manifest import FILE, FORMAT, KIND, Manifest


def seal(folder: Path, said: dict[str, Any]) -> Manifest:
    """Write the manifest of a folder whose other files are all there, and stamp it.

    Args:
        folder: of the files; all of them become part of the bundle.
        said: the fields of `Manifest` but `files`.
    """
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    manifest = Manifest(**said, files={name: _digest(folder / name) for name in names})
    write_json(folder / FILE, manifest.model_dump())
    stamp(folder, KIND, FORMAT)
    return manifest


def open_bundle(folder: Path) -> Manifest:
    """The manifest of a bundle, every file of which is there and as it was written.

    Raises:
        FolderError: if it is no bundle, is of a newer format, or a file is missing, damaged, or not a plain
            file below the folder.
    """
    require(folder, KIND, FORMAT)
    try:
        manifest = Manifest.model_validate(read_json(folder / FILE))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise FolderError(f"{folder / FILE} is damaged: '{field}': {first['msg']}.") from error
    root = folder.resolve()
    for name, digest in manifest.files.items():
        path = folder / name
        if not path.resolve().is_relative_to(root):
            raise FolderError(f"{folder / FILE} names '{name}', which lies outside of the bundle.")
        if not path.is_file():
            raise FolderError(f"{path} is missing; the bundle cannot be used without it.")
        if _digest(path) != digest:
            raise FolderError(f"{path} is damaged: it is not the file that was exported.")
    return manifest


def parts_of(folder: Path, manifest: Manifest) -> list[Path]:
    """Every file of a bundle, to be copied."""
    return [folder / name for name in (*manifest.files, FILE, STAMP)]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
