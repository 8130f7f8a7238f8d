"""The audit as a page: what is wrong first, then the pictures that are there twice, then the balance."""

from collections import Counter
from collections.abc import Iterable, Iterator

from sonoprior.cases.case_set import CaseSet
from sonoprior.core.checks import listed
from sonoprior.render.blocks import (
    Bar,
    Block,
    Cell,
    Download,
    Fact,
    Facts,
    Fold,
    Gallery,
    Note,
    Paragraph,
    Table,
    Tile,
    Tone,
)
from sonoprior.render.page import Page
from sonoprior.render.pictures import thumbnail

from .report import CHECKS, AuditReport, Crosstab, DuplicateGroup, Member, Severity

_TONES: dict[Severity, Tone] = {"fatal": "bad", "warning": "warning", "note": "plain"}
_MOST_GROUPS = 60  # shown as pictures in a section; all of them stand in audit.json
_MOST_TILES = 12  # of a group
_MOST_MESSAGES = 6  # before the rest is folded away

_SEVERAL_LABELS = (
    "Each box shows one picture under different labels. At most one of them is right: look, decide, and"
    " correct or remove the others."
)
_SEVERAL_PARTS = "A model that has seen these while training is tested on them: its scores are too good."
_TWICE = (
    "Re-encoded, cropped, brighter, or the next frame of the same sweep. They count as one group:"
    " sonoprior's splits keep them in one part."
)
_OUTLINES = "Outlines: empty means that somebody looked and there is none; absent, that nobody looked."


def audit_page(case_set: CaseSet, report: AuditReport) -> Page:
    """The page of an audit, with the pictures of the duplicate groups inside.

    Args:
        case_set: the cases that were audited.
        report: what was found.
    """
    page = Page(f"Audit of {report.name}", about=_about(case_set), simulated=report.simulated)
    page.section("Result", _facts(report), _verdict(report), _checks(report))
    page.section("What was found", *_messages(report))
    for heading, text, groups in _grave_groups(report):
        if groups:
            page.section(heading, Paragraph(text), *_galleries(case_set, groups, report, "bad"))
    page.section("Balance", *(block for table in report.crosstabs for block in _balance(table, report)))
    rest = [group for group in report.duplicates if not _is_grave(group)]
    if rest:
        page.section("The same picture twice or more", Paragraph(_TWICE), *_galleries(case_set, rest, report))
    if report.duplicates:
        page.section("List of duplicates", _download(report.duplicates))
    return page


def _about(case_set: CaseSet) -> str:
    known = (case_set.info.about, case_set.info.source, case_set.info.licence)
    return " ".join(f"{text.rstrip('.')}." for text in known if text)


def _facts(report: AuditReport) -> Facts:
    alike = sum(len(group.members) for group in report.duplicates)
    counts = Counter(finding.severity for finding in report.findings)
    return Facts(
        [
            Fact(f"{report.cases:,}", "cases"),
            Fact(f"{report.independent:,}", "independent ones: patients, exams or different pictures"),
            Fact(f"{alike:,}", "cases whose picture is there twice or more", "warning" if alike else "good"),
            Fact(str(counts["fatal"]), "fatal findings", "bad" if counts["fatal"] else "good"),
            Fact(str(counts["warning"]), "warnings", "warning" if counts["warning"] else "good"),
        ]
    )


def _verdict(report: AuditReport) -> Note:
    fatal, warned = ([CHECKS[k] for k in CHECKS if report.has(k, s)] for s in ("fatal", "warning"))
    if fatal:
        return Note(f"Do not train yet: {listed(fatal)}.", "bad")
    if warned:
        return Note(f"Nothing forbids training, but look first at: {listed(warned)}.", "warning")
    return Note("Nothing was found that would make training go wrong.", "good")


def _checks(report: AuditReport) -> Table:
    rows = []
    for kind, text in CHECKS.items():
        if kind in ("leak", "not in the split") and not report.split:
            rows.append([text, "–", "no split was given"])
        elif found := report.of_kind(kind):
            rows.append([text, len(found), Cell(found[0].severity, _TONES[found[0].severity])])
        else:
            rows.append([text, "–", Cell("none", "good")])
    return Table(["looked for", "findings", "result"], rows)


