"""What scenes and pages promise alike."""

import os
import subprocess
import sys

CODE = """
from vlm_helpers import pages, scenes
for world in (pages, scenes):
    for sample in map(world.sample, range(20)):
        print(sample, sample.questions(), sample.messages(turns=3)["messages"])
"""


def test_hash_seed_and_process_do_not_matter():
    runs = {
        subprocess.run(
            [sys.executable, "-c", CODE], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    (drawn,) = runs
    assert "Page(" in drawn and "SceneObject(" in drawn
