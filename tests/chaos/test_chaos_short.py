"""The chaos suite in its short form: every kind of fault once. `make chaos` runs the long one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
TIMEOUT_S = 400


@pytest.mark.e2e
@pytest.mark.timeout(TIMEOUT_S + 10)
def test_nothing_is_lost_or_doubled_whatever_breaks() -> None:
    command = [sys.executable, "-m", "chaos", "--kills", "5", "--seed", "11", "--subnet", "127.61.2.0/24"]
    command += ["--miners", "20", "--pace", "0.2", "--faults", "2"]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["lost"], result["duplicated"], result["changed"]) == (0, 0, 0)
    assert result["kills"] >= 5
    assert result["samples"] > 0
    assert result["too_seldom"] == []
    # What this machine cannot break is said, not passed over.
    assert all(line in done.stderr for line in result["skipped"])
