"""The settings of the objectives whose losses and heads are lightly's.

Free of torch, so that a recipe is checked without it.
"""

from typing import Annotated

from pydantic import Field, PositiveInt

from .metric_loss_settings import NotNegative, Positive
from .unlabelled_settings import UnlabelledSettings

Momentum = Annotated[float, Field(ge=0, le=1)]


class MomentumSettings(UnlabelledSettings):
    """How a second network follows the trained one.

    Attributes:
        momentum: what is left of it after a step of the optimiser; the rest is taken from the trained one.
        momentum_steps: steps over which it rises to 1 by half a cosine, so that the second network comes to
            rest; none keeps it as it is.
    """

    momentum: Momentum = 0.996
    momentum_steps: PositiveInt | None = None


class ByolSettings(MomentumSettings):
    """BYOL: one view predicts what the momentum network makes of the other.

    Attributes:
        hidden: the width between the two layers of the projection, and of the prediction.
        projection: the width of what is predicted.
    """

    hidden: PositiveInt = 4096
    projection: PositiveInt = 256


class VicregSettings(UnlabelledSettings):
    """VICReg: two views shall be alike, no dimension constant, and no two of them correlated.

    Attributes:
        hidden: the width of the two hidden layers of the projection. The source took 8192 here and below,
            for a backbone of 2048 features.
        projection: the width of what is compared.
        invariance: the weight of the distance of the views; lambda in the source.
        variance: of the hinge on every dimension's standard deviation; mu.
        covariance: of the squared covariances; nu.
    """

    hidden: PositiveInt = 1024
    projection: PositiveInt = 1024
    invariance: NotNegative = 25.0
    variance: NotNegative = 25.0
    covariance: NotNegative = 1.0


class DinoSettings(MomentumSettings):
    """DINO: one view gives each prototype the probability that the momentum network gives it for the other.

    Attributes:
        hidden: the width of the hidden layers of the projection.
        bottleneck: of what is compared with the prototypes.
        prototypes: how many there are. The source took 65536, for ImageNet.
        temperature: of the trained network's softmax.
        teacher_temperature: of the momentum network's; the lower one makes it the surer one.
        center_momentum: what is left after a batch of the running mean that is taken off the momentum
            network's outputs, so that no prototype wins them all.
    """

    hidden: PositiveInt = 2048
    bottleneck: PositiveInt = 256
    prototypes: PositiveInt = 4096
    temperature: Positive = 0.1
    teacher_temperature: Positive = 0.04
    center_momentum: Momentum = 0.9
