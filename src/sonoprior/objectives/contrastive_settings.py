"""The settings of the objectives that compare two views of every image.

Free of torch, so that a recipe is checked without it.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from .metric_loss_settings import Positive


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NTXentSettings(_Settings):
    """SimCLR's loss.

    Attributes:
        temperature: what the cosines are divided by. SimCLR took 0.1 for ImageNet and 0.5 for CIFAR-10.
    """

    temperature: Positive = 0.1


class SupervisedContrastiveSettings(_Settings):
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
