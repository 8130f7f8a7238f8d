import errno
import json
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from sonoprior.cases import CaseSet, PriorSpec
from sonoprior.cases.loading import Cache, cache, source
from sonoprior.cases.loading.rows import RowWriter, open_rows
from sonoprior.core.errors import DataError, FolderError, RecipeError

EACH = PriorSpec(grouping="each")


def build(case_set, folder, size=32, priors=EACH, seed=0):
    return Cache.build(case_set, folder, size=size, priors=priors, seed=seed)


def only(folder):
    """The one cache in a folder, and nothing hidden beside it."""
    (found,) = folder.iterdir()
    return found


def test_cached_images_are_opencvs_area_resize_centred_on_black(sides, tmp_path):
    built = build(sides, tmp_path)
    assert built.images.shape == (23, 48, 48)
    assert isinstance(built.images, np.memmap)
    for k in (0, 4, 22):
        image = sides.read_image(k)
        height, width = (round(n * 48 / max(image.shape)) for n in image.shape)
        top, left = (48 - height) // 2, (48 - width) // 2
        expected = np.zeros((48, 48), np.uint8)
        expected[top : top + height, left : left + width] = cv2.resize(
            image, (width, height), interpolation=cv2.INTER_AREA
        )
        assert np.array_equal(built.images[k], expected)


def test_absent_and_empty_are_kept_apart_and_only_present_maps_are_stored(sides, tmp_path):
    built = build(sides, tmp_path)
    assert built.priors == ["left lobe", "right lobe", "isthmus"]
    assert np.flatnonzero(built.row >= 0).tolist() == [0, 5, 7, 10, 15, 20]
    assert built.maps.shape == (6, 3, 48, 48)
    assert built.present[0].tolist() == [True, False, True]
    assert built.present[5].tolist() == [True, False, False]
    assert built.present[7].tolist() == [True, False, False]
    assert not built.present[1].any()
    assert not built.maps[built.row[7]].any()
    assert built.maps[built.row[5]].any((1, 2)).tolist() == [True, False, False]
    assert built.maps.max() == 255


def test_maps_lie_where_the_outline_is(sides, tmp_path):
    built = build(sides, tmp_path)
    outline = cv2.resize(
        sides.outline(0, "left lobe").astype(np.float32), (48, 36), interpolation=cv2.INTER_AREA
    )
    assert built.maps[built.row[0], 0, 6:42] == pytest.approx(outline * 255, abs=0.51)


def test_without_priors_no_maps(sides, tmp_path):
    built = build(sides, tmp_path, priors=None)
    assert built.priors == []
    assert built.present.shape == (23, 0)
    assert (built.row == -1).all()
    assert built.maps.shape == (0, 0, 48, 48)


def test_a_cache_is_written_once_and_then_opened(sides, tmp_path, monkeypatch):
    first = build(sides, tmp_path)
    monkeypatch.setattr(CaseSet, "read_image", lambda *_: pytest.fail("decoded again"))
    second = build(sides, tmp_path, seed=9)  # nothing is drawn, so the seed changes nothing
    assert np.array_equal(first.images, second.images)
    only(tmp_path)


def test_what_makes_another_cache(sides, make_sides, tmp_path):
    own = make_sides(tmp_path / "set")
    folder = tmp_path / "caches"
    noisy = PriorSpec(grouping="each", noise=2.0)
    settings = [{}, {"size": 40}, {"priors": None}, {"priors": PriorSpec()}, {"priors": noisy}]
    for count, setting in enumerate([*settings, {"priors": noisy, "seed": 1}], start=1):
        build(own, folder, **setting)
        assert len(list(folder.iterdir())) == count
    image = own.image_path(3)
    os.utime(image, ns=(1, 1))
    build(CaseSet.open(own.root), folder)
    build(own.subset([3, 1]), folder)
    assert len(list(folder.iterdir())) == 8


