"""Information content: how much it says that something is a kind of a term.

A root says little, a leaf much. All contents here lie between 0 and 1, as a share of what the most
informative term could carry, and never fall from a parent to its child. The measures that use them are in
`similarity`.
"""

from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.checks import one_of
from sonoprior.core.errors import OntologyError

from .ancestry import Ancestry

Floats = NDArray[np.float64]

ANNOTATIONS = "annotations"


def seco(ancestry: Ancestry) -> Floats:
    """From the number of terms below: 1 - log(|descendants|) / log(n), the term itself counted.

    1 for every leaf. Seco, Veale and Hayes, An intrinsic information content metric for semantic similarity
    in WordNet, ECAI 2004. The only term of an ontology has 0.
    """
    below = ancestry.above.sum(axis=0)
    return 1 - np.log(below) / np.log(len(below)) if len(below) > 1 else np.zeros(1)


def sanchez(ancestry: Ancestry) -> Floats:
    """From leaves below and ancestors above: 1 - log(leaves / ancestors + 1) / log(all leaves + 1).

    The term itself counts among its ancestors, and a leaf among its leaves, so a leaf deep in the hierarchy
    says more than one near a root. Sánchez, Batet and Isern, Ontology-based information content computation,
    Knowledge-Based Systems 24, 2011, equation 10.
    """
    above = ancestry.above
    leaves = above.sum(axis=0) == 1
    share = above[leaves].sum(axis=0) / above.sum(axis=1)
    return 1 - np.log(share + 1) / np.log(leaves.sum() + 1)


def annotated(ancestry: Ancestry, images: Sequence[Collection[str]]) -> Floats:
    """From annotated images: -log(p) / log(N), with p the share of the N images that show a kind of the term.

    An image counts for every ancestor of each of its terms, and once, however many of its terms lead there
    (Resnik, Semantic similarity in a taxonomy, JAIR 11, 1999, with images as the corpus). A term that no
    image shows says as much as one that a single image shows. Codes that the ontology does not have are
    passed over, images that have nothing else do not count.

    Args:
        ancestry: the hierarchy.
        images: the codes of each image.

    Raises:
        OntologyError: if fewer than two images are annotated with terms of the ontology.
    """
    positions = {code: position for position, code in enumerate(ancestry.terms)}
    known = [[positions[code] for code in image if code in positions] for image in images]
    shown = [ancestry.above[terms].any(axis=0) for terms in known if terms]
    if len(shown) < 2:
        raise OntologyError(
            "information from annotations needs at least 2 images with terms of the ontology,"
            f" but {len(shown)} of {len(known)} images have any."
        )
    return 1 - np.log(np.maximum(np.sum(shown, axis=0), 1)) / np.log(len(shown))


INTRINSIC: dict[str, Callable[[Ancestry], Floats]] = {"seco": seco, "sanchez": sanchez}


def information(
    ancestry: Ancestry, how: str = "sanchez", images: Sequence[Collection[str]] | None = None
) -> Floats:
    """The information content of every term, (n,) in [0, 1], in the order of the hierarchy.

    Args:
        ancestry: the hierarchy.
        how: "seco" or "sanchez", which need the graph only, or "annotations".
        images: the codes of each image, for "annotations".

    Raises:
        OntologyError: if `how` is unknown, or "annotations" comes without images.
    """
    one_of("information", how, [*INTRINSIC, ANNOTATIONS], OntologyError)
    if how in INTRINSIC:
        return INTRINSIC[how](ancestry)
    if images is None:
        raise OntologyError("information from annotations needs `images`, the codes of each, but got none.")
    return annotated(ancestry, images)
