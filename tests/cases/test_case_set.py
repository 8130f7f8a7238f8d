import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from sonoprior.cases import EMPTY, CaseSet, CaseSetWriter, DatasetInfo
from sonoprior.cases.columns import in_order
from sonoprior.core.errors import DataError, FolderError

INFO = DatasetInfo(
    name="exams",
    levels={"view": ["uterus", "ovary", "sac"], "side": ["left", "right"]},
    zones=["sac", "embryo", "ovary"],
    landmarks=["top", "bottom"],
    groupings={"inside": {"gestation": ["sac", "embryo"], "ovary": ["ovary"]}},
    mirror=[("left", "right")],
)
GREY = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
DRAWN = np.zeros((20, 30), dtype=bool)
DRAWN[3:8, 4:12] = True


@pytest.fixture
def written(tmp_path):
    """A set with outlines drawn, empty and absent, one zone map, and most columns missing somewhere."""
    zones = np.zeros((20, 30), np.uint8)
    zones[:5], zones[10:12] = 1, 3
    with CaseSetWriter(tmp_path / "set", INFO) as writer:
        writer.add(
            "a",
            GREY,
            labels={"view": "ovary"},
            outlines={"sac": DRAWN, "embryo": EMPTY},
            patient="7",
            exam="1",
        )
        writer.add("b", GREY // 2, labels={"view": "uterus", "side": "left"}, zonemap=zones, exam="1")
        writer.add("c/d e", GREY, maps={"cam": GREY}, clip="k", frame="0", **{"box.sac": "1 2 5 9"})
        writer.add("c_d_e", GREY, clip="k", points="1 2;", caption=None)
        writer.add("e", GREY, split="test", **{"extra.age": "31", "point.ovary": "4 5;6 7"})
    return CaseSet.open(tmp_path / "set")


def hand_made(folder: Path, rows: str, info: dict | None = None, name: str = "cases.csv") -> Path:
    """A set as a person writes it: a CSV, a YAML, and one image."""
    (folder / "images").mkdir(parents=True)
    Image.fromarray(GREY).save(folder / "images" / "a.png")
    about = {"format": 1, "name": "mine", "levels": {"view": ["uterus", "ovary"]}, "zones": ["sac"]} | (
        info or {}
    )
    (folder / "dataset.yaml").write_text(yaml.safe_dump(about))
    (folder / name).write_text(rows)
    return folder


def test_what_is_written_is_read(written):
    assert len(written) == 5
    assert written.ids == ["a", "b", "c/d e", "c_d_e", "e"]
    assert written.info == INFO
    assert np.array_equal(written.read_image(1), GREY // 2)
    assert written.shape(1) == (20, 30)
    assert list(written.table.columns[:2]) == ["case", "image"]


def test_absent_and_empty_outlines_differ(written):
    assert np.array_equal(written.outline(0, "sac"), DRAWN)
    empty = written.outline(0, "embryo")
    assert empty is not None
    assert empty.shape == (20, 30)
    assert not empty.any()
    assert written.outline(0, "ovary") is None
    assert written.outlined().tolist() == [True, True, False, False, False]


def test_a_zone_map_gives_every_zone(written):
    outlines = written.outlines(1)
    assert [outlines[zone].sum() for zone in INFO.zones] == [5 * 30, 0, 2 * 30]


def test_an_outline_goes_before_the_zone_map(tmp_path):
    with CaseSetWriter(tmp_path / "set", INFO) as writer:
        writer.add("a", GREY, outlines={"sac": DRAWN}, zonemap=np.full((20, 30), 2, np.uint8))
    case_set = CaseSet.open(tmp_path / "set")
    assert np.array_equal(case_set.outline(0, "sac"), DRAWN)
    assert case_set.outline(0, "embryo").all()


def test_several_files_outline_their_union(tmp_path):
    first, second = DRAWN, np.roll(DRAWN, 9, axis=0)
    for name, drawn in (("x.png", first), ("y.png", second)):
        Image.fromarray(drawn).save(tmp_path / name)
    with CaseSetWriter(tmp_path / "set", INFO) as writer:
        writer.add("a", GREY, outlines={"sac": [tmp_path / "x.png", tmp_path / "y.png"]})
        writer.add("a.1", GREY, outlines={"sac": [tmp_path / "y.png"]})
    case_set = CaseSet.open(tmp_path / "set")
    assert np.array_equal(case_set.outline(0, "sac"), first | second)
    assert np.array_equal(case_set.outline(1, "sac"), second)


def test_files_are_copied_bit_by_bit(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.JPG", quality=30)
    with CaseSetWriter(tmp_path / "set", INFO) as writer:
        writer.add("a", tmp_path / "a.JPG")
    case_set = CaseSet.open(tmp_path / "set")
    assert case_set.image_path(0).read_bytes() == (tmp_path / "a.JPG").read_bytes()


def test_labels_are_positions_and_unknown_is_minus_one(written):
    assert written.default_level == "view"
    assert written.classes("side") == ["left", "right"]
    assert written.labels().tolist() == [1, 0, -1, -1, -1]
    assert written.labels("side").tolist() == [-1, 0, -1, -1, -1]


def test_groups_are_patient_then_exam_then_clip_then_case(written):
    groups = written.groups().tolist()
    assert groups[:2] == ["patient:7", "patient:7"]  # b has the exam of patient 7
    assert groups[2:] == ["clip:k", "clip:k", "case:e"]


def test_a_column_is_text_or_none(written):
    assert written.column("exam").tolist() == ["1", "1", None, None, None]
    assert written.column("device").tolist() == [None] * 5
    assert written.column("extra.age")[4] == "31"
    assert written.named("map") == ["cam"]


def test_a_subset_keeps_its_files(written):
    subset = written.subset([4, 0])
    assert subset.ids == ["e", "a"]
    assert np.array_equal(subset.outline(1, "sac"), DRAWN)
    assert subset.column("patient").tolist() == [None, "7"]


def test_the_fingerprint_follows_the_content(written):
    before = written.fingerprint()
    assert CaseSet.open(written.root).fingerprint() == before
    assert written.subset([0, 1]).fingerprint() != before
    path = written.image_path(0)
    os.utime(path, ns=(1, 1))
    touched = CaseSet.open(written.root).fingerprint()
    path.unlink()
    assert len({before, touched, CaseSet.open(written.root, check=False).fingerprint()}) == 3


def test_a_hand_made_csv_is_a_case_set(tmp_path):
    rows = "case,image,label.view,patient\na,images/a.png,ovary,007\nb,images/a.png,,\n"
    case_set = CaseSet.open(hand_made(tmp_path / "set", rows))
    assert case_set.labels().tolist() == [1, -1]
    assert case_set.column("patient").tolist() == ["007", None]


def test_two_thousand_small_frames_take_seconds(tmp_path):
    speckle = np.random.default_rng(0).rayleigh(40, (128, 128)).clip(0, 255).astype(np.uint8)
    start = time.process_time()
    with CaseSetWriter(tmp_path / "set", INFO) as writer:
        for number in range(2000):
            writer.add(str(number), speckle, labels={"view": "sac"})
    assert len(CaseSet.open(tmp_path / "set")) == 2000
    assert time.process_time() - start < 10


# What cannot be opened.


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("case,label.view\na,ovary\n", "the column 'image' is missing; the table has case, label.view"),
        ("case,image\n", "the table must hold at least one case, but has no rows"),
        ("case,image\na,images/a.png\na,images/a.png\n", "an id of its own, but rows 1, 2 are all 'a'"),
        ("case,image\n,images/a.png\n", "every case must have 'case', but row 1 has none"),
        ("case,image\na,\n", "every case must have 'image', but row 1 has none"),
        (
            "case,image,pateint\na,images/a.png,1\n",
            "the column 'pateint' is unknown; .* Did you mean 'patient'",
        ),
        (
            "case,image,label.veiw\na,images/a.png,1\n",
            "the level of the column 'label.veiw' must be one of view",
        ),
        (
            "case,image,outline.x\na,images/a.png,\n",
            "the zone of the column 'outline.x' must be one of sac, but got 'x'",
        ),
        ("case,image,map.a/b\na,images/a.png,\n", "the name in the column 'map.a/b' must be without /"),
        (
            "case,image,label.view\na,images/a.png,ovry\n",
            "case 'a', column 'label.view': the class .* mean 'ovary'",
        ),
        ("case,image\na,images/b.png\n", "case 'a', column 'image': the file 'images/b.png' is missing"),
        ("case,image\na,../x.png\n", "must be a path relative to .* without '..', but got '../x.png'"),
        ("case,image\na,/etc/x.png\n", "must be a path relative to .* but got '/etc/x.png'"),
        ("case,image\na,images\\a.png\n", "must be a path relative to .* with / between folders"),
        (
            "case,image,outline.sac\na,images/a.png,images/a.png;x/../../y.png\n",
            "column 'outline.sac': must be a path",
        ),
        (
            "case,image,outline.sac\na,images/a.png,no.png\n",
            "column 'outline.sac': the file 'no.png' is missing",
        ),
        (
            "case,image,box.sac\na,images/a.png,1 2 nan 4\n",
            "'x0 y0 x1 y1' in finite numbers, but got '1 2 nan 4'",
        ),
        ("case,image,box.sac\na,images/a.png,1 2 3\n", "column 'box.sac': must be 'x0 y0 x1 y1'"),
        ("case,image,box.sac\na,images/a.png,5 2 3 4\n", "must have x0 < x1 and y0 < y1, but got '5 2 3 4'"),
        ("case,image,point.sac\na,images/a.png,1 inf\n", "must be 'x y' in finite numbers, but got '1 inf'"),
        ("case,image,point.sac\na,images/a.png,here\n", "must be 'x y' in finite numbers, but got 'here'"),
        (
            "case,image,points\na,images/a.png,1 2\n",
            "column 'points': must hold 0 landmarks between ';', but got 1",
        ),
        (
            "case,image,split\na,images/a.png,trian\n",
            "the part must be one of train, validation, test, .* mean 'train'",
        ),
        ("case,image\na,images/a.png,x\n", "every row must have the 2 cells of the header, but has more"),
        ("case,image\na,images/a.png\nb,images/a.png,x\n", "cannot be read as CSV"),
        ("", "must have a header line, but is empty"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        CaseSet.open(hand_made(tmp_path / "set", rows))


def test_without_the_check_all_problems_are_listed(tmp_path):
    rows = "case,image,label.view,split\na,images/b.png,x,train\nb,images/a.png,ovary,never\n"
    case_set = CaseSet.open(hand_made(tmp_path / "set", rows), check=False)
    assert len(list(case_set.problems())) == 3


def test_a_csv_in_another_encoding_names_the_line(tmp_path):
    folder = hand_made(tmp_path / "set", "")
    (folder / "cases.csv").write_bytes("case,image,caption\na,images/a.png,Zürich\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"cases\.csv must be encoded in UTF-8, but line 2 is not"):
        CaseSet.open(folder)


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path):
    folder = hand_made(tmp_path / "set", "")
    (folder / "cases.csv").write_text("case,image\na,images/a.png\n", encoding="utf-8-sig")
    assert CaseSet.open(folder).ids == ["a"]


@pytest.mark.parametrize("link", ["file", "folder"])
def test_a_link_that_leads_outside_is_refused(tmp_path, link):
    folder = hand_made(tmp_path / "set", "case,image\na,images/a.png\nb,out/b.png\n")
    (tmp_path / "secret").mkdir()
    Image.fromarray(GREY).save(tmp_path / "secret" / "b.png")
    if link == "folder":
        (folder / "out").symlink_to(tmp_path / "secret")
    else:
        (folder / "out").mkdir()
        (folder / "out" / "b.png").symlink_to(tmp_path / "secret" / "b.png")
    with pytest.raises(DataError, match=r"case 'b', column 'image': must stay inside .* leads to .*secret"):
        CaseSet.open(folder)


def test_a_link_inside_the_set_is_followed(tmp_path):
    folder = hand_made(tmp_path / "set", "case,image\na,images/b.png\n")
    (folder / "images" / "b.png").symlink_to("a.png")
    assert np.array_equal(CaseSet.open(folder).read_image(0), GREY)


def test_what_is_no_case_set_is_refused(tmp_path):
    with pytest.raises(FolderError, match="must be the folder of a case set, but there is no such folder"):
        CaseSet.open(tmp_path / "no")
    with pytest.raises(FolderError, match=r"is not a case set: it has no dataset\.yaml"):
        CaseSet.open(tmp_path)
    folder = hand_made(tmp_path / "set", "case,image\na,images/a.png\n", name="table.csv")
    with pytest.raises(FolderError, match=r"it has neither cases\.parquet nor cases\.csv"):
        CaseSet.open(folder)


def test_two_tables_are_one_too_many(written):
    (written.root / "cases.csv").write_text("case,image\n")
    with pytest.raises(DataError, match="must have one table, but has both"):
        CaseSet.open(written.root)


def test_a_parquet_that_is_none_is_refused(written):
    (written.root / "cases.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match=r"cases\.parquet cannot be read as Parquet"):
        CaseSet.open(written.root)


def test_parquet_columns_must_be_text(written):
    table = pd.DataFrame({"case": ["a"], "image": [written.column("image")[0]], "patient": [7]})
    table.to_parquet(written.root / "cases.parquet")
    with pytest.raises(DataError, match="the column 'patient' must be text, but is int64"):
        CaseSet.open(written.root)
    table.assign(patient=pd.Series([None], dtype="float64")).to_parquet(written.root / "cases.parquet")
    assert CaseSet.open(written.root).column("patient").tolist() == [None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"format": 2},
            "this case set has format 2, and this version of sonoprior reads up to 1; install a newer",
        ),
        ({"format": "one"}, "the format must be a whole number of 1 or more, but got 'one'"),
        ({"licnce": "x"}, "the field 'licnce' is unknown; .* Did you mean 'licence'"),
        ({"name": None}, "the field 'name' is wrong: .* but got None"),
        ({"levels": ["a"]}, "the field 'levels' is wrong: .* but got list"),
        ({"levels": {"view": ["a", "a"]}}, r"levels\.view: every name may stand there once, but 'a' stands"),
        ({"zones": ["sac", "a;b"]}, "zones: a name must be text without ; @ / .* but got 'a;b'"),
        ({"zones": [".."]}, r"zones: a name must be text .* but got '\.\.'"),
        ({"groupings": {"each": {"x": ["sac"]}}}, "groupings: 'each' always exists and cannot be defined"),
        ({"groupings": {"g": {}}}, r"groupings\.g must hold at least one map, but it is empty"),
        ({"groupings": {"g": {"x": []}}}, r"groupings\.g\.x must unite at least one of sac, but it is empty"),
        (
            {"groupings": {"g": {"x": ["sack"]}}},
            r"groupings\.g\.x: a member must be one of sac, .* mean 'sac'",
        ),
        ({"mirror": [["sac", "x"]]}, "mirror: a name must be one of sac, uterus, ovary, but got 'x'"),
        ({"mirror": [["sac", "sac"]]}, "mirror: every name may stand there once"),
    ],
)
def test_a_wrong_dataset_yaml_is_refused(tmp_path, change, message):
    folder = hand_made(tmp_path / "set", "case,image\na,images/a.png\n", change)
    with pytest.raises((DataError, FolderError), match=rf"dataset\.yaml: {message}"):
        CaseSet.open(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "cannot be read as YAML"),
        ("- a", "must hold fields such as 'name: ...', but got list"),
        ("!!python/object/apply:os.getcwd []", "cannot be read as YAML: could not determine a constructor"),
        ("about: " + "x" * 1_000_001, "must not be larger than 1,000,000 bytes"),
    ],
)
def test_a_dataset_yaml_that_is_none_is_refused(tmp_path, text, message):
    folder = hand_made(tmp_path / "set", "case,image\na,images/a.png\n")
    (folder / "dataset.yaml").write_text(text)
    with pytest.raises(FolderError, match=message):
        CaseSet.open(folder)


