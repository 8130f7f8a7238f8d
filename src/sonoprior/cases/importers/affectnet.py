"""AffectNet, the faces of Mollahosseini, Hasani and Mahoor, with eight expressions.

Two layouts are public. One has a folder a part:
`train_set/images/N.jpg` with `train_set/annotations/N_exp.npy` and `N_lnd.npy`, and `val_set` likewise.
The other has a table a part, `Manually_Annotated_file_lists/training.csv` and `validation.csv`, whose column
subDirectory_filePath is relative to `Manually_Annotated_Images`, which may lie in `Manually_Annotated`.

Its own test part was never published; as everywhere in the literature its validation part is the test here.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from sonoprior.cases.info import DatasetInfo
from sonoprior.cases.inside import Inside
from sonoprior.cases.table import read_csv
from sonoprior.core.checks import one_of
from sonoprior.core.errors import DataError
from sonoprior.core.progress import track

from .faces import COUNT, Box, Points, face_columns, face_info
from .files import image_files, require_folder
from .findings import Findings, Found, ImportOptions, LeftOut
from .numpy_file import PickledError, read_numbers
from .records import check_once, records

# In the order of their numbers, from 0.
EXPRESSIONS = (
    "neutral",
    "happiness",
    "sadness",
    "surprise",
    "fear",
    "disgust",
    "anger",
    "contempt",
)
# Numbers of what is none of the eight expressions: none, uncertain, no face.
_NO_EXPRESSION = ("8", "9", "10")

_SETS = {"train_set": "train", "val_set": "test"}
_LISTS = {"training.csv": "train", "validation.csv": "test"}
_LIST_FOLDER = "Manually_Annotated_file_lists"
_IMAGE_FOLDERS = ("Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images")
_COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
)
_INFO = DatasetInfo(
    name="AffectNet",
    about="Faces from the internet, labelled by hand with one of eight expressions; rows labelled as none,"
    " uncertain or no face are not in it.",
    levels={"expression": list(EXPRESSIONS)},
    licence="for non-commercial research, from its authors on request",
    source="Mollahosseini, Hasani and Mahoor, AffectNet: a database for facial expression, valence, and"
    " arousal computing in the wild, IEEE Transactions on Affective Computing 10 (2019)",
    **face_info(),
)


def find_cases(source: Path, options: ImportOptions) -> Findings:
    """Find the images of AffectNet in either layout.

    Args:
        source: the folder with train_set and val_set, or with the folders of the tables and the images.
        options: none apply.

    Raises:
        DataError: if the layout is another one, a row of a table is wrong, an annotation could only be read
            by unpickling, or an option is given.
    """
    options.only("affectnet")
    require_folder(source)
    findings = Findings(_INFO, [])
    sets = {source / name: part for name, part in _SETS.items() if (source / name).is_dir()}
    lists = {source / _LIST_FOLDER / name: part for name, part in _LISTS.items()}
    tables = {path: part for path, part in lists.items() if path.is_file()}
    if not sets and not tables:
        raise DataError(
            f"{source} must hold train_set and val_set, or {_LIST_FOLDER} with training.csv and"
            " validation.csv, but has none."
        )
    for folder, part in sets.items():
        _find_in_set(folder, part, findings)
    for path, part in tables.items():
        findings.cases.extend(_listed(path, part, Inside(_images_of(source))))
    return findings


# A folder a part


def _find_in_set(folder: Path, part: str, findings: Findings) -> None:
    images = image_files(folder / "images")
    for image in track(images, f"Reading the annotations of {folder.name}"):
        annotation = folder / "annotations" / image.stem
        case = f"{folder.name}/{image.stem}"
        labels: dict[str, str] = {}
        columns: dict[str, str] = {"split": part}
        try:
            labels = {"expression": _expression(annotation.with_name(f"{image.stem}_exp.npy"))}
            columns |= face_columns(_landmarks(annotation.with_name(f"{image.stem}_lnd.npy")), None)
        except PickledError:
            raise
        except DataError as error:
            findings.left_out.append(LeftOut(case, str(error)))
        findings.cases.append(Found(case, image, labels, columns=columns))


def _expression(path: Path) -> str:
    number = read_numbers(path)
    if number.size != 1 or not float(number.item()).is_integer():
        raise DataError(f"{path} must hold one whole number, but holds {number.size} numbers.")
    allowed = [str(value) for value in range(len(EXPRESSIONS))]
    value = one_of(f"{path}: the number of the expression", f"{number.item():g}", allowed, DataError)
    return EXPRESSIONS[int(value)]


def _landmarks(path: Path) -> Points:
    values = read_numbers(path)
    if values.size != 2 * COUNT:
        raise DataError(f"{path} must hold {COUNT} landmarks, {2 * COUNT} numbers, but holds {values.size}.")
    if not np.isfinite(values).all():
        raise DataError(f"{path} must hold finite numbers, but some are NaN or infinite.")
    return values.reshape(COUNT, 2)


# A table a part


def _images_of(source: Path) -> Path:
    for name in _IMAGE_FOLDERS:
        if (source / name).is_dir():
            return source / name
    raise DataError(f"{source} must hold the folder {_IMAGE_FOLDERS[0]}, but has none.")


def _listed(path: Path, part: str, images: Inside) -> Iterator[Found]:
    rows = records(read_csv(path), _COLUMNS, path)
    check_once(path, [row["subDirectory_filePath"] for row in rows])
    for number, row in enumerate(rows, start=1):
        if row["expression"] not in _NO_EXPRESSION:
            yield _of_row(row, part, images, f"{path}, row {number}")


def _of_row(row: Mapping[str, str], part: str, images: Inside, where: str) -> Found:
    file = row["subDirectory_filePath"]
    numbers = [str(value) for value in range(len(EXPRESSIONS))]
    number = one_of(f"{where}: the number of the expression", row["expression"], numbers, DataError)
    columns = face_columns(_points_of(row, where), _box_of(row, where)) | {"split": part}
    image = images.path(file, f"{where}, subDirectory_filePath")
    return Found(
        Path(file).with_suffix("").as_posix(),
        image,
        {"expression": EXPRESSIONS[int(number)]},
        columns=columns,
    )


def _points_of(row: Mapping[str, str], where: str) -> Points:
    values = _floats(row["facial_landmarks"].split(";"), f"{where}, facial_landmarks")
    if values.size != 2 * COUNT:
        raise DataError(
            f"{where}, facial_landmarks: must hold {COUNT} landmarks, {2 * COUNT} numbers, but holds"
            f" {values.size}."
        )
    return values.reshape(COUNT, 2)


def _box_of(row: Mapping[str, str], where: str) -> Box:
    cells = [row[name] for name in ("face_x", "face_y", "face_width", "face_height")]
    x, y, width, height = _floats(cells, f"{where}, face_x to face_height").tolist()
    return x, y, x + width, y + height


def _floats(cells: list[str], where: str) -> np.ndarray:
    try:
        values = np.array([float(cell) for cell in cells])
    except ValueError as error:
        raise DataError(f"{where}: must be numbers, but got '{';'.join(cells)[:80]}'.") from error
    if not np.isfinite(values).all():
        raise DataError(f"{where}: must be finite numbers, but some are NaN or infinite.")
    return values
