"""The organs of the abdomen: their names, and what their tissues do to sound."""

from sonoprior.cases.phantom.tissue import Tissue

ORGANS = ("liver", "kidney", "gallbladder", "pancreas", "spleen", "bladder")
OTHER = "other"

LIVER = Tissue(0, 0.5, 1.0, wall=1.2, edge_mm=1.0)
HEPATIC_VEIN = Tissue(-30, 0.1, 0, wall=0.5, wall_mm=0.3, edge_mm=0.9)
PORTAL_SHEATH = Tissue(7.5, 0.5, 1.0, wall=1.0, edge_mm=0.8)
PORTAL_BLOOD = Tissue(-29, 0.1, 0, wall=1.2, wall_mm=0.4, edge_mm=0.8)
GALLBLADDER_WALL = Tissue(4, 0.5, 1.0, wall=0.8, edge_mm=0.8)
BILE = Tissue(-46, 0.02, 0, wall=2.2, wall_mm=0.4, edge_mm=0.8)
STONE = Tissue(9, 7.0, 1.0, wall=6.0, wall_mm=0.7, edge_mm=0.6)
SLUDGE = Tissue(-9, 0.4, 2.0, edge_mm=1.5)
PERIRENAL = Tissue(5, 0.5, 2.5, wall=0.8, edge_mm=1.5)
CORTEX = Tissue(-4, 0.5, 1.2, wall=2.0, edge_mm=1.0)
PYRAMID = Tissue(-11, 0.45, 1.0, edge_mm=2.2)
SINUS = Tissue(9, 0.6, 3.5, edge_mm=2.6)
CYST = Tissue(-45, 0.02, 0, wall=2.5, wall_mm=0.4, edge_mm=0.7)
SPLEEN = Tissue(1.5, 0.45, 0.8, wall=1.8, edge_mm=1.0)
PANCREAS = Tissue(4, 0.5, 2.8, wall=0.4, edge_mm=1.5)
DUCT = Tissue(-25, 0.1, 0, wall=1.0, wall_mm=0.3, edge_mm=0.6)
LUMEN = Tissue(-34, 0.08, 0, wall=2.2, wall_mm=0.5, edge_mm=0.7)
ARTERY_WALL = Tissue(6, 0.5, 0.5, wall=1.5, edge_mm=0.7)
FATTY = Tissue(3, 0.6, 3.5, wall=1.5)
LUNG = Tissue(3, 2.6, 3.0, edge_mm=1.5)
DIAPHRAGM = Tissue(10, 0.6, 1.0, wall=5.0, wall_mm=0.9, edge_mm=0.8)
STOMACH_WALL = Tissue(-6, 0.6, 1.0, wall=1.5, edge_mm=1.0)
STOMACH_CONTENT = Tissue(-6, 0.6, 4.5, edge_mm=1.5)
PELVIC_ORGAN = Tissue(-2, 0.6, 2.5, wall=1.5, edge_mm=1.5)


def organ_index(name: str) -> int:
    """Number of an organ in a zone map, from 1."""
    return ORGANS.index(name) + 1
