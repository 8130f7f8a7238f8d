import pytest

from import_trees import put, reasons, run, text
from sonoprior.core.errors import DataError

HEADER = "Image_name;Patient_num;Plane;Brain_plane;Operator;US_Machine;Train \n"
ROWS = (
    "Patient00001_Plane1_1_of_15;1;Other;Not A Brain;Other;Aloka;1\n"
    "Patient00001_Plane3_1_of_1;1;Fetal brain;Trans-thalamic;Op. 1;Voluson E6;1\n"
    "Patient01792_Plane3_1_of_1;1792;Fetal brain;Other;Op. 2;Voluson S10;0\n"
    "Patient01792_Plane6_1_of_1;1792;Maternal cervix;Not A Brain;Op. 2;Voluson S10;0 \n"
)


@pytest.fixture
def zenodo(tmp_path):
    root = tmp_path / "in" / "FETAL_PLANES_ZENODO"
    text(root / "FETAL_PLANES_DB_data.csv", HEADER + ROWS)
    for row in ROWS.splitlines():
        put(root / "Images" / f"{row.split(';')[0]}.png")
    text(root / "README.txt", "about")
    return root


@pytest.mark.parametrize("above", [False, True])
def test_planes_and_all_that_stands_with_them(zenodo, tmp_path, above):
    report, case_set = run("fetal-planes", zenodo.parent if above else zenodo, tmp_path / "out")
    assert report.left_out == []
    assert case_set.ids[1] == "Patient00001_Plane3_1_of_1"
    assert [case_set.classes("plane")[i] for i in case_set.labels("plane")] == [
        "Other", "Fetal brain", "Fetal brain", "Maternal cervix",
    ]  # fmt: skip
    assert case_set.default_level == "plane"
    assert case_set.classes("brain_plane") == [
        "Trans-cerebellum",
        "Trans-thalamic",
        "Trans-ventricular",
        "Other",
    ]
    assert case_set.labels("brain_plane").tolist() == [-1, 1, 3, -1]
    assert case_set.column("patient").tolist() == ["1", "1", "1792", "1792"]
    assert case_set.column("device").tolist() == ["Aloka", "Voluson E6", "Voluson S10", "Voluson S10"]
    assert case_set.column("extra.operator").tolist() == ["Other", "Op. 1", "Op. 2", "Op. 2"]
    assert case_set.column("split").tolist() == ["train", "train", "test", "test"]
    assert "10.5281/zenodo.3904280" in case_set.info.source


def test_a_missing_and_a_damaged_image_are_listed(zenodo, tmp_path):
    (zenodo / "Images" / "Patient00001_Plane1_1_of_15.png").unlink()
    (zenodo / "Images" / "Patient01792_Plane3_1_of_1.png").write_bytes(b"no image")
    report, case_set = run("fetal-planes", zenodo, tmp_path / "out")
    assert len(case_set) == 2
    assert "Patient00001_Plane1_1_of_15.png is missing" in reasons(report)
    assert "Patient01792_Plane3_1_of_1.png must be a PNG" in reasons(report)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            HEADER + "a;1;Fetal hand;Not A Brain;x;y;1\n",
            "row 1: the plane must be one of .* but got 'Fetal hand'",
        ),
        (HEADER + "a;1;Other;Trans;x;y;1\n", "row 1: the brain plane must be one of .* but got 'Trans'"),
        (HEADER + "a;1;Other;Not A Brain;x;y;2\n", "row 1: Train must be one of 1, 0, but got '2'"),
        (HEADER + ROWS + ROWS, "rows 1 and 5 are both 'Patient00001_Plane1_1_of_15'"),
        (HEADER + "../a;1;Other;Not A Brain;x;y;1\n", "row 1, Image_name: must be a path relative to"),
        (HEADER + ";1;Other;Not A Brain;x;y;1\n", "every row must have its image, but row 1 has none"),
        (HEADER.replace(";", ","), "must have the column 'Image_name', but has"),
        ("", "must have a header line, but is empty"),
    ],
)
def test_a_wrong_table_is_refused(zenodo, tmp_path, content, message):
    text(zenodo / "FETAL_PLANES_DB_data.csv", content)
    with pytest.raises(DataError, match=message):
        run("fetal-planes", zenodo, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_layout_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"must hold FETAL_PLANES_DB_data\.csv and the folder Images"):
        run("fetal-planes", tmp_path, tmp_path / "out")
