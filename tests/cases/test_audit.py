import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy.stats.contingency import association

from sonoprior.cases import EMPTY, CaseSet, CaseSetWriter, DatasetInfo
from sonoprior.cases.audit import (
    CHECKS,
    AuditReport,
    audit,
    audit_page,
    check_folder,
    own_split,
    read_split,
    write_audit,
)
from sonoprior.cases.audit.balance import MISSING, cramers_v
from sonoprior.core.errors import DataError, FolderError

INFO = DatasetInfo(
    name="views", levels={"view": ["sac", "uterus"]}, zones=["sac", "embryo"], landmarks=["tip"]
)
SIDE = 64


def picture(seed: int) -> np.ndarray:
    """Smooth texture, another one for each seed."""
    noise = np.random.default_rng(seed).standard_normal((SIDE, SIDE))
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.clip(128 + 60 * smooth / smooth.std(), 20, 255).astype(np.uint8)


def reencoded(image: np.ndarray) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 70])[1], cv2.IMREAD_GRAYSCALE)


def sac() -> np.ndarray:
    drawn = np.zeros((SIDE, SIDE), bool)
    drawn[20:40, 20:40] = True
    return drawn


def write(folder: Path, rows: list[dict], info: DatasetInfo = INFO) -> CaseSet:
    """Twelve different pictures, six a class; a row changes the one that it is `at`, or is one more."""
    labels = INFO.levels["view"]
    every = [{"case": f"c{i}", "image": picture(i), "labels": {"view": labels[i % 2]}} for i in range(12)]
    for row in rows:
        content = {name: value for name, value in row.items() if name != "at"}
        if "at" in row:
            every[row["at"]].update(content)
        else:
            every.append({"case": f"c{len(every)}"} | content)
    with CaseSetWriter(folder, info) as writer:
        for row in every:
            writer.add(**row)
    return CaseSet.open(folder, check=False)


def shrink(path: Path) -> None:
    """Replace a picture by one of another size, as a careless export does."""
    assert path.is_file()
    cv2.imwrite(str(path), np.full((SIDE - 4, SIDE), 255, np.uint8))


