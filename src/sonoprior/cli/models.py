"""`sonoprior models taps NAME`."""

from typing import Annotated

from cyclopts import Parameter

from .output import print_json, print_table


def taps(
    name: Annotated[str, Parameter(help="A timm name.")],
    *,
    size: Annotated[int, Parameter(help="Side of the images in pixels.")] = 224,
    json: Annotated[bool, Parameter(help="Print JSON.", negative="")] = False,
) -> None:
    """List the taps of a backbone: where they are, and whether they can be guided and exported.

    A tap that is guided has second derivatives after it. One that is exported has an attribution that can
    be computed without autograd: in closed form, or as a graph of its own.
    """
    from sonoprior.attribution.survey import survey_taps

    rows = survey_taps(name, size)
    if json:
        print_json([row.model_dump() for row in rows])
        return
    print_table(
        f"Taps of {name} for {size} x {size} images",
        ("tap", "layer", "map", "guided", "exported", "remarks"),
        [
            (
                row.tap,
                row.layer,
                f"{row.channels} x {row.height} x {row.width}",
                "yes" if row.guided else "no",
                row.exported,
                " ".join(row.remarks),
            )
            for row in rows
        ],
    )
