from pathlib import Path

import cv2
import numpy as np
import pytest

from import_trees import reasons, run, text
from sonoprior.core.errors import DataError

SHAPE = (48, 64)


def level(number: int) -> np.ndarray:
    """A frame that tells its number, and top from bottom."""
    frame = np.full(SHAPE, 20 + 10 * number, np.uint8)
    frame[:8] = 0
    return frame


def film(path: Path, frames: int = 7, code: str = "FFV1") -> Path:
    """A clip; FFV1 loses nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*code), 10, SHAPE[::-1])
    assert writer.isOpened()
    for number in range(frames):
        writer.write(cv2.cvtColor(level(number), cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


@pytest.fixture
def clips(tmp_path):
    film(tmp_path / "in" / "uterus" / "exam1" / "long.avi")
    film(tmp_path / "in" / "uterus" / "exam1" / "trans.AVI", 3)
    film(tmp_path / "in" / "ovary" / "exam1" / "left.avi", 2)
    film(tmp_path / "in" / "ovary" / "alone.avi", 1)
    return tmp_path / "in"


def test_frames_become_cases_of_one_exam(clips, tmp_path):
    report, case_set = run("clips", clips, tmp_path / "out")
    assert report.cases == len(case_set) == 13
    assert report.left_out == []
    long = [i for i, clip in enumerate(case_set.column("clip")) if clip == "uterus/exam1/long"]
    assert [case_set.column("frame")[i] for i in long] == [str(n) for n in range(7)]
    assert case_set.ids[long[3]] == "uterus/exam1/long/00003"
    for number, i in enumerate(long):
        assert np.array_equal(case_set.read_image(i), level(number))
    assert set(case_set.column("exam")) == {"uterus/exam1", "ovary/exam1", "ovary"}
    assert set(case_set.groups()) == {"exam:uterus/exam1", "exam:ovary/exam1", "exam:ovary"}


def test_every_third_frame(clips, tmp_path):
    _, case_set = run("clips", clips, tmp_path / "out", every=3)
    frames = list(zip(case_set.column("clip"), case_set.column("frame"), strict=True))
    assert [frame for clip, frame in frames if clip == "uterus/exam1/long"] == ["0", "3", "6"]
    i = case_set.ids.index("uterus/exam1/long/00006")
    assert np.array_equal(case_set.read_image(i), level(6))


def test_where_folders_are_classes_an_exam_spans_them(clips, tmp_path):
    _, case_set = run("clips", clips, tmp_path / "out", labels="folders", every=9)
    assert case_set.classes() == ["ovary", "uterus"]
    assert dict(zip(case_set.ids, case_set.column("exam"), strict=True)) == {
        "ovary/alone/00000": "ovary/alone",
        "ovary/exam1/left/00000": "exam1",
        "uterus/exam1/long/00000": "exam1",
        "uterus/exam1/trans/00000": "exam1",
    }


def test_labels_and_patients_from_a_csv(clips, tmp_path):
    table = text(tmp_path / "t.csv", "image,label.view,patient,exam\nuterus/exam1/long.avi,u,7,e9\n")
    _, case_set = run("clips", clips, tmp_path / "out", labels=str(table), every=5)
    at = [case_set.ids.index(f"uterus/exam1/long/{n:05}") for n in (0, 5)]
    assert [case_set.column("patient")[i] for i in at] == ["7", "7"]
    assert [case_set.column("exam")[i] for i in at] == ["e9", "e9"]
    assert (case_set.labels("view") >= 0).sum() == 2


def test_an_mp4_is_read_too(tmp_path):
    film(tmp_path / "in" / "a.mp4", 4, "mp4v")
    _, case_set = run("clips", tmp_path / "in", tmp_path / "out")
    assert case_set.column("exam").tolist() == ["a"] * 4
    assert abs(case_set.read_image(3)[20:].mean() - 50) < 4


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "must be an MP4, MOV, AVI, MKV or WebM file, but is none"),
        (b"#EXTM3U\n#EXTINF:1\n/etc/passwd\n", "must be an MP4, MOV, AVI, MKV or WebM file, but is none"),
        (
            b"ffconcat version 1.0\nfile other.avi\n",
            "must be an MP4, MOV, AVI, MKV or WebM file, but is none",
        ),
        (
            b"RIFF\x00\x00\x00\x00AVI " + bytes(99),
            "is damaged, or in a format that this machine cannot decode",
        ),
    ],
)
def test_a_damaged_clip_is_listed(clips, tmp_path, content, reason):
    (clips / "ovary" / "alone.avi").write_bytes(content)
    report, case_set = run("clips", clips, tmp_path / "out")
    assert len(case_set) == 12
    assert f"alone.avi {reason}" in reasons(report)
    with pytest.raises(DataError):
        run("clips", clips, tmp_path / "strict", strict=True)
    assert not (tmp_path / "strict").exists()


def test_a_clip_that_ends_early_gives_the_frames_it_has(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (12, *SHAPE), dtype=np.uint8)
    monkeypatch.setattr(f"{__name__}.level", lambda number: noise[number])
    path = film(tmp_path / "in" / "a.avi", 12)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    report, case_set = run("clips", tmp_path / "in", tmp_path / "out")
    assert 5 <= len(case_set) <= 9
    assert all(np.array_equal(case_set.read_image(i), noise[i]) for i in range(5))
    assert len(report.left_out) == 12 - len(case_set)
    assert "a.avi, frame 11 cannot be decoded" in reasons(report)


@pytest.mark.parametrize(
    ("bound", "value", "reason"),
    [
        ("clips._MOST_BYTES", 100, "must not be larger than 100 bytes"),
        ("clips._MOST_PIXELS", 100, "must not have more than 100 pixels a frame, but has 64 x 48"),
        ("frames.MOST_FRAMES", 5, "must have between 1 and 5 frames, but says it has 7"),
    ],
)
def test_a_huge_clip_is_listed(clips, tmp_path, monkeypatch, bound, value, reason):
    film(tmp_path / "big" / "a.avi")
    monkeypatch.setattr(f"sonoprior.cases.importers.{bound}", value)
    with pytest.raises(DataError, match=f"none of the images .* the first: .*{reason}"):
        run("clips", tmp_path / "big", tmp_path / "out")


def test_no_clip_and_a_wrong_step_are_refused(clips, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"must hold clips \(\.avi, .*\), but has none"):
        run("clips", tmp_path / "none", tmp_path / "out")
    with pytest.raises(DataError, match="--every must be at least 1, but got 0"):
        run("clips", clips, tmp_path / "out", every=0)


def test_frames_may_be_asked_for_in_any_order(tmp_path):
    from sonoprior.cases.importers.clips import _Video
    from sonoprior.cases.importers.frames import Frame, Reel

    path, other = film(tmp_path / "a.avi"), film(tmp_path / "b.avi", 2)
    reel = Reel(_Video)
    for number in (4, 1, 6, 0):
        assert np.array_equal(Frame(reel, path, number).read(), level(number))
        assert np.array_equal(Frame(reel, other, 1).read(), level(1))
    with pytest.raises(DataError, match=r"a\.avi, frame 7 cannot be decoded"):
        Frame(reel, path, 7).read()


def test_a_stop_leaves_nothing_behind(clips, tmp_path, monkeypatch):
    from sonoprior.cases.importers import frames

    read = frames.Frame.read

    def stopped(self):
        if self.number == 5:
            raise KeyboardInterrupt
        return read(self)

    monkeypatch.setattr(frames.Frame, "read", stopped)
    with pytest.raises(KeyboardInterrupt):
        run("clips", clips, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
