"""A phantom: simulated exams of early pregnancy, abdomen and fetus that look and behave like ultrasound."""

from .generate import make_phantom
from .kit import KITS
from .settings import VERSION, Confounder, PhantomSettings

__all__ = ["KITS", "VERSION", "Confounder", "PhantomSettings", "make_phantom"]
