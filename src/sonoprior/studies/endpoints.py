"""What a page shows of a study's endpoints besides the answer: each family's best, and the secondary ones."""

from sonoprior.render.blocks import Block, Cell, Paragraph, Table

from .differences import Claim
from .formats import NOTHING, bounds, chance, number, unit
from .measures import Measure
from .results import StudyResults
from .tables import Row, claims_table
from .wording import among_all


def secondary_endpoints(results: StudyResults) -> list[Block]:
    """The differences of the primary endpoint in each secondary one; nothing where there is none."""
    found = [(measure, results.claims_in(measure)) for measure in results.secondary]
    told = [block for measure, claims in found if claims for block in _one(measure, claims)]
    if not told:
        return []
    about = Paragraph(
        "Named beforehand beside the primary endpoint; no variant was chosen by them, and the answer above"
        f" rests on the {results.primary.title} alone. Each is corrected for itself."
    )
    return [about, *told]


def _one(measure: Measure, claims: list[Claim]) -> list[Block]:
    said = f"Secondary: {measure.title}. {among_all(claims, measure)}".rstrip()
    return [Paragraph(said), claims_table(claims, measure)]


def best_of_families(results: StudyResults) -> list[Block]:
    """Of each reference the best variant that is compared with it, in every endpoint.

    Nothing unless at least two references have several: the table of all differences says it then.
    """
    if sum(len(names) > 1 for names in results.families.values()) < 2:
        return []
    endpoints = [results.primary, *results.secondary]
    header = ["compared with", "variants", "the best on validation"]
    for measure in endpoints:
        header += [f"{measure.title}: difference, {unit(measure)}", "95 % interval", "p, corrected"]
    caption = (
        f"The best by the {results.primary.title} on the validation cases among those compared with one"
        " reference. Intervals and p over other patients; p is corrected over all differences that the study"
        " asks about."
    )
    rows = [_family(results, reference, endpoints) for reference in results.families]
    return [Table(header, rows, caption)]


def _family(results: StudyResults, reference: str, endpoints: list[Measure]) -> Row:
    best = results.chosen_of[reference]
    cells = [cell for one in endpoints for cell in _difference(results.claim(best, one), one)]
    return [reference, str(len(results.families[reference])), best, *cells]


def _difference(claim: Claim | None, measure: Measure) -> list[str | Cell]:
    if claim is None:
        return [NOTHING, NOTHING, NOTHING]
    interval = claim.difference.interval
    return [
        number(interval.value, measure, sign=True),
        bounds(interval, measure, sign=True),
        Cell(chance(claim.patients), "strong" if claim.covers_patients else "plain"),
    ]
