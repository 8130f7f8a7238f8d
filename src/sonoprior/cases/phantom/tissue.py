"""Kinds of tissue, the zones that are outlined, and structures made of them."""

from dataclasses import dataclass

from .geometry import Shape

ZONES = (
    "amniotic sac",
    "embryo",
    "gestational sac",
    "midline echo",
    "ovary",
    "uterus borders",
    "yolk sac",
    "cervix external ostium",
    "endometrium",
    "trophoblast",
)
KEEP = -1  # a structure that leaves the zone below it as it is
NO_ZONE = 0


def zone_index(name: str) -> int:
    """Number of a zone in a zone map, from 1."""
    return ZONES.index(name) + 1


@dataclass(frozen=True)
class Tissue:
    """What a kind of tissue does to sound.

    Attributes:
        echo_db: echogenicity against myometrium, dB.
        attenuation: dB/cm/MHz.
        texture_db: standard deviation of its slow variations, dB.
        wall: amplitude of its mirror-like surface at right angles to the beam, myometrium's speckle = 1.
        wall_mm: thickness of that surface.
        edge_mm: width over which it passes into its surroundings.
    """

    echo_db: float
    attenuation: float = 0.55
    texture_db: float = 1.5
    wall: float = 0.0
    wall_mm: float = 0.35
    edge_mm: float = 0.8


MYOMETRIUM = Tissue(0, 0.6, 2.2, wall=3.0, wall_mm=0.5, edge_mm=1.5)
CERVIX = Tissue(-2.0, 0.6, 1.8, wall=0.8, edge_mm=1.5)
MUCOSA = Tissue(5.5, 0.55, 1.2, wall=0.4)
ENDOMETRIUM = Tissue(7, 0.55, 2.0, edge_mm=1.6)
LINE = Tissue(9, 0.6, 0.8, wall=2.5, wall_mm=0.4, edge_mm=0.5)
TROPHOBLAST = Tissue(9, 0.6, 2.0, wall=0.5, edge_mm=1.0)
FLUID = Tissue(-44, 0.02, 0, wall=2.0, wall_mm=0.3, edge_mm=0.9)
URINE = Tissue(-46, 0.02, 0, wall=3.0, wall_mm=0.4, edge_mm=1.2)
BLADDER_WALL = Tissue(1, 0.5, 1.0, wall=1.5, edge_mm=1.0)
MEMBRANE = Tissue(-42, 0.02, 0, wall=1.1, wall_mm=0.22, edge_mm=0.4)
YOLK_WALL = Tissue(5, 0.4, 0.5, wall=1.8, wall_mm=0.3, edge_mm=0.5)
EMBRYO = Tissue(4, 0.5, 3.0, wall=1.5, wall_mm=0.4, edge_mm=0.7)
SPINE = Tissue(10, 1.6, 1.0, wall=2.5, edge_mm=0.5)
BONE = Tissue(2, 6.0, 1.0, wall=6.0, wall_mm=0.8, edge_mm=1.0)
OVARY = Tissue(-2.5, 0.5, 2.5, wall=1.5, edge_mm=1.5)
FOLLICLE = Tissue(-44, 0.02, 0, wall=2.5, wall_mm=0.3, edge_mm=0.5)
CORPUS_LUTEUM = Tissue(3, 0.5, 2.0, wall=0.6, edge_mm=1.0)
LUTEAL_CORE = Tissue(-14, 0.25, 5.0, edge_mm=2.0)
TUBE_WALL = Tissue(3.5, 0.5, 1.0, wall=1.2, edge_mm=0.7)
TUBE_LINE = Tissue(9, 0.5, 0.5, wall=2.0, edge_mm=0.6)
VESSEL = Tissue(-34, 0.08, 0, wall=2.5, wall_mm=0.4, edge_mm=0.6)
PARAMETRIUM = Tissue(5.0, 0.5, 3.5)
BOWEL_WALL = Tissue(-7, 0.6, 1.0, wall=1.0, edge_mm=0.8)
BOWEL_CONTENT = Tissue(6, 0.7, 4.5, edge_mm=1.6)
GAS = Tissue(9, 5.0, 4.0, wall=7.0, wall_mm=0.6, edge_mm=0.8)
BLOOD = Tissue(-12, 0.2, 6.0, edge_mm=1.2)
CLOT = Tissue(-1, 0.4, 6.0, edge_mm=1.5)
FIBROID = Tissue(-5, 1.3, 3.5, wall=1.2, edge_mm=1.5)
MOLE = Tissue(8, 0.35, 2.5, edge_mm=1.0)
SCAR = Tissue(-7, 1.1, 2.0, edge_mm=1.0)
SKIN = Tissue(6, 0.8, 1.0, wall=3.0)
FAT = Tissue(-4, 0.5, 3.0, wall=1.5)
MUSCLE = Tissue(-6, 0.8, 2.0, wall=3.0)
PERITONEUM = Tissue(6, 0.5, 1.0, wall=4.0)
VAGINA = Tissue(0.5, 0.7, 2.0, wall=1.0, edge_mm=1.2)


@dataclass(frozen=True)
class Structure:
    """A shape of one tissue; `zone` is the outlined zone it belongs to, `KEEP` or `NO_ZONE`."""

    shape: Shape
    tissue: Tissue
    zone: int = NO_ZONE
