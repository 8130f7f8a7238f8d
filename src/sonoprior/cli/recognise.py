"""`sonoprior recognise`."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonoprior.core.checks import listed

from .output import print_json, print_table
from .predict import counted

if TYPE_CHECKING:
    from sonoprior.cases.images import Grey
    from sonoprior.render.explanations import Explained
    from sonoprior.runtime import Answer, Recogniser

_SHOWN, _MOST = 20, 4
_HEADER = ("image", "view", "confidence", "candidates", "known")


def recognise(
    bundle: Path,
    images: list[Path],
    *,
    out: Path | None = None,
    engine: str = "onnxruntime",
    threads: int | None = None,
    exclude: str = "*_mask*",
    json: bool = False,
) -> None:
    """Say of images which view they show, how sure that is, and whether it is a view that the bundle knows.

    Parameters
    ----------
    bundle:
        The folder that `sonoprior export` wrote.
    images:
        Image files, or folders that are searched with all folders in them.
    out:
        A folder to write: where the network looked as overlays, and index.html with all of them.
    engine:
        onnxruntime, or openvino (the extra 'openvino').
    threads:
        How many to compute with; all cores if not given.
    exclude:
        A pattern of file names in folders that are not images to look at, such as outlines; "" for none.
    json:
        Print JSON instead of a table.
    """
    from sonoprior.core.progress import bar
    from sonoprior.runtime import Recogniser
    from sonoprior.training.image_files import find_images

    recogniser = Recogniser(bundle, engine=engine, threads=threads)
    found = find_images(images, exclude)
    unreadable: list[str] = []
    with bar("recognising", len(found.paths)) as tick:
        read = _read(counted(found.paths, tick), unreadable)
        rows = _rows(recogniser, read) if out is None else _draw(recogniser, read, out)
    if json:
        print_json({"answers": rows, "unreadable": unreadable})
    else:
        _print(rows)
    _say(recogniser, found.left_out, exclude, unreadable, out)


def _read(paths: Iterable[Path], unreadable: list[str]) -> "Iterator[tuple[Path, Grey]]":
    """Images that can be read; of the others why not."""
    from sonoprior.core.errors import DataError
    from sonoprior.runtime.frames import picture

    for path in paths:
        try:
            yield path, picture(path)
        except DataError as error:
            unreadable.append(str(error))


def _rows(recogniser: "Recogniser", read: "Iterable[tuple[Path, Grey]]") -> list[dict[str, Any]]:
    return [_row(path, recogniser.answer(frame)) for path, frame in read]


def _draw(recogniser: "Recogniser", read: "Iterable[tuple[Path, Grey]]", out: Path) -> list[dict[str, Any]]:
    """The same, and the folder of overlays."""
    from sonoprior.core.folder import whole_folder
    from sonoprior.render.explanations import write_explanations
    from sonoprior.render.page import Page

    about = recogniser.manifest
    looks = about.overlay is not None
    said = (
        f"What the bundle says of images, and where it looked ({about.overlay.tap})."
        if about.overlay
        else (f"What the bundle says of images. It cannot say where it looked: {about.no_overlay}.")
    )
    page = Page(about.name, about=said, simulated=about.simulated)
    with whole_folder(out) as building:
        explained = (_explained(path, frame, recogniser.answer(frame, overlay=looks)) for path, frame in read)
        return write_explanations(building, explained, page)


def _row(path: Path, answer: "Answer") -> dict[str, Any]:
    """An answer as JSON holds it."""
    return {
        "image": str(path),
        "view": answer.view,
        "confidence": answer.confidence,
        "candidates": None if answer.candidates is None else list(answer.candidates),
        "familiar": answer.familiar,
        "unfamiliarity": answer.unfamiliarity,
        "limit": answer.limit,
        "probabilities": dict(answer.probabilities),
        **({} if answer.cluster is None else {"cluster": answer.cluster}),
    }


def _explained(path: Path, frame: "Grey", answer: "Answer") -> "Explained":
    from sonoprior.render.explanations import Explained

    row = _row(path, answer)
    return Explained(
        image=row.pop("image"),
        picture=frame,
        said=dict(zip(_HEADER[1:], _cells(row), strict=True)),
        maps=answer.overlay.maps if answer.overlay else {},
        kept=row,
    )


def _cells(row: Mapping[str, Any]) -> list[str]:
    """An answer for people: view, confidence, what else it may be, and whether it is one that is known."""
    if row["view"] is None:
        return ["none: it names no views", "", "", _known(row["familiar"])]
    return [
        row["view"],
        f"{row['confidence']:.3f}",
        _candidates(row["candidates"], row["probabilities"]),
        _known(row["familiar"]),
    ]


def _candidates(found: Sequence[str] | None, probabilities: Mapping[str, float]) -> str:
    """The likeliest first; many are counted, since a list of all says nothing."""
    if found is None:
        return "not known"
    if len(found) == len(probabilities):
        return "any"
    return listed(sorted(found, key=probabilities.__getitem__, reverse=True), _MOST) or "none"


def _known(familiar: bool | None) -> str:
    return "cannot tell" if familiar is None else "yes" if familiar else "no: not a view I know"


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The images by file name, or by path where two are called the same."""
    names = [Path(row["image"]).name for row in rows]
    return names if len(set(names)) == len(names) else [row["image"] for row in rows]


def _print(rows: Sequence[Mapping[str, Any]]) -> None:
    shown = [(name, *_cells(row)) for name, row in zip(_names(rows), rows[:_SHOWN], strict=False)]
    if len(rows) > _SHOWN:
        shown.append((f"and {len(rows) - _SHOWN} more", "", "", "", ""))
    print_table("answers; research use only, not a diagnosis", _HEADER, shown)


def _say(
    recogniser: "Recogniser", left_out: int, exclude: str, unreadable: Sequence[str], out: Path | None
) -> None:
    """What else there is to know, on standard error, so that JSON stays JSON."""
    confidence = recogniser.confidence
    if not confidence.calibrated:
        print(
            f"confidence is not calibrated, and candidates are not known: {confidence.reason}",
            file=sys.stderr,
        )
    if out is not None:
        print(f"overlays are in {out / 'index.html'}", file=sys.stderr)
    if left_out:
        print(f"{left_out} files left out by the pattern {exclude}", file=sys.stderr)
    for problem in unreadable:
        print(f"left out: {problem}", file=sys.stderr)