def edited(folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> CaseSet:
    """The case set with another table, as somebody might leave it behind in a spreadsheet."""
    table = change(pd.read_parquet(folder / "cases.parquet"))
    (folder / "cases.parquet").unlink()
    table.to_csv(folder / "cases.csv", index=False)
    return CaseSet.open(folder, check=False)


def kinds(report: AuditReport) -> list[str]:
    return [finding.kind for finding in report.findings]


def only(report: AuditReport, kind: str) -> str:
    (finding,) = report.of_kind(kind)
    return finding.message


def test_a_sound_set_has_no_findings(tmp_path: Path) -> None:
    cases = write(tmp_path / "set", [{"at": 0, "outlines": {"sac": sac()}, "points": "3 4", "patient": "p"}])
    report = audit(cases)
    assert report.findings == []
    assert not report.fatal
    assert (report.cases, report.independent, report.duplicates) == (12, 12, [])


def test_every_kind_of_file_that_cannot_be_read_is_named_once(tmp_path: Path) -> None:
    cases = write(tmp_path / "set", [])
    whole = cases.image_path(0).read_bytes()
    cases.image_path(1).write_bytes(b"")
    cases.image_path(2).write_bytes(whole[: len(whole) // 2])
    cases.image_path(3).write_text("no image")
    cases.image_path(4).unlink()
    report = audit(cases)
    assert report.fatal
    assert [finding.cases for finding in report.of_kind("unreadable")] == [["c1"], ["c2"], ["c3"]]
    for words, finding in zip(
        ("0 bytes", "cut short", "must be a PNG"), report.of_kind("unreadable"), strict=True
    ):
        assert words in finding.message
    assert re.search(r"case 'c4', column 'image': the file .* is missing", only(report, "table"))


def test_annotations_that_do_not_fit_are_each_named(tmp_path: Path) -> None:
    cases = write(
        tmp_path / "set",
        [
            {"at": 0, "outlines": {"sac": sac(), "embryo": sac()}},
            {"at": 1, "zonemap": np.full((SIDE, SIDE), 7, np.uint8)},
            {"at": 2, "maps": {"cam": picture(2)}},
            {"at": 3, "box.sac": "90 90 95 95", "point.sac": "3 4", "points": "-8 2"},
        ],
    )
    shrink(cases.root / "outlines" / "sac" / "c0.png")
    shrink(cases.root / "maps" / "cam" / "c2.png")
    report = audit(cases)
    messages = [finding.message for finding in report.of_kind("annotation")]
    assert [finding.cases for finding in report.of_kind("annotation")] == [
        ["c0"],
        ["c1"],
        ["c2"],
        ["c3"],
        ["c3"],
    ]
    assert "64 x 64 pixels (width x height), but has 64 x 60" in messages[0]
    assert "must hold indices from 0 to 2" in messages[1]
    assert "but has 64 x 60" in messages[2]
    assert "a box must cover pixels of the image" in messages[4]
    assert "a point must lie in the image" in messages[3]
    assert report.fatal


def test_faults_of_the_table_are_all_reported_beside_the_faults_of_the_pixels(tmp_path: Path) -> None:
    write(tmp_path / "set", [{"at": 0, "image": np.zeros((SIDE, SIDE), np.uint8)}])

    def spoil(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[[1, 2], "case"] = "twin"
        table.loc[3, "case"] = None
        table.loc[[4, 5], "label.view"] = "uteruss"
        return table.assign(colour="red")

    report = audit(edited(tmp_path / "set", spoil))
    assert only(report, "duplicate id") == "every case must have an id of its own, but rows 2, 3 are 'twin'."
    assert only(report, "unknown label") == (
        "column 'label.view': 2 case(s) have the class 'uteruss'; known are sac, uterus."
        " Did you mean 'uterus'?"
    )
    assert report.of_kind("table")[0].message == "every case must have an id, but rows 4 have none."
    assert "the column 'colour' is unknown" in report.of_kind("table")[1].message
    assert "one grey level all over" in only(report, "poor image")
    assert report.fatal


@pytest.mark.parametrize("column", ["case", "image"])
def test_a_missing_column_is_reported(tmp_path: Path, column: str) -> None:
    write(tmp_path / "set", [])
    report = audit(edited(tmp_path / "set", lambda table: table.drop(columns=column)))
    assert f"the column '{column}' is missing" in report.of_kind("table")[0].message
    assert report.fatal


def test_an_empty_set_is_reported(tmp_path: Path) -> None:
    write(tmp_path / "set", [])
    cases = edited(tmp_path / "set", lambda table: table.iloc[:0])
    report = audit(cases)
    assert "the table must hold at least one case" in only(report, "table")
    assert (report.cases, report.independent) == (0, 0)
    assert "Do not train yet" in audit_page(cases, report).html()


def test_one_image_with_two_labels_is_fatal(tmp_path: Path) -> None:
    cases = write(
        tmp_path / "set",
        [
            {"image": picture(0), "labels": {"view": "uterus"}},
            {"image": picture(2), "labels": {"view": "sac"}},
            {"image": picture(4)},
        ],
    )
    report = audit(cases)
    assert only(report, "two labels") == (
        "one and the same image stands under several labels of 'view': 'c0' is 'sac', 'c12' is 'uterus'."
    )
    assert report.fatal
    assert [[member.case for member in group.members] for group in report.duplicates] == [
        ["c0", "c12"],
        ["c2", "c13"],
        ["c4", "c14"],
    ]
    assert all(group.equal and group.correlation == 1 for group in report.duplicates)


def test_two_labels_are_found_where_the_first_of_three_has_none(tmp_path: Path) -> None:
    rows = [{"at": 0, "labels": {}}] + [
        {"image": picture(0), "labels": {"view": v}} for v in ("sac", "uterus")
    ]
    assert "'c12' is 'sac', 'c13' is 'uterus'" in only(audit(write(tmp_path / "set", rows)), "two labels")


def test_two_labels_are_found_on_every_level(tmp_path: Path) -> None:
    info = INFO.model_copy(update={"levels": INFO.levels | {"quality": ["good", "poor"]}})
    cases = write(
        tmp_path / "set",
        [
            {"at": 0, "labels": {"view": "sac", "quality": "good"}},
            {"image": picture(0), "labels": {"view": "sac", "quality": "poor"}},
        ],
        info,
    )
    assert "labels of 'quality': 'c0' is 'good', 'c12' is 'poor'" in only(audit(cases), "two labels")
    assert audit(cases).duplicates[0].labels == ["sac"]
    assert audit(cases, level="quality").duplicates[0].labels == ["good", "poor"]
    with pytest.raises(DataError, match="the level must be one of view, quality, but got 'qualty'"):
        audit(cases, level="qualty")


def test_near_duplicates_across_classes_are_a_warning_that_comes_first(tmp_path: Path) -> None:
    cases = write(
        tmp_path / "set",
        [
            {"image": reencoded(picture(2)), "labels": {"view": "sac"}},
            {"image": reencoded(picture(2)), "labels": {"view": "sac"}},
            {"image": reencoded(picture(0)), "labels": {"view": "uterus"}},
        ],
    )
    report = audit(cases)
    assert not report.fatal
    assert kinds(report) == ["near-duplicate across classes", "duplicate"]
    assert report.findings[0].message == (
        "'c0', 'c14' show the same picture, but their 'view' is sac, uterus; decide which is right."
    )
    assert [member.case for member in report.duplicates[0].members] == ["c0", "c14"]
    assert not report.duplicates[0].equal
    # 2 of 15 images leak with chance 0.8, 3 with chance 0.96.
    assert f"about {100 * (2 * 0.8 + 3 * 0.96) / 15:.0f} % of the test images" in report.findings[1].message
    assert report.independent == 12


def test_a_given_split_that_cuts_a_picture_or_a_patient_leaks(tmp_path: Path) -> None:
    parts = ["train"] * 8 + ["validation"] * 2 + ["test"] * 2
    rows = [{"at": i, "split": part} for i, part in enumerate(parts)]
    rows[3]["patient"] = rows[10]["patient"] = "7"
    rows += [
        {"image": reencoded(picture(0)), "split": "test", "labels": {"view": "sac"}},
        {"image": picture(99)},
    ]
    cases = write(tmp_path / "set", rows)
    assert not audit(cases).fatal
    report = audit(cases, own_split(cases))
    assert report.fatal
    assert [finding.message for finding in report.of_kind("leak")] == [
        "'c0', 'c12' show the same picture, but lie in test, train; the scores are too good.",
        "the patient '7' has images in test, train; the scores are too good.",
    ]
    assert only(report, "not in the split") == "1 case(s) are in no part of the split."
    assert report.crosstabs[0].columns == ["cases", "independent", "train", "validation", "test"]
    assert report.crosstabs[0].rows["sac"] == [7, 6, 4, 1, 2]


def split_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "split.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_split_file_names_the_part_of_each_case(tmp_path: Path) -> None:
    cases = write(tmp_path / "set", [])
    split = read_split(split_file(tmp_path, "case,part,fold\nc3,train,0\nc1,test,0\nc0,train,0\n"), cases)
    assert {part: positions.tolist() for part, positions in split.items()} == {
        "train": [0, 3],
        "validation": [],
        "test": [1],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,fold\nc1,1\n", "must have the columns case and part, but has case, fold"),
        ("case,part\nc1,\n", "every row must have 'part', but row 1 has none"),
        ("case,part\nc1,train\nx1,test\nx2,test\n", "2 are not: x1, x2"),
        ("case,part\nc1,train\nc1,test\n", "may stand there once, but several times: c1"),
        ("case,part\nc1,training\n", "a part must be one of train, validation, test, but got 'training'"),
        ("", "must have a header line, but is empty"),
        (b"case,part\n\xff,train\n", "must be encoded in UTF-8"),
    ],
)
def test_a_split_file_that_does_not_fit_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    cases = write(tmp_path / "set", [])
    with pytest.raises(DataError, match=message):
        read_split(split_file(tmp_path, text), cases)


def test_a_set_without_a_split_of_its_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="brings no split of its own"):
        own_split(write(tmp_path / "set", []))


def test_images_too_small_are_named(tmp_path: Path) -> None:
    cases = write(tmp_path / "set", [{"at": 0, "image": picture(0)[:10]}])
    report = audit(cases)
    assert only(report, "poor image").endswith(
        "the image should have at least 16 pixels a side, but has 64 x 10."
    )
    assert not report.fatal


def test_outlines_are_counted_as_drawn_empty_absent_and_unusable(tmp_path: Path) -> None:
    zonemap = np.where(sac(), np.uint8(1), np.uint8(0))
    cases = write(
        tmp_path / "set",
        [
            {"at": 0, "outlines": {"sac": sac()}},
            {"at": 1, "outlines": {"sac": EMPTY}},
            {"at": 2, "zonemap": zonemap},
            {"at": 3, "outlines": {"sac": sac()}},
        ],
    )
    shrink(cases.root / "outlines" / "sac" / "c3.png")
    table = next(table for table in audit(cases).crosstabs if table.name == "outlines")
    assert table.columns == ["drawn", "empty", "absent", "unusable"]
    assert table.rows == {"sac": [2, 1, 8, 1], "embryo": [0, 1, 11, 0]}


def test_sizes_are_counted_the_most_frequent_first(tmp_path: Path) -> None:
    cases = write(tmp_path / "set", [{"at": i, "image": picture(i)[:, : 20 + i]} for i in range(10)])
    table = audit(cases).crosstabs[-1]
    assert next(iter(table.rows)) == "64 x 64"
    assert table.rows["64 x 64"] == [2]
    assert table.rows["other"] == [3]


def test_small_classes_and_missing_labels_are_said(tmp_path: Path) -> None:
    rows = [{"at": i, "labels": {"view": "uterus"}, "patient": f"p{i % 3}"} for i in range(6)]
    cases = write(tmp_path / "set", [*rows, {"at": 7, "labels": {}}])
    report = audit(cases)
    assert only(report, "unlabelled").startswith("label.view: 1 case(s) have no known label")
    assert only(report, "classes") == (
        "label.view: the class 'sac' has 3 independent case(s) or group(s) of cases; 5 folds need at least 5."
    )
    assert report.crosstabs[0].rows == {"sac": [3, 3], "uterus": [8, 5], MISSING: [1, 1]}


def test_a_device_that_gives_the_class_away_is_said(tmp_path: Path) -> None:
    def with_devices(folder: str, device_of: Callable[[int], str | None]) -> AuditReport:
        return audit(write(tmp_path / folder, [{"at": i, "device": device_of(i)} for i in range(12)]))

    report = with_devices("tied", lambda i: "AB"[i % 2])
    assert only(report, "device").startswith("the device and the class go together (Cramér's V 1.00)")
    device = next(table for table in report.crosstabs if table.name == "device")
    assert device.columns == ["sac", "uterus"]
    assert device.rows == {"A": [6, 0], "B": [0, 6]}
    assert with_devices("spread", lambda i: "AB"[i // 6]).findings == []
    assert with_devices("one", lambda _: "A").findings == []
    mixed = with_devices("mixed", lambda i: None if i < 4 else "A")
    assert next(table for table in mixed.crosstabs if table.name == "device").rows == {
        MISSING: [2, 2],
        "A": [4, 4],
    }


def test_cramers_v_is_that_of_scipy() -> None:
    counts = np.random.default_rng(0).integers(1, 40, (3, 5))
    assert cramers_v(counts) == pytest.approx(association(counts, method="cramer"))


def test_a_set_without_labels_is_audited(tmp_path: Path) -> None:
    rows = [{"at": i, "labels": {}, "device": "A"} for i in range(12)]
    report = audit(write(tmp_path / "set", [*rows, {"image": picture(0)}], DatasetInfo(name="frames")))
    assert kinds(report) == ["duplicate"]
    assert report.level is None
    assert [table.name for table in report.crosstabs] == ["device", "size in pixels"]


def test_the_report_survives_json(tmp_path: Path) -> None:
    report = audit(write(tmp_path / "set", [{"image": picture(0), "labels": {"view": "uterus"}}]))
    assert AuditReport.model_validate_json(report.model_dump_json()) == report
    assert set(kinds(report)) <= set(CHECKS)


def test_the_page_shows_each_group_once_and_escapes_names(tmp_path: Path) -> None:
    rows = [
        {"case": "<b>7</b>", "image": reencoded(picture(0)), "labels": {"view": "uterus"}},
        {"image": reencoded(picture(1)), "labels": {"view": "uterus"}},
    ]
    cases = write(tmp_path / "set", rows)
    html = audit_page(cases, audit(cases)).html()
    assert html.count("<img") == 4
    assert "<b>7</b>" not in html
    assert "&lt;b&gt;7&lt;/b&gt;" in html
    assert html.index("One picture, several labels") < html.index("The same picture twice or more")
    assert "Simulated data" not in html


def test_the_page_of_a_large_mess_stays_readable(tmp_path: Path) -> None:
    rows = [{"image": picture(i // 2 + 100), "labels": {"view": "sac"}} for i in range(130)]
    rows += [{"image": picture(1000), "labels": {"view": "uterus"}} for _ in range(20)]
    cases = write(tmp_path / "set", rows, INFO.model_copy(update={"simulated": True}))
    for i in range(20):
        cases.image_path(12 + i).write_bytes(b"")
    report = audit(cases)
    html = audit_page(cases, report).html()
    assert html.count("<img") == 2 * 55 + 12
    assert "8 of them not shown" in html
    assert "14 more: image files that cannot be read" in html
    assert "Simulated data" in html


def test_an_audit_takes_the_place_of_an_earlier_one_and_of_nothing_else(tmp_path: Path) -> None:
    cases = write(tmp_path / "set", [])
    report = audit(cases)
    for _ in range(2):
        write_audit(tmp_path / "out", cases, report)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "audit.html",
        "audit.json",
        "sonoprior.json",
    ]
    with pytest.raises(FolderError, match="must be a new folder or hold an earlier audit"):
        write_audit(tmp_path / "set", cases, report)
    (tmp_path / "out" / "sonoprior.json").write_text('{"kind": "audit", "format": 2}')
    with pytest.raises(FolderError, match="has format 2, and this version of sonoprior reads up to 1"):
        check_folder(tmp_path / "out")
