import io
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from sonoprior.render import plots, spread_plot
from sonoprior.render.pictures import data_uri

NAMES = ["plain", "alpha 1", "alpha 10"]
SHADE = plots.colours(NAMES, "plain")

PLACES = plots.Places([0.1, 0.5, 1.0], [1.0, 2.0, np.nan], [0.5, 1.5, np.nan], [1.5, 2.5, np.nan])


def every_plot():
    rng = np.random.default_rng(0)
    bins = plots.Bins([np.nan, 0.5, 0.9], [np.nan, 0.4, 0.9], [0, 3, 7])
    return {
        "differences": plots.differences(
            [plots.Estimate("a", 2.0, 1.0, 3.0), plots.Estimate("b", 1.0, -1.0, 3.0)], "x"
        ),
        "two intervals": plots.differences([plots.Estimate("a", 2.0, 1.0, 3.0, -40.0, 44.0)], "x"),
        "over_axis": plots.over_axis(
            {"accuracy": {"plain": PLACES, "alpha 1": PLACES}, "points": {"alpha 1": PLACES}},
            "share",
            SHADE,
            {"points"},
        ),
        "labels_saved": plots.labels_saved(
            {"plain": PLACES, "alpha 1": PLACES},
            {
                "alpha 1": [
                    plots.Needed(25, 12.0, -np.inf, 20.0, 12, 125),
                    plots.Needed(125, np.inf, 90.0, np.inf, 12, 125),
                    plots.Needed(60, np.nan, np.nan, np.nan, 12, 125),
                ]
            },
            "accuracy",
            SHADE,
        ),
        "spread": spread_plot.spread(
            {"plain": {"0.5": [1.0, 2.0, np.nan], "10": [1.5]}, "alpha 1": {"2": [2.0, 2.0], "10": [np.nan]}},
            "lambda",
            "accuracy, %",
            SHADE,
        ),
        "paired": plots.paired(
            {"plain": [1.0, 2.0], "alpha 1": [2.0, np.nan]}, ["fold 0", "fold 1"], "accuracy, %"
        ),
        "curves": plots.curves({"loss": {name: rng.random((2, 5)) for name in NAMES}}, SHADE),
        "confusion": plots.confusion([[3, 1], [0, 0]], ["benign", "malignant"]),
        "many classes": plots.confusion(np.eye(12), [f"class {k}" for k in range(12)]),
        "reliability": plots.reliability({"plain": bins}, SHADE),
        "by_class": plots.by_class(
            {name: [0.5, np.nan] for name in NAMES}, ["a", "b"], SHADE, "inside", [0.1, 0.2]
        ),
    }


PLOTS = every_plot()


def numbers(name):
    return pd.read_csv(io.StringIO(PLOTS[name].csv))


def words(name):
    return "".join(ET.fromstring(PLOTS[name].svg).itertext())


@pytest.mark.parametrize("name", PLOTS)
def test_every_plot_is_an_svg_that_a_page_takes_with_its_numbers_as_csv(name):
    assert data_uri(PLOTS[name].svg).startswith("data:image/svg+xml;base64,")
    assert ET.fromstring(PLOTS[name].svg).tag.endswith("svg")
    assert len(PLOTS[name].svg) < 150_000
    assert len(numbers(name)) > 0


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_the_same_every_time(name):
    assert every_plot()[name] == PLOTS[name]


def test_plots_leave_the_global_style_alone():
    before = dict(mpl.rcParams)
    every_plot()
    assert dict(mpl.rcParams) == before


def test_the_difference_plot_says_each_name_and_number():
    assert all(text in words("differences") for text in ("a", "b", "+2.0", "+1.0"))
    first = numbers("differences").iloc[0]
    assert first[["name", "value", "low", "high"]].tolist() == ["a", 2.0, 1.0, 3.0]
    assert first[["second_low", "second_high"]].isna().all()


def test_an_interval_around_zero_is_grey_and_another_is_blue():
    svg = plots.differences([plots.Estimate("a", 2.0, 1.0, 3.0)], "x").svg.decode()
    assert plots.COLOURS[0].lower() in svg
    around = plots.differences([plots.Estimate("b", 1.0, -1.0, 3.0)], "x").svg.decode()
    assert plots.GREY in around
    assert plots.COLOURS[0].lower() not in around


def test_a_second_interval_that_is_much_wider_leaves_the_plot():
    assert "40" not in words("two intervals")
    assert numbers("two intervals")["second_high"].tolist() == [44.0]


def test_lines_over_an_axis_have_a_tick_at_every_place():
    assert all(text in words("over_axis") for text in ("0.1", "0.5", "share", "points", "alpha 1"))
    table = numbers("over_axis")
    assert table.groupby(["quantity", "line"]).size().tolist() == [3, 3, 3]
    assert table["value"].isna().sum() == 3


def test_a_missing_run_is_an_empty_cell_in_the_numbers():
    table = numbers("paired")
    assert table["run"].tolist() == ["fold 0", "fold 1"]
    assert np.isnan(table["alpha 1"][1])


@pytest.mark.parametrize("names", [["plain", "two-heads-10"], ["with-cross-entropy", "with-hierarchical"]])
def test_names_of_variants_stand_upright_or_slanted_but_not_on_each_other(names):
    plot = plots.paired({name: [1.0, 2.0] for name in names}, ["fold 0", "fold 1"], "accuracy, %")
    assert (b"rotate(-50" in plot.svg) == (len(names[0]) > 15)


def test_curves_end_where_runs_end():
    rows = np.array([[1.0, 2.0, 3.0], [3.0, np.nan, np.nan]])
    table = pd.read_csv(io.StringIO(plots.curves({"loss": {"plain": rows}}, SHADE).csv))
    assert table["mean"].tolist() == [2, 2, 3]
    assert table["runs"].tolist() == [2, 1, 1]
    assert table["std"].tolist() == pytest.approx([np.sqrt(2), 0, 0], rel=1e-4)


def test_a_confusion_matrix_shows_shares_of_the_true_class_and_cases():
    assert "75 %" in words("confusion")
    assert "(3)" in words("confusion")
    assert numbers("confusion").to_dict("list") == {
        "true": ["benign", "malignant"],
        "benign": [3, 0],
        "malignant": [1, 0],
    }


def test_the_baseline_is_grey_and_the_others_differ():
    assert SHADE["plain"] == plots.GREY
    assert len(set(SHADE.values())) == 3


def test_the_legend_names_each_outline():
    text = "".join(ET.fromstring(plots.overlay_legend({"lesion": "#56B4E9", "sac": "#00C08B"})).itertext())
    assert all(name in text for name in ("looked: low to high", "lesion", "sac"))


def test_labels_saved_tells_what_lies_beyond_the_measured_numbers():
    table = numbers("labels_saved")
    needed = table[table["quantity"] == "labels needed"]
    assert needed["value"].tolist()[:2] == [12.0, np.inf]
    assert needed["low"].tolist()[:2] == [-np.inf, 90.0]
    assert "labels that do the same with" in words("labels_saved")


def test_a_spread_has_every_run_and_the_places_from_small_to_large():
    table = numbers("spread")
    assert len(table) == 7
    assert table.query("method == 'plain' and place == 0.5")["value"].tolist()[:2] == [1.0, 2.0]
    text = words("spread")
    assert text.index("0.5") < text.index("all")
    assert "lambda" in text
