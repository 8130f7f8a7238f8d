"""A phantom of early pregnancy: simulated exams that look and behave like ultrasound."""

from .generate import make_phantom
from .settings import VERSION, Confounder, PhantomSettings

__all__ = ["VERSION", "Confounder", "PhantomSettings", "make_phantom"]