def test_nested_aliases_end_in_a_short_message(tmp_path):
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefg", "bcdefgh", strict=True)
    ]
    folder = hand_made(tmp_path / "set", "case,image\na,images/a.png\n")
    (folder / "dataset.yaml").write_text("\n".join([*lines, "format: 1", "name: bomb", "zones: *h"]))
    with pytest.raises(DataError) as caught:
        CaseSet.open(folder)
    assert len(str(caught.value)) < 500


# What cannot be asked or written.


def test_unknown_names_are_refused(written):
    with pytest.raises(DataError, match="the level must be one of view, side, but got 'veiw'"):
        written.labels("veiw")
    with pytest.raises(
        DataError, match=r"a zone must be one of sac, embryo, ovary, but got 'sack'.* mean 'sac'"
    ):
        written.outline(0, "sack")
    with pytest.raises(DataError, match=r"a column must be one of .*'patiant'"):
        written.column("patiant")


def test_a_set_without_levels_says_so(tmp_path):
    with CaseSetWriter(tmp_path / "set", DatasetInfo(name="bare")) as writer:
        writer.add("a", GREY)
    with pytest.raises(DataError, match=r"has no labels: dataset\.yaml names no levels"):
        CaseSet.open(tmp_path / "set").labels()


def test_an_index_beyond_the_zones_is_refused(tmp_path):
    with CaseSetWriter(tmp_path / "set", INFO) as writer:
        writer.add("a", GREY, zonemap=np.full((20, 30), 4, np.uint8))
    with pytest.raises(
        DataError, match=r"must hold indices from 0 to 3, one a zone of dataset.yaml, but got 4"
    ):
        CaseSet.open(tmp_path / "set").outlines(0)


