import colorsys
import io
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from sonoprior.render.class_colours import hues, looks
from sonoprior.render.embedding_plots import ClassesOfLevel, Map, Side, class_similarities, scatter

CLASSES = ["left adnexa", "right adnexa", "embryo", "bladder"]
METAS = ["adnexa", "adnexa", "sac", ""]


def every_plot():
    rng = np.random.default_rng(0)
    labels = {"view": np.array([*CLASSES, "", "embryo"]), "meta": np.array([*METAS, "", "sac"])}
    cases = Map([f"c{number}" for number in range(6)], rng.normal(0, 1, (6, 2)), labels)
    levels = [ClassesOfLevel("view", CLASSES, METAS), ClassesOfLevel("meta", ["adnexa", "sac"], ["", ""])]
    many = [f"species {number}" for number in range(60)]
    birds = Map(many, rng.normal(0, 1, (60, 2)), {"species": np.array(many)})
    families = [f"family {number // 10}" for number in range(60)]
    values = np.array([[np.nan, 0.2, 0.1, 0.0], [0.2, 0.9, 0.3, 0.1], [0.1, 0.3, 0.8, 0.2], [0, 0.1, 0.2, 1]])
    return {
        "scatter": scatter({"plain": cases, "guided": cases}, levels),
        "many": scatter({"plain": birds}, [ClassesOfLevel("species", many, families)]),
        "matrices": class_similarities(
            [Side("plain: images", values, "image"), Side("text: clip", values / 2, "text")], CLASSES, METAS
        ),
        "of many": class_similarities([Side("plain", np.eye(60), "image")], many, families),
        "nothing to compare": class_similarities(
            [Side("plain", np.full((2, 2), np.nan), "image")], ["a", "b"], ["", ""]
        ),
    }


PLOTS, AGAIN = every_plot(), every_plot()


def words(name):
    return [text for text in ET.fromstring(PLOTS[name].svg).itertext() if text.strip()]


def numbers(name):
    return pd.read_csv(io.StringIO(PLOTS[name].csv), keep_default_na=False)


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_the_same_every_time_and_has_no_number_that_is_none(name):
    assert AGAIN[name] == PLOTS[name]
    assert "nan" not in PLOTS[name].svg.decode().lower().replace("binary", "").partition("<image")[0]
    assert not [text for text in words(name) if "nan" in text.lower()]
    assert len(PLOTS[name].svg) < 150_000


def test_plots_leave_the_global_style_alone():
    before = dict(mpl.rcParams)
    every_plot()
    assert dict(mpl.rcParams) == before


def test_every_class_stands_in_the_legend_below_its_meta_class():
    found = words("scatter")
    at = [found.index(name) for name in ("adnexa", "left adnexa", "right adnexa", "sac", "embryo", "bladder")]
    assert at == sorted(at)
    assert "unknown" in found
    assert "guided, by meta" in found
    assert len(numbers("scatter")) == 12
    assert numbers("scatter")["label.view"].tolist()[4] == ""


def test_of_too_many_classes_only_the_meta_classes_are_named():
    for name in ("many", "of many"):
        assert "family 3" in words(name)
        assert "species 3" not in words(name)
    assert "60 classes" in words("many")


def test_matrices_name_their_classes_once_and_number_them():
    found = words("matrices")
    assert sum("left adnexa" in text for text in found) == 1
    assert {"plain: images", "text: clip", "3"} <= set(found)
    table = numbers("matrices").set_index(["side", "class", "other"])["similarity"]
    assert float(table["text: clip", "embryo", "bladder"]) == pytest.approx(0.1)
    assert table["plain: images", "left adnexa", "left adnexa"] == ""


def hue(colour):
    return colorsys.rgb_to_hls(*to_rgb(colour))[0]


def test_cousins_share_a_hue_and_no_two_classes_look_alike():
    classes = [f"{meta}{number}" for meta in "abcde" for number in range(4)]
    shown = looks(classes, [name[0] for name in classes])
    for meta in "abcde":
        own = [hue(shown[name].colour) for name in classes if name[0] == meta]
        assert np.ptp(own) < 0.02
    kinds = [hue(shown[f"{meta}1"].colour) for meta in "abcde"]
    assert min(abs(one - other) for one in kinds for other in kinds if one != other) > 0.05
    assert len({look.colour for look in shown.values()}) == 20


def test_there_are_as_many_hues_as_are_asked_for():
    assert all(len(set(hues(count))) == count for count in (0, 1, 6, 7, 30))
