"""A case base on a network share is refused, wherever below its mount point it would lie."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from sonoprior.casebase import network_shares
from sonoprior.casebase.network_shares import TYPES, refuse_share
from sonoprior.core.errors import FolderError, MissingExtraError


def mounts(monkeypatch, *points):
    parts = [SimpleNamespace(mountpoint=str(path), fstype=kind, opts=opts) for path, kind, opts in points]
    monkeypatch.setattr(network_shares, "_partitions", lambda: parts)


@pytest.mark.parametrize("kind", [*sorted(TYPES), "CIFS"])
def test_a_share_is_refused(tmp_path, monkeypatch, kind):
    mounts(monkeypatch, ("/", "ext4", "rw"), (tmp_path / "share", kind, "rw"))
    with pytest.raises(FolderError, match=rf"share/base lies on a network share \({kind}\), where"):
        refuse_share(tmp_path / "share" / "base")
    refuse_share(tmp_path / "shared")


def test_the_nearest_mount_point_counts_and_of_two_the_later(tmp_path, monkeypatch):
    mounts(monkeypatch, ("/", "nfs", "rw"), (tmp_path, "nfs", "rw"), (tmp_path, "ext4", "rw"))
    refuse_share(tmp_path / "base")
    mounts(monkeypatch, ("/", "ext4", "rw"), (tmp_path, "ext4", "rw"), (tmp_path, "nfs4", "rw"))
    with pytest.raises(FolderError, match="nfs4"):
        refuse_share(tmp_path / "base")


def test_a_link_to_a_share_is_refused(tmp_path, monkeypatch):
    (tmp_path / "share").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "share")
    mounts(monkeypatch, ("/", "ext4", "rw"), (tmp_path / "share", "fuse.sshfs", "rw"))
    with pytest.raises(FolderError, match=r"fuse.sshfs"):
        refuse_share(tmp_path / "link" / "base")


def test_a_drive_of_another_machine_is_refused(tmp_path, monkeypatch):
    mounts(monkeypatch, (tmp_path, "", "rw,remote"))
    with pytest.raises(FolderError, match=r"network share \(remote\)"):
        refuse_share(tmp_path / "base")


def test_nothing_is_refused_where_nothing_is_known(tmp_path, monkeypatch):
    mounts(monkeypatch)
    refuse_share(tmp_path)


def test_the_disks_of_this_machine_are_asked_for(tmp_path):
    assert {Path(part.mountpoint).is_absolute() for part in network_shares._partitions()} == {True}


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psutil", None)
    with pytest.raises(MissingExtraError, match=r"needs psutil .*: pip install 'sonoprior\[runtime\]'"):
        refuse_share(tmp_path)
