"""A small case set with left and right, outlines on some cases, absent on others, empty on one."""

import numpy as np
import pytest

from sonoprior.cases import EMPTY, CaseSet, CaseSetWriter, DatasetInfo

INFO = DatasetInfo(
    name="sides",
    levels={"side": ["left", "right", "middle"], "quality": ["good", "bad"]},
    zones=["left lobe", "right lobe", "isthmus"],
    groupings={"lobes": {"lobes": ["left lobe", "right lobe"], "isthmus": ["isthmus"]}},
    mirror=[("left", "right"), ("left lobe", "right lobe")],
)


def write_sides(folder, count=23, info=INFO):
    """Case k is k % 3; cases 0, 5, 10 ... have a left lobe, all of these but 5 an isthmus, 7 is empty."""
    random = np.random.default_rng(0)
    with CaseSetWriter(folder, info) as writer:
        for k in range(count):
            shape = (60 + k, 80)
            image = random.integers(0, 256, shape, dtype=np.uint8)
            lobe = np.zeros(shape, bool)
            lobe[10:40, 5:30] = True
            outlines = {"left lobe": lobe, "isthmus": lobe[:, ::-1]} if k % 5 == 0 else {}
            if k == 5:
                del outlines["isthmus"]
            if k == 7:
                outlines = {"left lobe": EMPTY}
            labels = {} if k == 1 else {"side": info.levels["side"][k % 3]}
            writer.add(f"case{k}", image, labels=labels, outlines=outlines)
    return CaseSet.open(folder)


@pytest.fixture(scope="session")
def sides(tmp_path_factory):
    return write_sides(tmp_path_factory.mktemp("sides") / "set")


@pytest.fixture
def make_sides():
    return write_sides