def test_the_order_of_a_grouping_makes_another_cache(sides, tmp_path):
    groups = {"a": ["left lobe"], "b": ["isthmus"]}
    for grouping in (groups, dict(reversed(groups.items()))):
        built = build(sides, tmp_path, priors=PriorSpec(grouping=grouping))
        assert built.priors == list(grouping)
        assert built.present[5].tolist() == [name == "a" for name in grouping]


def test_groups_name_their_members(sides, tmp_path):
    for grouping, groups in [
        ("lobes", {"lobes": ["left lobe", "right lobe"], "isthmus": ["isthmus"]}),
        ("each", {zone: [zone] for zone in sides.info.zones}),
        ({"mine": ["isthmus"]}, {"mine": ["isthmus"]}),
    ]:
        assert build(sides, tmp_path, priors=PriorSpec(grouping=grouping)).groups == groups
    assert build(sides, tmp_path, priors=None).groups == {}


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: os.truncate(folder / "images.npy", 5000),
        lambda folder: os.truncate(folder / "maps.npy", 20),
        lambda folder: (folder / "row.npy").unlink(),
        lambda folder: (folder / "present.npy").write_bytes(b""),
        lambda folder: np.save(folder / "row.npy", np.zeros(23, np.int32)),
        lambda folder: np.save(folder / "images.npy", np.zeros((23, 8, 8), np.uint8)),
    ],
)
def test_a_damaged_cache_is_written_anew(sides, tmp_path, damage):
    before = np.array(build(sides, tmp_path).images)
    damage(only(tmp_path))
    assert np.array_equal(build(sides, tmp_path).images, before)
    only(tmp_path)


