"""Tissue of a fetus and of what carries it, and the zones that are outlined."""

from sonoprior.cases.phantom.tissue import Tissue

ZONES = (
    "skull",
    "brain",
    "midline echo",
    "cavum septi pellucidi",
    "thalami",
    "lateral ventricle",
    "choroid plexus",
    "cerebellum",
    "cisterna magna",
    "spine",
    "lungs",
    "heart",
    "abdomen",
    "stomach",
    "umbilical vein",
    "kidney",
    "femur",
    "placenta",
    "cervix",
)
REGIONS: dict[str, list[str]] = {
    "head": list(ZONES[:9]),
    "thorax": ["lungs", "heart"],
    "abdomen": ["abdomen", "stomach", "umbilical vein", "kidney"],
    "bones": ["spine", "femur"],
    "mother": ["placenta", "cervix"],
}
"""A grouping of the zones: the parts of the body."""


def zone_index(name: str) -> int:
    """Number of a zone in a zone map, from 1."""
    return ZONES.index(name) + 1


LIQUOR = Tissue(-42, 0.03, 0, wall=1.0, wall_mm=0.4, edge_mm=1.0)
PLACENTA = Tissue(1.5, 0.5, 2.4, wall=1.2, edge_mm=1.0)
SKIN = Tissue(3, 0.5, 1.5, wall=2.2, wall_mm=0.5, edge_mm=0.8)
FLESH = Tissue(-5, 0.5, 2.5, wall=0.6, edge_mm=1.0)
BONE = Tissue(12, 11.0, 1.0, wall=7.0, wall_mm=0.7, edge_mm=0.7)
RIB = Tissue(12, 5.0, 1.0, wall=5.0, wall_mm=0.6, edge_mm=0.7)
CARTILAGE = Tissue(-20, 0.4, 1.0, wall=0.6, edge_mm=0.8)
SKULL = Tissue(7, 4.0, 0.8, wall=9.0, wall_mm=0.7, edge_mm=0.8)
BRAIN = Tissue(-8, 0.35, 2.4, wall=1.5, edge_mm=0.8)
FALX = Tissue(4, 0.5, 0.8, wall=2.5, wall_mm=0.4, edge_mm=0.6)
SULCUS = Tissue(-2, 0.4, 1.0, wall=0.8, edge_mm=0.8)
CAVUM = Tissue(-38, 0.05, 0, wall=4.0, wall_mm=0.5, edge_mm=0.6)
THALAMUS = Tissue(-17, 0.3, 1.0, wall=0.5, wall_mm=0.8, edge_mm=1.6)
THIRD = Tissue(-34, 0.1, 0, wall=2.0, wall_mm=0.4, edge_mm=0.5)
VENTRICLE = Tissue(-38, 0.05, 0, wall=3.0, wall_mm=0.4, edge_mm=0.6)
CHOROID = Tissue(8, 0.4, 1.5, edge_mm=0.8)
CEREBELLUM = Tissue(-13, 0.35, 1.5, wall=1.0, wall_mm=0.5, edge_mm=0.8)
RIM = Tissue(1, 0.4, 1.0, wall=2.0, wall_mm=0.5, edge_mm=0.7)
VERMIS = Tissue(3, 0.4, 1.0, edge_mm=1.0)
CISTERN = Tissue(-38, 0.05, 0, edge_mm=0.8)
EYE = Tissue(-40, 0.05, 0, wall=2.5, wall_mm=0.4, edge_mm=0.5)
LUNG = Tissue(0, 0.45, 1.5, edge_mm=1.0)
MYOCARDIUM = Tissue(-11, 0.45, 1.5, wall=2.0, edge_mm=0.8)
BLOOD = Tissue(-40, 0.06, 0, wall=1.6, wall_mm=0.4, edge_mm=0.7)
VALVE = Tissue(2, 0.4, 0.5, wall=1.5, wall_mm=0.3, edge_mm=0.5)
LIVER = Tissue(-6, 0.5, 1.5, wall=0.8, edge_mm=1.0)
BOWEL = Tissue(-1, 0.55, 4.0, edge_mm=1.2)
STOMACH = Tissue(-42, 0.03, 0, wall=2.5, wall_mm=0.5, edge_mm=0.8)
VEIN = Tissue(-40, 0.05, 0, wall=3.5, wall_mm=0.5, edge_mm=0.6)
KIDNEY = Tissue(-12, 0.5, 1.8, wall=1.5, edge_mm=0.9)
CORD = Tissue(-4, 0.3, 1.0, wall=1.5, edge_mm=0.6)
