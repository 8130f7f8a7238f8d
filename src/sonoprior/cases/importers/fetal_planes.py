"""FETAL_PLANES_DB, the maternal-fetal ultrasound planes of Burgos-Artizzu et al.

The layout is `FETAL_PLANES_ZENODO/Images/NAME.png` and `FETAL_PLANES_DB_data.csv`, with semicolons between
its columns Image_name;Patient_num;Plane;Brain_plane;Operator;US_Machine;Train.
"""

from collections.abc import Mapping
from pathlib import Path

from sonoprior.cases.info import DatasetInfo
from sonoprior.cases.inside import Inside
from sonoprior.cases.table import read_csv
from sonoprior.core.checks import one_of
from sonoprior.core.errors import DataError

from .files import require_folder
from .findings import Findings, Found, ImportOptions
from .records import check_once, records

FOLDER = "FETAL_PLANES_ZENODO"
TABLE = "FETAL_PLANES_DB_data.csv"
IMAGES = "Images"
PLANES = ("Fetal abdomen", "Fetal brain", "Fetal femur", "Fetal thorax", "Maternal cervix", "Other")
BRAIN_PLANES = ("Trans-cerebellum", "Trans-thalamic", "Trans-ventricular", "Other")
NO_BRAIN = "Not A Brain"

_COLUMNS = ("Image_name", "Patient_num", "Plane", "Brain_plane", "Operator", "US_Machine", "Train")
_PARTS = {"1": "train", "0": "test"}
_INFO = DatasetInfo(
    name="FETAL_PLANES_DB",
    about="Maternal-fetal ultrasound planes of the second and third trimester from two hospitals.",
    levels={"plane": list(PLANES), "brain_plane": list(BRAIN_PLANES)},
    licence="CC BY 4.0",
    source="Burgos-Artizzu et al., Evaluation of deep convolutional neural networks for automatic"
    " classification of common maternal fetal ultrasound planes, Scientific Reports 10 (2020) 10200;"
    " doi 10.5281/zenodo.3904280",
)


def find_cases(source: Path, options: ImportOptions) -> Findings:
    """Find the images of FETAL_PLANES_DB.

    Args:
        source: the folder with the CSV, or the folder that holds it.
        options: none apply.

    Raises:
        DataError: if the layout or the CSV is another one, or an option is given.
    """
    options.only("fetal-planes")
    root = _root(require_folder(source))
    table = root / TABLE
    rows = records(read_csv(table, separator=";"), _COLUMNS, table)
    check_once(table, [row["Image_name"] for row in rows])
    images = Inside(root / IMAGES)
    cases = [_found(row, images, f"{table}, row {number}") for number, row in enumerate(rows, start=1)]
    return Findings(_INFO, cases)


def _root(source: Path) -> Path:
    for root in (source, source / FOLDER):
        if (root / TABLE).is_file():
            return root
    raise DataError(
        f"{source} must hold {TABLE} and the folder {IMAGES}, or {FOLDER} with them, but has none."
    )


def _found(row: Mapping[str, str], images: Inside, where: str) -> Found:
    name, brain = row["Image_name"], row["Brain_plane"]
    labels = {"plane": one_of(f"{where}: the plane", row["Plane"], PLANES, DataError)}
    if brain != NO_BRAIN:
        allowed = (*BRAIN_PLANES, NO_BRAIN)
        labels["brain_plane"] = one_of(f"{where}: the brain plane", brain, allowed, DataError)
    part = _PARTS[one_of(f"{where}: Train", row["Train"], _PARTS, DataError)]
    columns = {
        "patient": row["Patient_num"],
        "device": row["US_Machine"],
        "split": part,
        "extra.operator": row["Operator"],
    }
    return Found(name, images.path(f"{name}.png", f"{where}, Image_name"), labels, columns=columns)
