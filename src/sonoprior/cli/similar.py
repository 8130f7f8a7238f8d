"""`sonoprior similar`: the known cases that lie nearest to images."""

from pathlib import Path

from .output import print_json, print_table
from .predict import counted


def similar(
    run: Path,
    images: list[Path],
    *,
    data: Path,
    out: Path,
    k: int = 5,
    exclude: str = "*_mask*",
    device: str = "auto",
    json: bool = False,
) -> None:
    """Find the known cases that lie nearest to images.

    Parameters
    ----------
    run:
        The folder of a run that embeds.
    images:
        Image files, or folders that are searched with all folders in them.
    data:
        The folder of the case set with the known cases.
    out:
        The folder to write: similar.json, and index.html with all pictures.
    k:
        How many cases to find for each image.
    exclude:
        A pattern of file names in folders that are not images to look at, such as outlines; "" for none.
    device:
        auto, cpu, cuda, cuda:1, mps.
    json:
        Print JSON instead of a table.
    """
    from sonoprior.cases import CaseSet
    from sonoprior.core.folder import whole_folder
    from sonoprior.core.progress import bar
    from sonoprior.training.image_files import find_images
    from sonoprior.training.predictor import load
    from sonoprior.training.similar import Similar, write_similar

    paths = find_images(images, exclude).paths
    known = Similar(load(run, device), CaseSet.open(data))
    with bar("searching", len(paths)) as tick, whole_folder(out) as building:
        rows = write_similar(building, (known.to(path, k) for path in counted(paths, tick)), known)
    if json:
        print_json({"out": str(out), "images": rows})
        return
    level = known.run.model.level
    table = [
        (row["image"] if not place else "", each["case"], f"{each['similarity']:.2f}", each[level] or "")
        for row in rows
        for place, each in enumerate(row["nearest"])
    ]
    print_table(f"pictures in {out / 'index.html'}", ["image", "case", "similarity", level], table)
