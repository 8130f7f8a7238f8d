"""An exam: a patient, her machine, which planes are kept, and each as a picture."""

from dataclasses import dataclass, replace

import numpy as np

from sonoprior.cases.phantom.burnt_in import burn, drawn
from sonoprior.cases.phantom.physics import complex_noise
from sonoprior.cases.phantom.probes import beam_grid
from sonoprior.cases.phantom.scanner import Picture, Scanner, draw_scanner, seen
from sonoprior.core.randomness import generator

from .mother import abdominal_wall, vaginal_wall
from .patient import Patient, draw_patient
from .planes import VIEWS, View
from .poses import pose, screen

_TICK_MM = 10.0


@dataclass(frozen=True)
class Exam:
    """One exam of one patient.

    Attributes:
        seed: of the population.
        number: of the patient.
        patient: herself.
        scanner: the machine with its abdominal probe.
    """

    seed: int
    number: int
    patient: Patient
    scanner: Scanner

    @property
    def vaginal(self) -> Scanner:
        """The same machine with its endocavity probe."""
        return replace(self.scanner, probe=self.scanner.style.probes["endocavity"])


@dataclass(frozen=True)
class Frame:
    """A picture, what it was meant to show, and with which machine and probe."""

    picture: Picture
    view: View
    scanner: Scanner


def draw_exam(seed: int, number: int) -> Exam:
    """The exam of patient `number` of a population; everything of it follows from the arguments."""
    scanner = draw_scanner(generator(seed, "fetal exam", number), "convex", (8, 8))
    return Exam(seed, number, draw_patient(seed, number), scanner)


def draw_views(seed: int, number: int, count: int) -> list[View]:
    """Which planes the exam of patient `number` of a population keeps: as often as in real exams."""
    rng = generator(seed, "fetal views", number)
    share = np.array([view.images for view in VIEWS], float)
    return [VIEWS[int(i)] for i in rng.choice(len(VIEWS), count, p=share / share.sum())]


def take(exam: Exam, view: View, number: int, size: int) -> Frame:
    """Frame `number` of an exam; it depends on nothing but the arguments.

    Args:
        exam: of whom.
        view: what to take.
        number: of the frame in the exam.
        size: pixels in each direction.
    """
    rng = generator(exam.seed, "fetal frame", exam.number, number)
    aim = view.find(exam.patient, rng)
    held = pose(exam.patient, aim, rng)
    scanner = exam.vaginal if aim.vaginal else exam.scanner
    shown = screen(aim, held.depth, size, rng)
    grid = beam_grid(scanner.probe, shown)
    centre, radius = held.probe_centre(scanner.probe), scanner.probe.radius_mm
    wall = (
        vaginal_wall(centre, radius) if aim.vaginal else abdominal_wall(exam.patient.mother, centre, radius)
    )
    body = replace(exam.patient.body, structures=[*exam.patient.body.structures, *wall])
    brightness = scanner.mean_grey * float(np.exp(rng.normal(0, 0.1)))
    looks = [complex_noise(rng) for _ in range(scanner.style.looks)]
    inverted = scanner.habits.inverted
    image, zones = seen(body, scanner.style, held.plane, grid, looks, brightness, rng, inverted=inverted)
    overlays = drawn(scanner.habits, scanner.style, round(shown.height_mm / _TICK_MM), size, rng)
    return Frame(Picture(burn(image, overlays), zones, overlays, grid.sector), view, scanner)