def write_two(folder: Path, second: dict) -> None:
    with CaseSetWriter(folder, INFO) as writer:
        writer.add("a", GREY)
        writer.add(**second)


def write_and_stop(folder: Path) -> None:
    with CaseSetWriter(folder, INFO) as writer:
        writer.add("a", GREY)
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ({"case": "a"}, "every case must have an id of its own, but 'a' came twice"),
        (
            {"labels": {"plane": "x"}},
            "case 'b': the level of the column 'label.plane' must be one of view, side",
        ),
        ({"outlines": {"sack": EMPTY}}, "the zone of the column 'outline.sack' must be one of"),
        ({"pateint": "1"}, "the column 'pateint' is unknown"),
        ({"labels": {"view": "x"}}, "set: case 'b', column 'label.view': the class must be one of"),
        ({"image": GREY / 255}, r"an image must be \(H, W\) uint8, but got \(20, 30\) float64"),
        (
            {"outlines": {"sac": DRAWN[1:]}},
            r"a map must have the shape of its image, \(20, 30\), but got \(19, 30\)",
        ),
        ({"zonemap": GREY.T}, r"a map must have the shape of its image, \(20, 30\), but got \(30, 20\)"),
    ],
)
def test_a_wrong_case_leaves_nothing_behind(tmp_path, case, message):
    with pytest.raises(DataError, match=message):
        write_two(tmp_path / "set", {"case": "b", "image": GREY} | case)
    assert list(tmp_path.iterdir()) == []


def test_no_case_and_an_interruption_leave_nothing_behind(tmp_path):
    with pytest.raises(DataError, match="the table must hold at least one case"):
        CaseSetWriter(tmp_path / "set", INFO).__enter__().__exit__(None, None, None)
    with pytest.raises(KeyboardInterrupt):
        write_and_stop(tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_not_overwritten(written):
    with pytest.raises(FolderError, match="exists already"):
        CaseSetWriter(written.root, INFO).__enter__()


def test_columns_stand_in_order():
    assert in_order(["map.a", "label.b", "label.a", "patient", "case"]) == [
        "case",
        "patient",
        "label.a",
        "label.b",
        "map.a",
    ]
