import numpy as np
import pytest

from import_trees import SHAPE, put, reasons, run, square, text
from sonoprior.cases.images import read_grey
from sonoprior.core.errors import DataError

ANNA, BEN = square(2, 2, 8), square(6, 6, 8)
BLACK = np.zeros(SHAPE, np.uint8)


@pytest.fixture
def rated(tmp_path):
    """a: both drew; b: anna drew nothing there, ben did not look; c: nobody looked; d: anna in two pieces."""
    root = tmp_path / "in"
    for name in "abcd":
        put(root / "x" / f"{name}.png")
    put(root / "x" / "a_mask_anna.png", ANNA)
    put(root / "masks" / "x" / "a_mask_ben.png", BEN)
    put(root / "x" / "b_mask_anna.png", BLACK)
    put(root / "x" / "d_mask_anna.png", ANNA)
    put(root / "x" / "d_mask_anna_1.png", BEN)
    return root


def states(case_set, zone):
    """For each case: None where absent, else the number of pixels."""
    outlines = [case_set.outline(i, zone) for i in range(len(case_set))]
    return [None if outline is None else int(outline.sum()) for outline in outlines]


def test_kept_apart_each_rater_has_a_zone(rated, tmp_path):
    report, case_set = run("folder", rated, tmp_path / "out", raters="apart")
    assert case_set.ids == ["x/a", "x/b", "x/c", "x/d"]
    assert case_set.info.zones == ["object by anna", "object by ben"]
    assert states(case_set, "object by anna") == [64, 0, None, 64 + 64 - 16]
    assert states(case_set, "object by ben") == [64, None, None, None]
    assert case_set.info.groupings == {
        "zones": {"object": ["object by anna", "object by ben"]},
        "raters": {"anna": ["object by anna"], "ben": ["object by ben"]},
    }
    assert report.outlines == {"drawn": 2, "empty": 1, "absent": 1}


def test_united_is_what_anybody_outlined(rated, tmp_path):
    _, case_set = run("folder", rated, tmp_path / "out", raters="united")
    assert case_set.info.zones == ["object"]
    assert np.array_equal(case_set.outline(0, "object"), (ANNA | BEN) > 0)
    assert states(case_set, "object") == [64 + 64 - 16, 0, None, 64 + 64 - 16]


def test_averaged_is_a_heat_map_over_those_who_looked(rated, tmp_path):
    put(rated / "x" / "d_mask_cleo.png", BLACK)
    put(rated / "x" / "d_mask_dora.png", BLACK)
    report, case_set = run("folder", rated, tmp_path / "out", raters="averaged")
    assert case_set.info.zones == []
    cells = [case_set.path(i, "map.object") for i in range(4)]
    assert cells[2] is None
    share = (ANNA / 255 + BEN / 255) / 2
    assert np.array_equal(read_grey(cells[0]), np.rint(share * 255).astype(np.uint8))
    assert not read_grey(cells[1]).any()
    assert read_grey(cells[3]).max() == 85  # one of three; ben did not look
    assert report.outlines["absent"] == 4


@pytest.mark.parametrize(("threshold", "pixels"), [(0.5, 112), (0.51, 16), (1.0, 16)])
def test_a_threshold_makes_an_outline_of_the_average(rated, tmp_path, threshold, pixels):
    _, case_set = run("folder", rated, tmp_path / "out", raters="averaged", threshold=threshold)
    assert states(case_set, "object") == [pixels, 0, None, 112]
    assert case_set.path(0, "map.object") is not None


def test_one_unreadable_outline_spoils_its_own_zone_only(rated, tmp_path):
    (rated / "masks" / "x" / "a_mask_ben.png").write_bytes(b"no image")
    report, case_set = run("folder", rated, tmp_path / "apart", raters="apart")
    assert states(case_set, "object by anna")[0] == 64
    assert "a_mask_ben.png must be a PNG" in reasons(report)
    report, case_set = run("folder", rated, tmp_path / "averaged", raters="averaged")
    assert case_set.path(0, "map.object") is None  # the share of one of two would be a wrong one
    assert "a_mask_ben.png must be a PNG" in reasons(report)


def test_without_the_setting_names_mean_nothing(rated, tmp_path):
    _, case_set = run("folder", rated, tmp_path / "out")
    assert "x/a_mask_anna" in case_set.ids


def test_a_csv_has_a_column_a_rater(rated, tmp_path):
    path = text(
        rated / "t.csv",
        "image,m1,m2,plain\n"
        "x/a.png,x/a_mask_anna.png,masks/x/a_mask_ben.png,x/a_mask_anna.png\n"
        "x/b.png,@empty,,\n"
        "x/c.png,,,\n"
        "x/d.png,x/d_mask_anna.png; x/d_mask_anna_1.png,@empty,\n",
    )
    columns = {"outline.sac@1": "m1", "outline.sac@2": "m2", "outline.all": "plain"}
    _, apart = run("csv", path, tmp_path / "apart", columns=columns, raters="apart")
    assert apart.info.zones == ["all", "sac by 1", "sac by 2"]
    assert states(apart, "sac by 1") == [64, 0, None, 112]
    assert states(apart, "sac by 2") == [64, None, None, 0]
    assert states(apart, "all") == [64, None, None, None]
    _, united = run("csv", path, tmp_path / "united", columns=columns, raters="united")
    assert states(united, "sac") == [112, 0, None, 112]
    _, both = run("csv", path, tmp_path / "avg", columns=columns, raters="averaged", threshold=1)
    assert states(both, "sac") == [16, 0, None, 0]
    assert read_grey(both.path(3, "map.sac")).max() == 128


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"raters": "apart"}, "has no outlines by several raters; map one column for each"),
        (
            {"columns": {"outline.sac@1": "m1"}},
            "has outlines of 'sac' by several raters; say .* --raters apart, united or averaged",
        ),
        ({"raters": "mean"}, "--raters must be one of apart, united, averaged, but got 'mean'"),
        ({"raters": "averaged", "threshold": 0}, "must be a share above 0 and up to 1, but got 0"),
        (
            {"raters": "averaged", "threshold": float("nan")},
            "must be a share above 0 and up to 1, but got nan",
        ),
        ({"threshold": 0.5}, "--threshold cuts what --raters averaged makes; leave it out"),
        ({"raters": "united", "threshold": 0.5}, "--threshold cuts what --raters averaged makes"),
    ],
)
def test_a_wrong_setting_is_refused(rated, tmp_path, options, message):
    path = text(rated / "t.csv", "image,m1\nx/a.png,x/a_mask_anna.png\n")
    with pytest.raises(DataError, match=message):
        run("csv", path, tmp_path / "out", **options)


def test_outlines_without_a_rater_are_refused_in_a_folder(rated, tmp_path):
    put(rated / "masks" / "x" / "c.png", ANNA)
    with pytest.raises(DataError, match=r"c\.png must be named IMAGE_mask_RATER, since --raters is given"):
        run("folder", rated, tmp_path / "out", raters="united")
    put(tmp_path / "plain" / "x" / "a.png")
    with pytest.raises(DataError, match="--raters needs outlines named IMAGE_mask_RATER"):
        run("folder", tmp_path / "plain", tmp_path / "out", raters="united")
