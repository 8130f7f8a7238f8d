"""Whether a folder lies on a network share, where a database that several processes use comes to harm.

SQLite's write-ahead log lets readers and a writer share memory, which two machines do not have, and it relies
on locks of files, which many network file systems grant to both (https://sqlite.org/wal.html, section 1).
"""

from pathlib import Path
from typing import Any

from sonoprior.core.errors import FolderError, MissingExtraError

TYPES = frozenset(
    {
        *("9p", "afpfs", "afs", "beegfs", "ceph", "cifs", "davfs", "glusterfs", "lustre", "ncpfs"),
        *("nfs", "nfs3", "nfs4", "smb", "smb2", "smb3", "smbfs", "webdav"),
        *("fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
    }
)
"""File systems that lie on another machine, as the operating systems name them."""


def refuse_share(folder: Path) -> None:
    """Refuse a folder on a network share, existing or not.

    Raises:
        FolderError: naming the folder and its file system.
        MissingExtraError: if psutil is not installed.
    """
    kind = _file_system(folder.absolute())
    if kind is not None:
        raise FolderError(
            f"{folder} lies on a network share ({kind}), where several processes that use a case base would"
            " damage it; name a folder on a disk of this machine."
        )


def _file_system(folder: Path) -> str | None:
    """The network file system that holds a folder; None if it is a local one."""
    resolved = folder.resolve()
    if str(resolved).startswith("\\\\"):
        return "a path that begins with \\\\"
    mounted = [(Path(part.mountpoint), part) for part in _partitions()]
    around = [(len(point.parts), part) for point, part in mounted if resolved.is_relative_to(point)]
    if not around:
        return None
    # Of two mounted on one point the later hides the earlier.
    _, part = max(reversed(around), key=lambda each: each[0])
    is_remote = part.fstype.lower() in TYPES or "remote" in part.opts.split(",")
    return (part.fstype or "remote") if is_remote else None


def _partitions() -> list[Any]:
    try:
        import psutil
    except ImportError as error:
        raise MissingExtraError(
            "a case base needs psutil to tell disks from network shares: pip install 'sonoprior[runtime]'."
        ) from error
    return psutil.disk_partitions(all=True)
