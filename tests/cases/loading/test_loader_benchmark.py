import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "loader.py"


@pytest.mark.long
def test_the_loader_delivers_five_times_what_a_small_network_uses(tmp_path):
    command = [sys.executable, SCRIPT, "--rounds", "5", "--cases", "128", "--out", tmp_path / "loader.md"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| ratio of loader to training, alone |" in (tmp_path / "loader.md").read_text()
