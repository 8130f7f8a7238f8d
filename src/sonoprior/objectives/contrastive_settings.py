"""The settings of the objectives that compare two views of every image.

Free of torch, so that a recipe is checked without it.
"""

from typing import Literal

from pydantic import PositiveInt

from .metric_loss_settings import Positive
from .unlabelled_settings import UnlabelledSettings


class ContrastiveViewSettings(UnlabelledSettings):
    """What is compared of two views.

    Attributes:
        projection: the width of what is compared, which a head of the objective's own makes of the network's
            embedding, see `projection.Projection`; none compares the embedding itself.
    """

    projection: PositiveInt | None = 128


class NTXentSettings(ContrastiveViewSettings):
    """SimCLR's loss.

    Attributes:
        temperature: what the cosines are divided by. SimCLR took 0.1 for ImageNet and 0.5 for CIFAR-10.
    """

    temperature: Positive = 0.1


class SupervisedContrastiveSettings(ContrastiveViewSettings):
    """Supervised contrastive loss, the L_out form.

    Attributes:
        temperature: what the cosines are divided by.
        unknown: what becomes of images without a label. "own_class": each is a class of its own, with its
            other view as the only positive, and a negative of all others; without any label the loss is
            then SimCLR's, and every image teaches something. Its price is SimCLR's too: images of one class
            are held apart where nobody said that they are of one. "left_out": they are not compared at all.
    """

    temperature: Positive = 0.1
    unknown: Literal["own_class", "left_out"] = "own_class"
