"""DICOM files: still images, and multi-frame clips whose frames become cases of one exam.

Patient, exam, series and instance are PatientID, StudyInstanceUID, SeriesInstanceUID and SOPInstanceUID, by
default as pseudonyms; nothing else of a header comes along but the model of the machine and whether
annotations are burnt into the pixels. Names of files, which often hold a patient's, do not come along either.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sonoprior.cases.info import make_info
from sonoprior.core.errors import DataError
from sonoprior.core.progress import track

from .dicom_pixels import DicomFilm, Header, read_header
from .files import reading_order, require_folder
from .findings import Findings, Found, ImportOptions, LeftOut
from .frames import Frame, Reel, chosen_frames
from .labels import Labels, read_labels
from .pseudonyms import Pseudonyms, pseudonyms_of

_SUFFIXES = frozenset({"", ".dcm", ".dicom", ".ima"})
_DIRECTORY = "DICOMDIR"
_BURNED_IN = {"YES": "yes", "NO": "no"}


def find_cases(source: Path, options: ImportOptions) -> Findings:
    """Find the images and frames of the DICOM files below a folder.

    Args:
        source: the folder; its files are named .dcm, .dicom, .ima, or have no suffix.
        options: `every`, `labels`, `columns`, `keep_identifiers` and `salt` apply.

    Raises:
        DataError: if there is no such file, or an option is wrong.
    """
    options.only("dicom", "every", "labels", "columns", "keep_identifiers", "salt")
    files = _files(require_folder(source))
    if not files:
        raise DataError(f"{source} must hold DICOM files (.dcm, .dicom, .ima or no suffix), but has none.")
    labels = read_labels(options, [file.as_posix() for file in files])
    reader = _Reader(source, options, labels, pseudonyms_of(options), Reel(DicomFilm))
    cases: list[Found] = []
    left_out = list(labels.left_out)
    first: dict[str, Path] = {}
    burned_in: Counter[str] = Counter()
    for file in track(files, "Reading headers"):
        try:
            header = read_header(source / file)
            frames = reader.found(file, header)
        except DataError as error:
            left_out.append(LeftOut(str(file), str(error)))
            continue
        if first.setdefault(header.instance, file) != file:
            said = f"{source / file} is a copy of {source / first[header.instance]}."
            left_out.append(LeftOut(str(file), said))
            continue
        cases.extend(frames)
        burned_in[header.burned_in] += 1
    about = (
        f"From DICOM. Annotations are burnt into the pixels: {burned_in['YES']} files say so,"
        f" {burned_in['NO']} deny it, {burned_in.total() - burned_in['YES'] - burned_in['NO']} do not say."
    )
    info = make_info({"name": "DICOM", "about": about, "levels": labels.levels}, str(source))
    return Findings(info, cases, left_out)


def _files(source: Path) -> list[Path]:
    found = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
    likely = [
        path
        for path in found
        if path.suffix.lower() in _SUFFIXES
        and path.name != _DIRECTORY
        and not any(part.startswith(".") for part in path.parts)
    ]
    return sorted(likely, key=lambda path: reading_order(path.as_posix()))


@dataclass(frozen=True)
class _Reader:
    source: Path
    options: ImportOptions
    labels: Labels
    pseudonyms: Pseudonyms
    reel: Reel

    def found(self, file: Path, header: Header) -> list[Found]:
        """The image or the frames of a file.

        Raises:
            DataError: if it has too many frames.
        """
        path = self.source / file
        label, more = self.labels.of(file.as_posix())
        columns = self._columns(header) | more
        case = self.pseudonyms.of("instance", header.instance)
        if header.frames == 1:
            return [Found(case, Frame(self.reel, path, 0), label, columns=columns)]
        # A series may hold several clips.
        clip = f"{self.pseudonyms.of('series', header.series)}/{case}" if header.series else case
        return [
            Found(
                f"{case}/{number:05}",
                Frame(self.reel, path, number),
                label,
                columns={"clip": clip, "frame": str(number)} | columns,
            )
            for number in chosen_frames(header.frames, self.options, path)
        ]

    def _columns(self, header: Header) -> dict[str, str]:
        named = {"patient": header.patient, "exam": header.study, "series": header.series}
        hidden = {kind: self.pseudonyms.of(kind, text) for kind, text in named.items() if text}
        if "series" in hidden:
            hidden["extra.series"] = hidden.pop("series")
        known = {"device": header.model, "extra.burned_in": _BURNED_IN.get(header.burned_in, "")}
        return hidden | {column: text for column, text in known.items() if text}
