"""Cine clips in video files: their frames become cases, of one exam.

The clips of a folder are one exam; a clip that lies in no folder is an exam of its own. Where folders are
classes (`labels`), the exam is the folder below the class.
"""

from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from sonoprior.cases.images import Grey
from sonoprior.cases.info import make_info
from sonoprior.core.errors import DataError

from .files import names_without_suffix, reading_order, require_folder
from .findings import Findings, Found, ImportOptions, LeftOut
from .frames import Frame, Reel, chosen_frames
from .labels import BY_FOLDERS, Labels, read_labels

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm"})
_MOST_BYTES = 8 * 1024**3
_MOST_PIXELS = 64 * 1024**2
# The decoder goes by the content and not by the name, and some contents are lists of other files, or of
# addresses in a network. So a file must begin like one of the containers above.
_AVI, _MATROSKA = (b"RIFF", b"AVI "), b"\x1a\x45\xdf\xa3"
_ISO_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})


def find_cases(source: Path, options: ImportOptions) -> Findings:
    """Find the frames of the clips below a folder.

    Args:
        source: the folder.
        options: `every`, `labels` and `columns` apply.

    Raises:
        DataError: if there is no clip, or an option is wrong.
    """
    options.only("clips", "every", "labels", "columns")
    clips = _clips(require_folder(source))
    if not clips:
        raise DataError(f"{source} must hold clips ({', '.join(sorted(SUFFIXES))}), but has none.")
    labels = read_labels(options, [clip.as_posix() for clip in clips])
    info = make_info({"name": source.resolve().name, "levels": labels.levels}, str(source))
    findings = Findings(info, [], list(labels.left_out))
    reel = Reel(_Video)
    for clip, name in names_without_suffix(clips).items():
        path = source / clip
        try:
            numbers = chosen_frames(_Video(path).count, options, path)
        except DataError as error:
            findings.left_out.append(LeftOut(str(path), str(error)))
            continue
        frames = [Frame(reel, path, number) for number in numbers]
        exam = _exam(name, by_class=options.labels == BY_FOLDERS)
        findings.cases.extend(_found(frame, clip, name, exam, labels) for frame in frames)
    return findings


def _clips(source: Path) -> list[Path]:
    found = [path.relative_to(source) for path in source.rglob("*") if path.suffix.lower() in SUFFIXES]
    visible = [path for path in found if not any(part.startswith(".") for part in path.parts)]
    return sorted(visible, key=lambda path: reading_order(path.as_posix()))


def _exam(name: str, *, by_class: bool) -> str:
    parts = PurePosixPath(name).parts
    folders = parts[1:-1] if by_class else parts[:-1]
    return "/".join(folders) or name


def _found(frame: Frame, clip: Path, name: str, exam: str, labels: Labels) -> Found:
    label, columns = labels.of(clip.as_posix())
    own = {"exam": exam, "clip": name, "frame": str(frame.number)}
    return Found(f"{name}/{frame.number:05}", frame, label, columns=own | columns)


class _Video:
    """A video file, read frame by frame.

    Args:
        path: of the file.

    Raises:
        DataError: if it is missing, too large, in none of the known containers, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._capture = _opened(path)
        self._next = 0

    @property
    def count(self) -> int:
        """How many frames the header promises."""
        return int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))

    def frame(self, number: int) -> Grey:
        """One frame; asking for them in order decodes each once.

        Raises:
            DataError: if it cannot be decoded.
        """
        if number < self._next:
            self._capture, self._next = _opened(self._path), 0
        colours = None
        while self._next <= number:
            grabbed = self._capture.grab()
            self._next += 1
            colours = self._capture.retrieve()[1] if grabbed and self._next > number else None
        if colours is None:
            raise DataError(f"{self._path}, frame {number} cannot be decoded.")
        return np.asarray(cv2.cvtColor(colours, cv2.COLOR_BGR2GRAY), np.uint8)


def _opened(path: Path) -> cv2.VideoCapture:
    _check_file(path)
    capture = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise DataError(f"{path} is damaged, or in a format that this machine cannot decode.")
    width, height = (int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if width * height > _MOST_PIXELS:
        raise DataError(
            f"{path} must not have more than {_MOST_PIXELS:,} pixels a frame, but has {width} x {height}."
        )
    return capture


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise DataError(f"{path} is missing or is not a file.")
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise DataError(f"{path} must not be larger than {_MOST_BYTES:,} bytes, but has {size:,}.")
    with path.open("rb") as file:
        start = file.read(12)
    is_avi = (start[:4], start[8:]) == _AVI
    if not (is_avi or start[:4] == _MATROSKA or start[4:8] in _ISO_BOXES):
        raise DataError(f"{path} must be an MP4, MOV, AVI, MKV or WebM file, but is none.")
