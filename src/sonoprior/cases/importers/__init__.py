"""Importers: public layouts and anybody's folders and tables become case sets.

An importer is a function `find_cases(source, options) -> Findings` that looks for files and decodes none
of them, and one line in `IMPORTERS`; `import_cases` reads, checks and writes what it found.
"""

from sonoprior.core.errors import DataError
from sonoprior.core.registry import Registry

from .findings import ImportOptions, LeftOut
from .storing import ImportReport, import_cases

__all__ = ["IMPORTERS", "ImportOptions", "ImportReport", "LeftOut", "import_cases"]

IMPORTERS = Registry(
    "importers",
    {
        "affectnet": "sonoprior.cases.importers.affectnet:find_cases",
        "busi": "sonoprior.cases.importers.busi:find_cases",
        "clips": "sonoprior.cases.importers.clips:find_cases",
        "coco": "sonoprior.cases.importers.coco:find_cases",
        "csv": "sonoprior.cases.importers.csv_table:find_cases",
        "cub": "sonoprior.cases.importers.cub:find_cases",
        "dicom": "sonoprior.cases.importers.dicom:find_cases",
        "fetal-planes": "sonoprior.cases.importers.fetal_planes:find_cases",
        "folder": "sonoprior.cases.importers.class_folders:find_cases",
        "labelme": "sonoprior.cases.importers.labelme:find_cases",
        "rafdb": "sonoprior.cases.importers.rafdb:find_cases",
    },
    DataError,
)
