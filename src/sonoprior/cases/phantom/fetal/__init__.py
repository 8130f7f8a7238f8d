"""A phantom of the second and third trimester: the planes of a fetal scan, cut out of one model a patient."""

from .kit import KIT

__all__ = ["KIT"]
