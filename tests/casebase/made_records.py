"""Made cases for tests of a store: views of patients, each with an embedding."""

import numpy as np

from sonoprior.casebase.record import Record

VIEWS = ("left", "right", "middle")


def made_record(number: int, set_name: str = "set") -> Record:
    """A case; four of a patient in two exams, views in turn, and every third without exam and caption."""
    patient, exam = number // 4, number // 2
    known = number % 3 > 0
    facts = {
        "set": [set_name],
        "case": [f"c{number}"],
        "patient": [f"p{patient}"],
        "label.view": [VIEWS[number % 3]],
        "terms": [VIEWS[number % 3], f"finding {number % 5}"],
    }
    if known:
        facts["exam"] = [f"e{exam}"]
    return Record(
        key=f"{set_name}/c{number}",
        group=f"{set_name}/patient:p{patient}",
        exam=f"{set_name}/e{exam}" if known else None,
        facts=facts,
        caption=f"Größe {number}" if known else "",
        source={"root": "/data/set", "image": f"images/c{number}.png"},
        thumbnail=b"\xff\xd8" + bytes([number % 256]) * 300,
    )


def made_records(count: int, start: int = 0, set_name: str = "set") -> list[Record]:
    """Several."""
    return [made_record(number, set_name) for number in range(start, start + count)]


def made_vectors(count: int, dimension: int = 8, seed: int = 0) -> np.ndarray:
    """(count, dimension) of length 1."""
    drawn = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
