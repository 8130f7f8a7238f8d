"""`sonoprior explain`."""

from pathlib import Path

from .output import print_json, print_table
from .predict import counted


def explain(
    run: Path,
    images: list[Path],
    *,
    out: Path,
    integrated: bool = False,
    exclude: str = "*_mask*",
    device: str = "auto",
    json: bool = False,
) -> None:
    """Draw where a run looks in images: one overlay for each prior, and one for the free channels.

    Parameters
    ----------
    run:
        The run folder.
    images:
        Image files, or folders that are searched with all folders in them.
    out:
        The folder to write: overlays, and index.html with all of them.
    integrated:
        Draw the Integrated Gradients of the predicted class at the pixels too; takes fifty passes an image.
    exclude:
        A pattern of file names in folders that are not images to look at, such as outlines; "" for none.
    device:
        auto, cpu, cuda, cuda:1, mps.
    json:
        Print JSON instead of a table.
    """
    from sonoprior.core.folder import whole_folder
    from sonoprior.core.progress import bar
    from sonoprior.training.explanation import write_explanations
    from sonoprior.training.image_files import find_images
    from sonoprior.training.predictor import load

    predictor = load(run, device)
    paths = find_images(images, exclude).paths
    with bar("explaining", len(paths)) as tick, whole_folder(out) as building:
        looked = (predictor.attribution([path], integrated=integrated)[0] for path in counted(paths, tick))
        rows = write_explanations(building, looked, str(run), simulated=predictor.identity["simulated"])
    if json:
        print_json({"out": str(out), "images": rows})
        return
    columns = [name for name in ("image", "predicted", "confidence") if all(name in row for row in rows)]
    table = [[_cell(row[name]) for name in columns] for row in rows]
    print_table(f"overlays in {out / 'index.html'}", columns, table)


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
