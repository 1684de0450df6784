"""Runs a module as a script, and fails where one of Gloo's threads outlives the process group.

    accelerate launch --config_file recipes/accelerate/cpu.yaml -m tests.to_its_end recipes.sft …

Such a thread may want Python's lock while somebody who holds it waits for the thread, or when there
is no Python any more: now and then the process then waits for ever, or aborts.
"""

import runpy
import sys
from pathlib import Path

import torch.distributed

destroy = torch.distributed.destroy_process_group


def checked(*args):
    destroy(*args)
    threads = [file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")]
    left = [name for name in threads if "gloo" in name]
    assert not left, f"Left behind: {left}. Who still holds the process group?"


if __name__ == "__main__":
    torch.distributed.destroy_process_group = checked
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    assert not torch.distributed.is_initialized(), "The process group was not destroyed."