def test_a_damaged_cache_that_cannot_be_removed_is_refused(sides, tmp_path, monkeypatch):
    def refused(_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    build(sides, tmp_path)
    (only(tmp_path) / "row.npy").unlink()
    monkeypatch.setattr(shutil, "rmtree", refused)
    with pytest.raises(FolderError, match=r"cannot remove the damaged cache .*: Permission denied\."):
        build(sides, tmp_path)


def test_a_cache_that_was_written_meanwhile_but_is_damaged_is_refused(sides, tmp_path, monkeypatch):
    build(sides, tmp_path)
    os.truncate(only(tmp_path) / "row.npy", 3)
    monkeypatch.setattr(cache, "_complete", lambda *_: True)
    with pytest.raises(FolderError, match=r"the cache .* is damaged \(.*\); remove it"):
        build(sides, tmp_path)
    np.save(only(tmp_path) / "row.npy", np.zeros(3, np.int32))
    with pytest.raises(FolderError, match=r"is damaged \(its arrays do not fit together\); remove it"):
        build(sides, tmp_path)


def test_a_folder_that_is_not_ours_and_a_newer_format_are_refused(sides, tmp_path):
    build(sides, tmp_path)
    stamp = only(tmp_path) / "sonoprior.json"
    stamp.write_text(json.dumps({"kind": "cache", "format": 2}))
    with pytest.raises(
        FolderError, match="this cache has format 2, and this version of sonoprior reads up to 1"
    ):
        build(sides, tmp_path)
    stamp.write_text(json.dumps({"kind": "run", "format": 1}))
    with pytest.raises(FolderError, match="must be a cache folder, but it is marked as 'run'"):
        build(sides, tmp_path)
    stamp.unlink()
    with pytest.raises(FolderError, match=r"is not a cache folder: it has no sonoprior\.json"):
        build(sides, tmp_path)
    assert (only(tmp_path) / "images.npy").exists()


def test_a_size_too_small_and_a_set_without_cases_are_refused(sides, tmp_path):
    with pytest.raises(RecipeError, match="size must be at least 16, but got 8"):
        build(sides, tmp_path, size=8)
    with pytest.raises(DataError, match="has no cases to load"):
        build(sides.subset([]), tmp_path)


def test_few_cases_are_held_in_memory_at_once(sides, tmp_path, monkeypatch):
    read, most = [], []
    original_read, original_append = CaseSet.read_image, RowWriter.append
    monkeypatch.setattr(source, "_AHEAD", 2)
    monkeypatch.setattr(CaseSet, "read_image", lambda *given: read.append(1) or original_read(*given))

    def append(self, row):
        most.append(len(read) - len(most))
        original_append(self, row)

    monkeypatch.setattr(RowWriter, "append", append)
    built = build(sides, tmp_path, priors=None)
    assert len(read) == len(most) == len(built.images)
    assert max(most) <= 2 * os.cpu_count()


def test_an_image_that_cannot_be_read_leaves_nothing_behind(make_sides, tmp_path):
    own = make_sides(tmp_path / "set")
    own.image_path(3).write_bytes(b"no image")
    with pytest.raises(DataError, match="case3"):
        build(own, tmp_path / "caches")
    assert not any((tmp_path / "caches").iterdir())


def test_a_disk_that_fills_up_leaves_nothing_behind(sides, tmp_path, monkeypatch):
    def full(self, row):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(RowWriter, "append", full)
    with pytest.raises(FolderError, match=r"cannot write .*: No space left on device\."):
        build(sides, tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    folder, mount = tmp_path / "disk", shutil.which("mount")
    folder.mkdir()
    if mount is None or os.geteuid() != 0:
        pytest.skip("needs root and mount")
    command = [mount, "-t", "tmpfs", "-o", "size=64k", "none", folder]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_really_full_disk_leaves_nothing_behind(sides, small_disk):
    with pytest.raises(FolderError, match=r"cannot write .*: No space left on device\."):
        build(sides, small_disk, size=64)
    assert not any(small_disk.iterdir())


BUILD = """
import sys
from pathlib import Path
from sonoprior.cases import CaseSet, PriorSpec
from sonoprior.cases.loading import Cache
case_set, spec = CaseSet.open(sys.argv[1]), PriorSpec(grouping="each")
input()
print(Cache.build(case_set, Path(sys.argv[2]), size=32, priors=spec).images.sum())
"""


def test_two_processes_may_build_the_same_cache_at_once(sides, tmp_path):
    command = [sys.executable, "-c", BUILD, sides.root, tmp_path / "caches"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    builders = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for builder in builders:
        builder.stdin.write("go\n")
        builder.stdin.flush()
    sums = [int(builder.communicate(timeout=60)[0]) for builder in builders]
    assert sums == [build(sides, tmp_path / "caches").images.sum()] * 2
    only(tmp_path / "caches")


def test_the_loser_of_a_race_takes_the_winners_cache(sides, tmp_path, monkeypatch):
    original = cache._write_arrays

    def raced(folder, source):
        original(folder, source)
        monkeypatch.setattr(cache, "_write_arrays", original)
        build(sides, tmp_path)  # the other process finishes first

    monkeypatch.setattr(cache, "_write_arrays", raced)
    assert build(sides, tmp_path).images.any()
    only(tmp_path)


def test_rows_read_back_as_numpy_wrote_them(tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (1100, 2, 3), dtype=np.uint8)
    with RowWriter(tmp_path / "rows.npy", (2, 3)) as writer:
        for row in rows:
            writer.append(row)
    assert np.array_equal(np.load(tmp_path / "rows.npy", allow_pickle=False), rows)
    assert np.array_equal(open_rows(tmp_path / "rows.npy"), rows)


def test_maps_may_be_kept_at_a_lower_resolution(sides, tmp_path):
    whole = build(sides, tmp_path)
    coarse = build(sides, tmp_path, priors=PriorSpec(grouping="each", resolution=0.25))
    assert coarse.maps.shape == (6, 3, 12, 12)
    assert np.array_equal(coarse.images, whole.images)
    averaged = whole.maps.reshape(6, 3, 12, 4, 12, 4).mean((3, 5))
    assert np.abs(coarse.maps.astype(float) - averaged).mean() < 8
    # Read again, and not taken for damaged.
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    build(sides, tmp_path, priors=PriorSpec(grouping="each", resolution=0.25))
    assert before == {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