def _messages(report: AuditReport) -> Iterator[Block]:
    if not report.findings:
        yield Paragraph("Nothing.")
    for kind in CHECKS:
        found = report.of_kind(kind)
        for finding in found[:_MOST_MESSAGES]:
            yield Note(finding.message, _TONES[finding.severity])
        if found[_MOST_MESSAGES:]:
            rest = Table(["finding"], [[finding.message] for finding in found[_MOST_MESSAGES:]])
            yield Fold(f"{len(rest.rows)} more: {CHECKS[kind]}", [rest])


def _grave_groups(report: AuditReport) -> Iterator[tuple[str, str, list[DuplicateGroup]]]:
    """Heading, explanation and groups of what makes scores or labels wrong; each group stands there once."""
    labels = [group for group in report.duplicates if len(group.labels) > 1]
    parts = [group for group in report.duplicates if len(group.parts) > 1 and len(group.labels) < 2]
    yield "One picture, several labels", _SEVERAL_LABELS, labels
    yield "One picture, several parts of the split", _SEVERAL_PARTS, parts


def _is_grave(group: DuplicateGroup) -> bool:
    return len(group.labels) > 1 or len(group.parts) > 1


def _galleries(
    case_set: CaseSet, groups: list[DuplicateGroup], report: AuditReport, tone: Tone = "warning"
) -> Iterator[Block]:
    for group in groups[:_MOST_GROUPS]:
        yield _gallery(case_set, group, report, tone)
    if groups[_MOST_GROUPS:]:
        yield Paragraph(f"{len(groups) - _MOST_GROUPS} more groups are not shown; audit.json lists them all.")


def _gallery(case_set: CaseSet, group: DuplicateGroup, report: AuditReport, tone: Tone) -> Gallery:
    usual = Counter(member.label for member in group.members).most_common(1)[0][0]
    tiles = [
        Tile(
            thumbnail(case_set.read_image(member.row - 1)),
            member.case,
            badge=_badge(member, report),
            tone="bad" if len(group.labels) > 1 and member.label != usual else "plain",
        )
        for member in group.members[:_MOST_TILES]
    ]
    alike = "equal pixel by pixel" if group.equal else f"aligned correlation at least {group.correlation:.2f}"
    more = f", {len(group.members) - _MOST_TILES} of them not shown" if group.members[_MOST_TILES:] else ""
    return Gallery(tiles, f"{len(group.members)} images, {alike}{more}", width=150, tone=tone)


def _badge(member: Member, report: AuditReport) -> str:
    said = (member.label, member.part or ("no part" if report.split else None))
    return " · ".join(text for text in said if text)


def _download(groups: Iterable[DuplicateGroup]) -> Download:
    lines = ["group,row,case,label,part,equal,correlation"]
    for number, group in enumerate(groups, start=1):
        for member in group.members:
            cells = (number, member.row, _quoted(member.case), _quoted(member.label), member.part or "")
            lines.append(",".join(map(str, (*cells, group.equal, group.correlation))))
    return Download("Save the duplicate groups as CSV", "duplicates.csv", "\n".join(lines) + "\n")


def _quoted(text: str | None) -> str:
    doubled = (text or "").replace('"', '""')
    return f'"{doubled}"'


def _balance(table: Crosstab, report: AuditReport) -> Iterator[Block]:
    """A table; of a single count or of classes also the share of all cases."""
    if not table.rows:
        return
    shares = table.name.startswith("label.") or len(table.columns) == 1
    header = [table.name, *table.columns, *(["share"] if shares else [])]
    rows = []
    for name, counts in table.rows.items():
        share = counts[0] / max(1, report.cases)
        rows.append([name, *counts, *([Bar(share, f"{100 * share:.1f} %")] if shares else [])])
    yield Table(header, rows, _caption(table))


def _caption(table: Crosstab) -> str:
    if table.name.startswith("label."):
        level = table.name.partition(".")[2]
        return f"Classes of '{level}'. Independent: what shares a patient, an exam or a picture counts once."
    if table.name == "outlines":
        return _OUTLINES
    return "Devices against classes." if table.name == "device" else "Image sizes, width x height."
