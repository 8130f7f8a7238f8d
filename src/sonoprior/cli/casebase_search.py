"""`sonoprior casebase search`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .casebase import filters
from .output import print_json, print_table

if TYPE_CHECKING:
    from sonoprior.bundle.manifest import Manifest
    from sonoprior.casebase.search import Found


def search(  # noqa: PLR0913 (each is an option)
    base: Path,
    *,
    images: Annotated[
        list[Path] | None, Parameter(name="--image", consume_multiple=True, negative="")
    ] = None,
    case: str | None = None,
    exam: str | None = None,
    text: str | None = None,
    term: str | None = None,
    where: Annotated[list[str] | None, Parameter(negative="")] = None,
    k: int = 10,
    rerank: Annotated[bool, Parameter(negative="")] = False,
    own: Annotated[bool, Parameter(negative="")] = False,
    out: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Find the known cases that are like an image, an exam or a text, or that show a term.

    Nothing of the query's own patient or exam is found. Several images are of one exam, and exams are found
    for them. --term beside --image is a correction, "like this, but right adnexa": the cases of that view,
    nearest to where the image lies when it is moved from its own view to that one.

    Parameters
    ----------
    base:
        The folder of the case base; it holds its bundle.
    images:
        Image files; several are of one exam.
    case:
        The key of a case of the base to look for, SET/CASE.
    exam:
        An exam of the base, SET/EXAM: the one that the images are of, so that it is not found; without images
        the one to look for.
    text:
        A text or a caption; needs a bundle with a text encoder.
    term:
        A term of the ontology, by name, synonym or code; what lies below it counts too.
    where:
        What a case must have, as NAME=VALUE: label.view=..., device=..., set=...; may be given several times,
        and with the same name either value will do.
    k:
        How many to find.
    rerank:
        Re-rank: what is like every case is worth less to each.
    own:
        Find cases of the query's own patient or exam too.
    out:
        A folder to write: index.html with the query and what was found as pictures, and search.json.
    json:
        Print JSON instead of a table.
    """
    from sonoprior.casebase.base import CaseBase
    from sonoprior.casebase.page import plain, write_search
    from sonoprior.casebase.query import Query
    from sonoprior.casebase.search import search as find
    from sonoprior.core.folder import whole_folder

    query = Query(images or (), case, exam, text, term, filters(where), own)
    opened = CaseBase.open(base)
    found = find(opened, query, k, rerank=rerank)
    if out is not None:
        with whole_folder(out) as building:
            write_search(building, found, query, opened.manifest)
    if json:
        print_json(plain(found))
    else:
        print_found(found, opened.manifest)
    _say(found, k, out)


def print_found(found: "Found", manifest: "Manifest") -> None:
    """Print hits as a table, an exam with a line for each of its frames."""
    from sonoprior.casebase.page import label_of, number

    scored = any(hit.score is not None for hit in found.hits)
    header = [*(["exam"] if found.exams else []), "similarity", *(["re-ranked"] if scored else [])]
    placed = any(frame.distance is not None for hit in found.hits for frame in hit.frames)
    header += ["case", "label", *(["similarity"] if found.exams else []), *(["distance"] if placed else [])]
    rows: list[list[object]] = []
    for hit in found.hits:
        whole = [hit.name] if found.exams else []
        whole += [number(hit.similarity), *([number(hit.score)] if scored else [])]
        for frame in hit.frames:
            own = [number(frame.similarity)] if found.exams else []
            label = label_of(frame.record.facts, manifest)
            distance = [number(frame.distance)] if placed else []
            rows.append([*whole, frame.record.key, label, *own, *distance])
            whole = [""] * len(whole)
    print_table("known cases; research use only, not a diagnosis", header, rows)


def _say(found: "Found", k: int, out: Path | None) -> None:
    """What else there is to know, on standard error, so that JSON stays JSON."""
    kind = "exams" if found.exams else "cases"
    if len(found.hits) < k:
        print(
            f"{len(found.hits)} {kind} found, fewer than the {k} asked for: no more may be found",
            file=sys.stderr,
        )
    if found.left_out:
        print(
            f"{found.left_out} cases of the query's own patient or exam left out; --own finds them",
            file=sys.stderr,
        )
    if found.corrected:
        print("corrected: moved from the view of the query to that of the term", file=sys.stderr)
    for one in found.shown:
        if one.familiar is False:
            print(
                f"{one.name} is not a view that the bundle knows; likeness says little of it", file=sys.stderr
            )
    if out is not None:
        print(f"pictures in {out / 'index.html'}", file=sys.stderr)
