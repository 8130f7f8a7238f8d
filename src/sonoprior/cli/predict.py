"""`sonoprior predict`."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .output import print_json, print_table

if TYPE_CHECKING:
    from sonoprior.core.progress import Ticker
    from sonoprior.training.predictor import Prediction

_SHOWN = 20


def predict(
    run: Path,
    images: list[Path],
    *,
    out: Path | None = None,
    exclude: str = "*_mask*",
    device: str = "auto",
    json: bool = False,
) -> None:
    """Label images. An image that cannot be read is listed and left out.

    Parameters
    ----------
    run:
        The run folder.
    images:
        Image files, or folders that are searched with all folders in them.
    out:
        A file to write, .csv or .json.
    exclude:
        A pattern of file names in folders that are not images to label, such as outlines; "" for none.
    device:
        auto, cpu, cuda, cuda:1, mps.
    json:
        Print JSON instead of a table.
    """
    from sonoprior.core.progress import bar
    from sonoprior.training.image_files import find_images
    from sonoprior.training.predictor import load

    if out is not None:
        _check_suffix(out)
    predictor = load(run, device)
    found = find_images(images, exclude)
    unreadable: list[str] = []
    with bar("labelling", len(found.paths)) as tick:
        predictions = predictor.predict(counted(found.paths, tick), on_unreadable=unreadable.append)
    if out is not None:
        _write(out, predictions)
    if json:
        print_json({"predictions": [_row(one) for one in predictions], "unreadable": unreadable})
    else:
        _print(predictions)
    _say(len(predictions), found.left_out, exclude, unreadable, out)


def counted(paths: Iterable[Path], tick: "Ticker") -> Iterator[Path]:
    """The paths one by one, each counted when the next one is asked for."""
    for path in paths:
        yield path
        tick()


def _check_suffix(out: Path) -> None:
    from sonoprior.core.errors import SonopriorError

    if out.suffix not in {".csv", ".json"}:
        raise SonopriorError(f"--out must be a .csv or a .json file, but got {out}.")


def _row(prediction: "Prediction") -> dict[str, str | float]:
    chances = {f"p.{name}": chance for name, chance in prediction.probabilities.items()}
    return {
        "image": prediction.image,
        "predicted": prediction.label,
        "confidence": prediction.confidence,
        **({} if prediction.cluster is None else {"cluster": prediction.cluster}),
    } | chances


def _write(out: Path, predictions: Sequence["Prediction"]) -> None:
    import pandas as pd

    from sonoprior.core.folder import whole_file, write_json

    rows = [_row(one) for one in predictions]
    if out.suffix == ".json":
        write_json(out, rows)
        return
    with whole_file(out) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)


def _print(predictions: Sequence["Prediction"]) -> None:
    rows = [(one.image, one.label, f"{one.confidence:.3f}") for one in predictions[:_SHOWN]]
    if len(predictions) > _SHOWN:
        rows.append((f"and {len(predictions) - _SHOWN} more", "", ""))
    print_table("predictions; research use only, not a diagnosis", ["image", "predicted", "confidence"], rows)


def _say(labelled: int, left_out: int, exclude: str, unreadable: Sequence[str], out: Path | None) -> None:
    """What else there is to know, on standard error, so that JSON stays JSON."""
    print(f"{labelled} images labelled" + (f", written to {out}" if out else ""), file=sys.stderr)
    if left_out:
        print(f"{left_out} files left out by the pattern {exclude}", file=sys.stderr)
    for problem in unreadable:
        print(f"left out: {problem}", file=sys.stderr)
