import re
import subprocess
import sys

import pytest

from sonoprior.cases.loading.policies import POLICIES, policy, views
from sonoprior.cases.loading.spec import AugmentSpec
from sonoprior.core.errors import RecipeError


def test_strong_goes_as_far_as_weak_or_further_in_everything():
    weak, strong = policy("weak").model_dump(), policy("strong").model_dump()
    assert all(strong[name] >= amount for name, amount in weak.items())
    assert sum(strong[name] > amount for name, amount in weak.items()) > 10


def test_the_documented_amounts_are_the_real_ones():
    _, weak, strong = re.split(r'"(?:weak|strong)": ', policy.__doc__.partition("Raises")[0])
    for said, spec in ((weak, policy("weak")), (strong, policy("strong"))):
        for name, amount in re.findall(r"(\w+) (\d[\d.]*\d|\d)", said.replace("\n", " ")):
            if name in AugmentSpec.model_fields:
                assert getattr(spec, name) == float(amount), name
    for word in ("two shadows up to 0.3", "one cut-out\n    up to 0.4"):
        assert word in strong
    assert (policy("strong").shadows, policy("strong").shadow) == (2, 0.3)
    assert (policy("strong").cutouts, policy("strong").cutout) == (1, 0.4)


def test_views_by_name():
    assert dict(views("plain")) == {"plain": None}
    assert dict(views("weak-strong")) == POLICIES
    assert dict(views("two")) == {"first": policy("strong"), "second": policy("strong")}


def test_wrong_names_are_refused():
    with pytest.raises(
        RecipeError, match=r"the augmentation policy must be one of weak, strong.*'stronk'\. Did"
    ):
        policy("stronk")
    with pytest.raises(
        RecipeError, match="the choice of views must be one of plain, weak-strong, two, but got"
    ):
        views("three")


def test_they_are_free_of_torch():
    code = "import sys, sonoprior.cases.loading.policies; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "False\n"
