"""The ground floor: wording, registry, whole folders, derived randomness."""

import errno
import json
import os

import pytest

from sonoprior.core.checks import at_least, listed, nearest, one_of, within
from sonoprior.core.errors import DataError, FolderError, RecipeError, SonopriorError
from sonoprior.core.folder import (
    kind_of,
    read_json,
    require,
    stamp,
    whole_file,
    whole_folder,
    write_json,
    write_text,
)
from sonoprior.core.randomness import derived_seed, generator
from sonoprior.core.registry import Registry


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (
            lambda: one_of("reduction", "sun", ["sum", "mean"]),
            r"reduction must be one of sum, mean, but got 'sun'. Did you mean 'sum'\?",
        ),
        (lambda: at_least("alpha", -1, 0), "alpha must be at least 0, but got -1"),
        (lambda: at_least("alpha", float("nan"), 0), "alpha must be at least 0, but got nan"),
        (lambda: within("zoom", 1.5, 0, 1), "zoom must lie between 0 and 1, but got 1.5"),
    ],
)
def test_wording(check, message):
    with pytest.raises(SonopriorError, match=message):
        check()


def test_allowed_values_pass():
    assert one_of("reduction", "sum", ["sum"]) == "sum"
    assert at_least("alpha", 2, 0) == 2
    assert within("zoom", 0.5, 0, 1) == 0.5
    assert listed(range(20), most=3) == "0, 1, 2 and 17 more"
    assert nearest("something", ["else"]) == ""


def test_every_error_is_a_value_error():
    assert issubclass(SonopriorError, ValueError)
    assert issubclass(DataError, SonopriorError)


def test_registry_loads_when_used_and_names_the_nearest():
    registry = Registry("losses", {"path": "pathlib:Path", "broken": "no.such:thing"}, RecipeError)
    assert registry.names() == ["broken", "path"]
    assert registry.load("path").__name__ == "Path"
    with pytest.raises(RecipeError, match="the name among losses must be one of broken, path, but got 'pth'"):
        registry.load("pth")


def test_registry_is_open_to_other_packages(monkeypatch):
    from importlib.metadata import EntryPoint

    points = [
        EntryPoint("extra", "json:loads", "sonoprior.losses"),
        EntryPoint("own", "a:b", "sonoprior.losses"),
    ]
    monkeypatch.setattr("sonoprior.core.registry.entry_points", lambda group: points)
    registry = Registry("losses", {"own": "json:dumps"})
    assert registry.load("extra") is json.loads
    assert registry.load("own") is json.dumps


def full_disk(*_args, **_settings):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "a" / "b.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), whole_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(FolderError, match=r"cannot write .*b.txt: No space left on device"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [each.name for each in path.parent.iterdir()] == ["b.txt"]


def test_a_folder_is_whole_or_not_there(tmp_path):
    target = tmp_path / "set"
    with pytest.raises(RuntimeError), whole_folder(target) as building:
        (building / "half").write_text("x")
        raise RuntimeError
    with pytest.raises(FolderError, match="No space left"), whole_folder(target) as building:
        full_disk()
    assert not list(tmp_path.iterdir())
    with whole_folder(target) as building:
        (building / "whole").write_text("x")
    assert [each.name for each in target.iterdir()] == ["whole"]
    with pytest.raises(FolderError, match="exists already; name a new folder"), whole_folder(target):
        pass


def test_what_is_written_can_be_read_by_those_whom_the_umask_allows(tmp_path):
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "page.html", "x")
        with whole_folder(tmp_path / "set") as building:
            (building / "whole").write_text("x")
    finally:
        os.umask(before)
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "set").stat().st_mode & 0o777 == 0o755


def test_a_stamp_tells_kind_and_format(tmp_path):
    stamp(tmp_path, "run", 1)
    assert require(tmp_path, "run", 1)["kind"] == "run"
    with pytest.raises(FolderError, match="must be a study folder, but it is marked as 'run'"):
        require(tmp_path, "study", 1)
    stamp(tmp_path, "run", 3)
    with pytest.raises(
        FolderError, match=r"has format 3, and this version of sonoprior reads up to 1; install a newer"
    ):
        require(tmp_path, "run", 1)
    for wrong in ("1", 0, None, True):
        write_json(tmp_path / "sonoprior.json", {"kind": "run", "format": wrong})
        with pytest.raises(FolderError, match="the format must be a whole number of 1 or more"):
            require(tmp_path, "run", 1)


def test_the_kind_of_a_folder_is_read_from_its_stamp(tmp_path):
    assert kind_of(tmp_path) is None
    stamp(tmp_path, "run", 1)
    assert kind_of(tmp_path) == "run"
    write_text(tmp_path / "sonoprior.json", "[]")
    assert kind_of(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", "[1"])
def test_damaged_json_is_named(tmp_path, content):
    (tmp_path / "sonoprior.json").write_text(content)
    with pytest.raises(FolderError, match=r"sonoprior.json cannot be read as JSON"):
        require(tmp_path, "run", 1)


def test_missing_folders_are_named(tmp_path):
    with pytest.raises(FolderError, match=r"is not a run folder: it has no sonoprior.json"):
        require(tmp_path / "nothing", "run", 1)
    with pytest.raises(FolderError, match="is missing"):
        read_json(tmp_path / "nothing.json")


def test_draws_depend_on_their_purpose_alone():
    first = generator(7, "augment", 3, 12).random(4)
    generator(7, "augment", 3, 11).random(100)
    assert (generator(7, "augment", 3, 12).random(4) == first).all()
    seeds = {derived_seed(7, stream, step) for stream in ("augment", "order") for step in range(100)}
    assert len(seeds) == 200
    assert all(0 <= seed < 2**63 for seed in seeds)
