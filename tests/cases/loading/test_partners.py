import numpy as np
import pytest

from sonoprior.cases import DatasetInfo
from sonoprior.cases.loading.partners import label_partners, partners_above, prior_partners
from sonoprior.core.errors import RecipeError

INFO = DatasetInfo(
    name="heart",
    levels={"view": ["left eye", "four chambers", "right eye"], "arrow": ["left eye", "other"]},
    zones=["LA", "RA", "LV", "RV", "septum"],
    mirror=[("left eye", "right eye"), ("LA", "RA"), ("LV", "RV")],
)


def own(level):
    return {name: [name] for name in INFO.levels[level]}


def test_classes_change_places_with_their_partners():
    assert label_partners(INFO, "view", own("view")) == [2, 1, 0]


def test_a_combination_changes_places_with_that_of_its_classes_partners():
    shown = {"none": [], "left": ["left eye"], "left + four": ["left eye", "four chambers"]}
    shown |= {
        "four + right": ["four chambers", "right eye"],
        "right": ["right eye"],
        "both": ["left eye", "right eye"],
    }
    assert label_partners(INFO, "view", shown) == [0, 4, 3, 2, 1, 5]


def test_a_combination_whose_mirror_image_no_case_shows_is_refused():
    shown = {"left + four": ["left eye", "four chambers"], "right": ["right eye"]}
    message = r"mirror image of 'left \+ four' \(four chambers, right eye\) is not of the level 'view'"
    with pytest.raises(RecipeError, match=message):
        label_partners(INFO, "view", shown)


def test_a_class_whose_partner_is_not_in_the_level_is_refused():
    message = r"augment\.mirror must be 0.* image of 'left eye' \(right eye\) is not of the level 'arrow'"
    with pytest.raises(RecipeError, match=message):
        label_partners(INFO, "arrow", own("arrow"))


def test_a_class_above_changes_places_as_those_below_it_do():
    below, partners = np.array([0, 1, 2, 3, -1, 0]), [1, 0, 2, 3]  # left, right, and two without a side
    assert partners_above("side", below, np.array([0, 1, 2, 2, -1, 0]), partners) == [1, 0, 2]
    assert partners_above("organ", below, np.array([0, 0, 1, 1, -1, 0]), partners) == [0, 1]
    lone = np.array([0, 0, 2])  # no case shows the other side
    assert partners_above("side", lone, np.array([0, 0, 1]), partners) == [0, 1]


def test_a_class_above_whose_mirror_images_are_of_several_is_refused():
    below, above = np.array([0, 1, 2, 3]), np.array([0, 1, 0, 1])
    with pytest.raises(RecipeError, match=r"mirror images of class 0 of the level 'odd' .* \(0, 1\)"):
        partners_above("odd", below, above, [1, 0, 2, 3])


@pytest.mark.parametrize(
    ("groups", "partners"),
    [
        ({zone: [zone] for zone in INFO.zones}, [1, 0, 3, 2, 4]),
        ({"all": INFO.zones}, [0]),
        ({"atria": ["LA", "RA"], "ventricles": ["RV", "LV"]}, [0, 1]),
        ({"left": ["LA", "LV"], "middle": ["septum"], "right": ["RV", "RA"]}, [2, 1, 0]),
        ({"one": ["LA"], "same": ["LA"], "other": ["RA"]}, [2, 2, 0]),
        ({}, []),
    ],
)
def test_a_group_changes_places_with_the_group_of_its_members_partners(groups, partners):
    assert prior_partners(INFO, groups) == partners


def test_a_group_without_its_mirror_image_is_refused():
    message = r"the mirror image of 'left' \(RA, RV\) is not among the priors; set it to 0 or add that one"
    with pytest.raises(RecipeError, match=message):
        prior_partners(INFO, {"left": ["LA", "LV"], "right atrium": ["RA"]})
