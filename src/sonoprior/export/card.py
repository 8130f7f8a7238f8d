"""The model card: what a bundle was trained on, its results, how far to believe it, and what it is not for.

The same page twice: `index.html` for people, `card.md` for places that show Markdown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sonoprior.bundle.confidence import Bounds, Confidence, Measured
from sonoprior.bundle.manifest import Overlay, TextSide, Views
from sonoprior.cases.case_set import CaseSet
from sonoprior.core.checks import listed
from sonoprior.core.errors import SonopriorError
from sonoprior.core.folder import read_json
from sonoprior.metrics.catalogue import metric_named
from sonoprior.render.blocks import Block, Code, Fact, Facts, Fold, Note, Paragraph, Table
from sonoprior.render.markdown import write_markdown
from sonoprior.render.page import Page
from sonoprior.training.parts import read_table
from sonoprior.training.predictor import Predictor
from sonoprior.training.recipe_file import as_yaml
from sonoprior.training.run import ENVIRONMENT, METRICS

from .seen import SeenPart

PAGE, MARKDOWN = "index.html", "card.md"
NOTHING = "–"
_HEADLINES = 7
_DIAGNOSIS = "It is no diagnosis and no medical device: nobody's care may rest on what it says."
_OTHER_VIEWS = (
    "It knows the views that are listed here and no others. A frame of another view still gets one of these"
    " names; the sign 'not a view I know' catches some of them, not all."
)
_ELSEWHERE = (
    "It was measured on cases of one set. On other devices, other settings, other operators or another"
    " population it may do worse, and its confidence need not hold there: measure it on cases of your own."
)
_LOOKED = "Where it looked says what spoke for an answer, not that the answer is right."


@dataclass(frozen=True)
class Card:
    """What a card is written from.

    Attributes:
        predictor: the run.
        said: the fields of the bundle's manifest.
        confidence: of the bundle.
        parts: the cases of the run, part by part; empty where its case set was not at hand.
        case_set: that set, or None.
        no_text: why no text can be searched by; empty where one can.
    """

    predictor: Predictor
    said: Mapping[str, Any]
    confidence: Confidence
    parts: Mapping[str, SeenPart]
    case_set: CaseSet | None
    no_text: str

    @cached_property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """Part to metric to its value and bounds."""
        return read_json(self.predictor.folder / METRICS)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """How many cases each part of the split has."""
        parts = read_table(self.predictor.folder / "split.csv")["part"]
        return {str(name): int((parts == name).sum()) for name in dict.fromkeys(parts)}

    def trained(self) -> dict[str, str]:
        """What is worth knowing of the training, in rows of name and value."""
        recipe, identity = self.predictor.recipe, self.predictor.identity
        versions = read_json(self.predictor.folder / ENVIRONMENT)["versions"]
        rows = {
            "recipe": recipe.name,
            "variant": str(identity["variant"]),
            "backbone": recipe.model.backbone,
            "image size": f"{recipe.data.size} x {recipe.data.size}",
            "case set": str(identity["case_set"]),
        }
        rows |= {f"{part} cases": f"{count:,}" for part, count in self.sizes.items()}
        for name, row in self._headlines("test").items():
            rows[f"{title_of(name)}, test"] = _with_bounds(row)
        return rows | {"trained with": f"sonoprior {versions['sonoprior']}, torch {versions['torch']}"}

    def _headlines(self, part: str) -> dict[str, dict[str, Any]]:
        """The metrics that come first: those of all classes together."""
        found = self.metrics.get(part, {})
        names = [name for name in found if not name.startswith(("f1.", "precision.", "recall."))]
        return {name: found[name] for name in names[:_HEADLINES]}


def write_card(card: Card, folder: Path) -> None:
    """Write the card into a bundle."""
    page = Page(
        f"Model card: {card.said['name']}", about=_about(card), simulated=bool(card.said["simulated"])
    )
    page.section("What it is not for", *_not_for(card))
    page.section("What it was trained on", *_training(card))
    page.section("What it does on cases that it never saw", *_results(card))
    page.section("How far to believe an answer", *_belief(card.confidence))
    page.section("Where it looked", *_overlay(card.said["overlay"], card.said["no_overlay"]))
    page.section("What it can be searched by", *_search(card))
    page.section("How it was made", *_making(card))
    page.write(folder / PAGE)
    write_markdown(page, folder / MARKDOWN)


def _about(card: Card) -> str:
    views: Views | None = card.said["views"]
    if views is None:
        return "It says which known frames of ultrasound look like a frame, and names none."
    told = listed(views.classes, len(views.classes))
    count = f"It says which of {len(views.classes)} classes a frame of ultrasound shows"
    return f"{count}{_HOW[views.named_by]}: {told}."


_HOW = {
    "logits": "",
    "several": ", several or none",
    "clusters": ", by groups of frames that it formed itself",
    "means": ", and which known frames look like it",
}


def _not_for(card: Card) -> list[Block]:
    """What people must not take it for; a bundle that names no view is not warned of for its views."""
    views = [_OTHER_VIEWS] if card.said["views"] else []
    return [Note(text, "warning") for text in (_DIAGNOSIS, *views, _ELSEWHERE, _LOOKED)]


def _training(card: Card) -> list[Block]:
    info = card.case_set.info if card.case_set else None
    blocks: list[Block] = [Facts([Fact(f"{count:,}", f"{part} cases") for part, count in card.sizes.items()])]
    blocks.append(Paragraph(f"The case set is '{card.said['case_set']}'."))
    blocks += [Paragraph(text) for text in ((info.about, info.source) if info else ()) if text]
    if not card.parts:
        return [*blocks, Note(f"Patients and classes are not counted: {card.confidence.reason}.", "warning")]
    return [*blocks, _counts(card)]


def _counts(card: Card) -> Table:
    """Cases and patients of every part, in all and of every class."""
    singles = card.predictor.model.singles
    rows = [["all", *(_count(np.ones(len(of.groups), np.bool_), of) for of in card.parts.values())]]
    rows += [
        [name, *(_count(of.shown[:, at], of) for of in card.parts.values())]
        for at, name in enumerate(singles)
    ]
    rows.append(["class unknown", *(_count(of.labels < 0, of) for of in card.parts.values())])
    caption = "Cases, and in brackets their patients (exams where no patient is known); none is in two parts."
    return Table(["class", *card.parts], rows, caption)


def _count(which: Any, part: SeenPart) -> str:
    return f"{int(which.sum()):,} ({len(np.unique(part.groups[which])):,})"


def _results(card: Card) -> list[Block]:
    parts = [part for part in ("test", "validation") if part in card.metrics]
    names = list(dict.fromkeys(name for part in parts for name in card.metrics[part]))
    rows = [
        [title_of(name), *(_with_bounds(card.metrics[part].get(name)) for part in parts)] for name in names
    ]
    reading = (
        "With 95 % intervals that draw whole patients. Validation cases chose the weights that were kept, so"
        " that the test part alone counts."
    )
    if "test" not in parts:
        reading = "The run was trained to tune settings and has no test part: nothing here is a result."
    return [Paragraph(reading), Table(["measure", *parts], rows)]


_LOCALISED = {
    "inside": "attribution inside the outlines",
    "pointing": "attribution highest inside an outline",
    "correlation": "correlation of attribution with the outlines",
}


def title_of(name: str) -> str:
    """A metric in words, or as it is called where it has no others."""
    if name in _LOCALISED:
        return _LOCALISED[name]
    try:
        return metric_named(name).title
    except SonopriorError:
        return name.replace("_", " ").replace(".", " of ")


def _with_bounds(row: Mapping[str, float | None] | None) -> str:
    return NOTHING if row is None else _bounds(row["value"], row["low"], row["high"])


def _bounds(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} ({low:.3f} to {high:.3f})"


def _of(bounds: Bounds) -> str:
    return _bounds(bounds.value, bounds.low, bounds.high)


def _belief(confidence: Confidence) -> list[Block]:
    if not confidence.calibrated:
        text = f"It is not calibrated: {confidence.reason}. Its confidence is what the network gave."
        return [Note(text, "warning"), *_strangers(confidence)]
    told = Paragraph(
        f"Temperature and candidates were fitted on {confidence.cases:,} cases of {confidence.patients:,}"
        f" patients ({confidence.on}). The true class shall be among the candidates in"
        f" {100 * confidence.coverage:g} % of the cases. The temperature is {confidence.temperature:.3f}."
    )
    rested = Table(
        ["class", "candidate from", "patients", "of"],
        [
            [name, NOTHING if of.floor is None else f"{of.floor:.4f}", of.patients, of.pool]
            for name, of in confidence.floors.items()
        ],
        "From which probability on a class is a candidate, and how many patients that rests on.",
    )
    too_few = "These are too few patients to promise that, so that every class stays a candidate."
    found = [] if confidence.promises else [Note(too_few, "warning")]
    found += _measured(confidence.measured) if confidence.measured else []
    return [told, *found, Fold("Candidates by class", [rested]), *_strangers(confidence)]


def _measured(found: Measured) -> list[Block]:
    rows = [["true class among the candidates", _of(found.coverage)], ["candidates", _of(found.candidates)]]
    for title, name in (
        ("expected calibration error", "ece"),
        ("Brier score", "brier"),
        ("negative log-likelihood", "nll"),
    ):
        if found.before and found.after:
            before, after = getattr(found.before, name), getattr(found.after, name)
            rows.append([f"{title}, before and after", f"{before:.3f}, {after:.3f}"])
    by_class = [
        [name, of.patients, of.cases, _of(of.coverage)] for name, of in found.by_class.items() if of.cases
    ]
    return [
        Table(
            ["measured", "value"],
            rows,
            f"On {found.cases:,} cases of {found.patients:,} patients ({found.on}); means over patients.",
        ),
        Fold("Coverage by class", [Table(["class", "patients", "cases", "coverage"], by_class)]),
    ]


def _strangers(confidence: Confidence) -> list[Block]:
    if confidence.limit is None:
        return [Note("It cannot say 'not a view I know': no training cases were at hand.", "warning")]
    share = 100 * (confidence.familiar_share or 0)
    held = (
        f" Of the test cases it takes {_of(confidence.familiar_on_test)} for familiar."
        if (confidence.familiar_on_test)
        else ""
    )
    return [
        Paragraph(
            f"A frame that lies farther from the training cases than {share:g} % of the validation cases do"
            f" is 'not a view I know'.{held}"
        )
    ]


def _overlay(overlay: Overlay | None, reason: str) -> list[Block]:
    if overlay is None:
        return [Note(f"It cannot show where it looked: {reason}", "warning")]
    maps = listed(overlay.maps, len(overlay.maps))
    said = Paragraph(
        f"Attribution of the map at '{overlay.tap}' ({overlay.method}, {overlay.how}), as maps of: {maps}."
    )
    return [*([Note(overlay.reason, "warning")] if overlay.reason else []), said]


def _search(card: Card) -> list[Block]:
    compared, text = card.said["compared"], card.said["text"]
    spaces = f"By image, in {card.said['dimension']} dimensions ({listed(compared)})"
    by_text = _text(text) if text else f"not by text: {card.no_text}"
    terms: Mapping[str, Mapping[str, str]] = card.said["terms"]
    named = sum(len(of) for of in terms.values())
    by_term = f"by {named} terms of an ontology" if named else "not by term: its classes are in no ontology"
    return [Paragraph(f"{spaces}; {by_text}; {by_term}.")]


def _text(text: TextSide) -> str:
    return f"by text, read by {text.encoder} up to {text.longest} tokens"


def _making(card: Card) -> list[Block]:
    about = card.predictor.recipe.about
    versions: Mapping[str, str | None] = read_json(card.predictor.folder / ENVIRONMENT)["versions"]
    return [
        *([Paragraph(about)] if about else []),
        Table(["", ""], [[name, value] for name, value in card.trained().items()]),
        Fold("Versions", [Table(["package", "version"], _pairs(versions))]),
        Fold("Recipe", [Code(as_yaml(card.predictor.recipe))]),
    ]


def _pairs(versions: Mapping[str, str | None]) -> Sequence[Sequence[str]]:
    return [[name, version or NOTHING] for name, version in versions.items()]
