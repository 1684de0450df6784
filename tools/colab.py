"""Run notebooks as Colab would: on its versions, in an empty folder, by their own set-up cells.

    python -m tools.colab PYTHON [notebooks]    by default all

PYTHON is the interpreter of an environment with torch and what `tools/colab.txt` lists: `make
colab` makes one. Each notebook is given the set-up cell that it has once the course has an address,
with this checkout in the address's place, and a first cell that does what Colab has done before: it
imports `google.colab`, an empty stand-in here, and what the real one imports. So pip really
installs the package, as it is committed, under a session that runs, and `vlm_helpers.colab` really
adds what is missing. What one notebook installed is taken back before the next.
docs/machines.md says what such a replica lacks.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tools import links

ROOT = Path(__file__).resolve().parent.parent
IMAGE = ROOT / "tools" / "colab.txt"
ADDED = "vlm-helpers", "trl"  # by the set-up cells; Colab has neither
BEFORE = "import google.colab, numpy, PIL, psutil, requests"
WATCHED = "numpy", "torch", "transformers", "datasets", "pyarrow", "peft", "vlm-helpers"
VERSIONS = "from importlib.metadata import version\nprint({name: version(name) for name in %r})"


class Kernels(KernelSpecManager):
    """Knows one kernel: that of the replica."""

    python = ""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        argv = [self.python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, language="python", display_name="Colab")


def stand_in(python: str) -> None:
    """Put an empty package google.colab into the environment."""
    code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    packages = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    folder = Path(packages.stdout.strip()) / "google" / "colab"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "__init__.py").touch()


def renew(python: str) -> None:
    """Make the environment what Colab starts with, whatever a notebook before has installed.

    The course goes first: pip leaves a package of the same version as it is, whatever its commit.
    """
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "uninstall", "--quiet", "--yes", *ADDED], check=True)
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "-r", str(IMAGE)], check=True)


def as_on_colab(path: Path) -> nbformat.NotebookNode:
    """The notebook with the set-up cell of a course that has an address: this checkout's."""
    slug = "colab/replica"
    text = links.with_address(path.read_text(encoding="utf-8"), slug)
    notebook = nbformat.reads(text.replace(f"https://github.com/{slug}", ROOT.as_uri()), 4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(BEFORE))
    notebook.cells.append(nbformat.v4.new_code_cell(VERSIONS % (WATCHED,)))
    return notebook


def run(path: Path, python: str) -> str:
    """Run one notebook; returns the versions that it ended with. Raises CellExecutionError."""
    renew(python)
    kernels = Kernels()
    kernels.python = python
    manager = AsyncKernelManager(kernel_name="colab", kernel_spec_manager=kernels)
    notebook = as_on_colab(path)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=None,
            startup_timeout=900,  # busy machines are slow
            resources={"metadata": {"path": folder}},
        )
        client.execute(cleanup_kc=True)
    return notebook.cells[-1].outputs[0].text.strip()


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0].startswith("-"):
        raise SystemExit(__doc__)
    python, *names = arguments
    paths = [
        path for n in names or [""] for path in sorted((ROOT / "notebooks").glob(f"{n}*.ipynb"))
    ]
    stand_in(python)
    failed = 0
    for path in paths:
        try:
            print(f"{path.name} ran, with {run(path, python)}", flush=True)
        except CellExecutionError as error:
            failed += 1
            print(f"{path.name} failed: {str(error)[-1500:]}", flush=True)
    return bool(failed or not paths)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
