"""Loading from the Hub, played by `tests/hub.py` on the loopback.

The address of the Hub is read when its client is imported, so the scenes run in a process of
their own: `python -m tests.test_loading_hub FOLDER` plays them and prints what came out.
"""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hub import child_environment
from vlm_helpers.loading._hub import sentences

ROOT = Path(__file__).parents[1]
LONGEST = 15.0  # seconds that pass between tries: the client alone lets 23 pass


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    done = subprocess.run(
        [sys.executable, "-m", "tests.test_loading_hub", str(folder)],
        env=child_environment(folder / "cache"),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # Whatever the libraries printed while models were loaded stands in front of the last line.
    *printed, last = done.stdout.splitlines()
    outcome = json.loads(last)
    outcome["printed"] = "\n".join(printed) + done.stderr
    return outcome


# ── the scenes, in the other process ─────────────────────────────────────────────────────────────

CODE = """
from transformers import LlavaConfig, LlavaForConditionalGeneration
class OwnConfig(LlavaConfig):
    model_type = "own_llava"
class OwnModel(LlavaForConditionalGeneration):
    config_class = OwnConfig
"""


def recorder(outcome):
    from vlm_helpers.loading import load

    waited, sleep = [], time.sleep
    time.sleep = lambda seconds: (waited.append(seconds), sleep(seconds))

    def record(label, *args, hub=None, **options):
        before = len(hub.requests) if hub else 0
        waited.clear()
        try:
            vlm = load(*args, device="cpu", **options)
            result = {"name": vlm.card.name, "revision": vlm.card.revision}
            result["answer"] = vlm.ask(None, "What?", max_new_tokens=6)
        except Exception as error:
            result = {"error": type(error).__mro__[0].__name__, "text": str(error)}
        result["waited"] = sum(waited)
        result["requests"] = hub.requests[before:] if hub else []
        outcome[label] = result

    return record


def play(folder, outcome):
    from tests.hub import Hub

    hub = Hub()
    os.environ["HF_ENDPOINT"] = hub.url
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import save

    from tests import tiny
    from vlm_helpers import _memory, loading
    from vlm_helpers.loading import _hub
    from vlm_helpers.loading._load import quiet

    record = recorder(outcome)
    with quiet():
        source = tiny.llava(folder / "source")
        tiny.llama(folder / "llama")
    whole = {path.name: path.read_bytes() for path in source.iterdir()}
    small = {k: v for k, v in whole.items() if not k.endswith(".safetensors")}

    # a model with files that must not be fetched
    extra = {"onnx/model.onnx": b"x", "other.safetensors": b"x", "pytorch_model.bin": b"x"}
    outcome["first"] = first = hub.add("me/model", {**whole, **extra, "README.md": b"x"})
    outcome["estimate"] = loading.estimate_memory("me/model")
    outcome["estimate_bytes"] = sum(size for method, _, size in hub.requests if method == "GET")
    record("fresh", "me/model", hub=hub)
    record("cached", "me/model", hub=hub)
    record("pinned", "me/model", revision=first, hub=hub)
    outcome["second"] = hub.add("me/model", whole | {"README.md": b"y"})
    record("moved on", "me/model")
    record("the old one", "me/model", revision=first)
    outcome["local"] = loading.load(source, device="cpu").ask(None, "What?", max_new_tokens=6)
    _hub.BAR_FROM, kept = 0, _hub.BAR_FROM
    hub.add("me/large", whole)
    print("BAR", file=sys.stderr)
    record("large", "me/large")
    print("END", file=sys.stderr)
    _hub.BAR_FROM = kept

    # pushed by its own tools
    vlm = loading.load(source, device="cpu")
    named = {k: v.clone() for k, v in vlm.model.state_dict().items()}
    with quiet():
        vlm.model.push_to_hub("me/pushed", token="hf_none", max_shard_size="100KB")
        vlm.processor.push_to_hub("me/pushed", token="hf_none")
        network = get_peft_model(vlm.model, LoraConfig(r=2, target_modules=["q_proj"]))
        network.peft_config["default"].base_model_name_or_path = "me/pushed"
        network.push_to_hub("me/adapter", token="hf_none")
    record("pushed", "me/pushed")
    record("adapter", "me/pushed", adapter="me/adapter")
    record("adapter of another", "me/model", adapter="me/adapter")

    # code of its own
    config = json.loads(whole["config.json"]) | {"model_type": "own_llava"}
    config["auto_map"] = {
        "AutoConfig": "own.OwnConfig",
        "AutoModelForImageTextToText": "own.OwnModel",
    }
    own = whole | {
        "config.json": json.dumps(config).encode(),
        "own.py": CODE.encode(),
        "model.safetensors": save(named, metadata={"format": "pt"}),
    }
    commit = hub.add("me/own", own)
    record("own code", "me/own")
    record("own code on main", "me/own", trust_remote_code=True, revision="main")
    record("own code pinned", "me/own", trust_remote_code=True, revision=commit)
    other = {k: f"me/else--{v}" for k, v in config["auto_map"].items()}
    hub.add("me/else", own)
    swapped = json.dumps(config | {"auto_map": other}).encode()
    commit = hub.add("me/borrowed", own | {"config.json": swapped})
    record("own code elsewhere", "me/borrowed", trust_remote_code=True, revision=commit)

    # what is wrong
    hub.add("me/text", folder / "llama")
    hub.add("me/bin", small | {"pytorch_model.bin": b"x" * 100})
    hub.add("me/cut", whole | {"model.safetensors": whole["model.safetensors"][:-1000]})
    damaged = (9).to_bytes(8, "little") + b"nonsense!"
    hub.add("me/damaged", whole | {"model.safetensors": damaged})
    hub.add("me/bare", {k: v for k, v in whole.items() if "processor" not in k})
    hub.add("me/readme", {"README.md": b"x"})
    for how in ("gated", "forbidden", "broken"):
        hub.add(f"me/{how}", whole)
        hub.fail(f"me/{how}", how)
    for name in ("text", "bin", "cut", "damaged", "bare", "readme", "gated", "forbidden", "broken"):
        record(name, f"me/{name}", hub=hub)
    record("unknown", "me/unknown")
    record("no revision", "me/model", revision="v9")
    record("no commit", "me/model", revision="0" * 40)
    record("adapter unknown", "me/model", adapter="me/unknown")

    # others answer in its place, or it answers byte by byte
    for how in ("login page", "drip", "drip content"):
        hub.add(f"me/{how.replace(' ', '-')}", whole)
        hub.fail(f"me/{how.replace(' ', '-')}", how)
    record("login page", "me/login-page")
    hub.fail("me/model", "login page")
    record("login page but cached", "me/model")
    hub.failing.clear()
    for how in ("drip", "drip-content"):
        hub.fail(f"me/{how}", how.replace("-", " "))
    patient = _hub.ANSWER, _hub.FILES
    _hub.ANSWER = _hub.FILES = 1.0
    record("drip", "me/drip")
    record("drip content", "me/drip-content")
    _hub.ANSWER, _hub.FILES = patient
    for status in (301, 307):
        hub.renamed[f"me/before-{status}"] = "me/model", status
        record(f"renamed {status}", f"me/before-{status}")
    hub.add("me/moved", whole)
    hub.fail("me/moved", "moved")
    record("moved", "me/moved")
    from huggingface_hub import constants

    cache, constants.HF_HUB_CACHE = constants.HF_HUB_CACHE, str(folder / "source" / "config.json")
    record("cache is a file", "me/model")
    constants.HF_HUB_CACHE = cache
    for how in ("gated", "forbidden", "broken"):
        hub.fail(f"me/{how}", how)

    # the memory is refused before weights are fetched
    hub.add("me/big", whole)
    fits, _memory.TRIFLE, _memory.free_memory = _memory.free_memory, 0, lambda device: 0.01
    record("big", "me/big", hub=hub)
    _memory.free_memory = fits

    hub.fail("me/model", "broken")  # down, but in the cache
    record("down but cached", "me/model")
    constants.HF_HUB_OFFLINE = True  # what the variable of that name sets: Binder has it
    for name in ("model", "pushed", "never", "big", "gated"):
        record(f"offline {name}", f"me/{name}", hub=hub)
    constants.HF_HUB_OFFLINE = False

    hub.close()
    record("dead but cached", "me/model")
    record("dead but pinned", "me/model", revision=first)
    record("dead", "me/never")
    record("dead and half there", "me/big")
    record("dead and unknown commit", "me/model", revision="1" * 40)


if __name__ == "__main__":
    outcome = {}
    play(Path(sys.argv[1]), outcome)
    print(json.dumps(outcome))


# ── what came out ────────────────────────────────────────────────────────────────────────────────


def test_a_model_from_the_hub_answers_as_from_its_folder(played):
    found = ("fresh", "cached", "pinned", "moved on", "the old one", "large", "pushed")
    for label in (*found, "renamed 301", "renamed 307"):
        assert played[label].get("answer") == played["local"], played[label]
    for label in ("fresh", "cached", "pinned", "the old one"):
        assert played[label]["revision"] == played["first"]
    assert played["moved on"]["revision"] == played["second"]


def test_only_what_is_needed_is_fetched_and_only_once(played):
    fetched = [path for method, path, _ in played["fresh"]["requests"] if method == "GET"]
    assert any("model.safetensors" in path for path in fetched)
    unwanted = ("onnx", "other.safetensors", ".bin", "README")
    assert not [path for path in fetched if any(name in path for name in unwanted)]
    assert not [
        path
        for method, path, _ in played["cached"]["requests"]
        if "resolve" in path and method == "GET"
    ]
    assert played["pinned"]["requests"] == []


def test_the_estimate_fetches_headers_only(played):
    assert 0.25 < played["estimate"] < 0.26
    assert played["estimate_bytes"] < 120_000


def test_nothing_is_printed_except_the_progress_of_a_long_download(played):
    before, _, rest = played["printed"].partition("BAR\n")
    during, _, _ = rest.partition("END\n")
    assert before.strip() == ""
    assert "%|" in during and "100%" in during


def test_adapters_from_the_hub(played):
    assert played["adapter"]["answer"] == played["local"]  # a fresh one changes nothing
    assert played["adapter of another"]["error"] == "ValueError"
    assert (
        "was trained on me/pushed, and does not fit me/model"
        in played["adapter of another"]["text"]
    )
    assert played["adapter unknown"]["error"] == "FileNotFoundError"


def test_code_runs_only_at_a_commit_of_its_own_repository(played):
    assert played["own code"]["error"] == "ValueError"
    assert "code from its own repository" in played["own code"]["text"]
    assert "40 digits" in played["own code on main"]["text"]
    assert played["own code pinned"].get("answer") == played["local"], played["own code pinned"]
    assert played["own code elsewhere"]["error"] in ("OSError", "FileNotFoundError", "ValueError")


@pytest.mark.parametrize(
    "label, kind, says",
    [
        ("text", "ValueError", "a text-only model (LlamaForCausalLM)"),
        ("bin", "OSError", "no weights as safetensors"),
        ("cut", "OSError", "model.safetensors is truncated"),
        ("damaged", "OSError", "damaged"),
        ("bare", "FileNotFoundError", "processor_config.json"),
        ("readme", "FileNotFoundError", "no config.json"),
        ("gated", "PermissionError", "accept its licence"),
        ("forbidden", "PermissionError", "hf auth login"),
        ("broken", "ConnectionError", "error 500"),
        ("unknown", "FileNotFoundError", "check the spelling"),
        ("no revision", "FileNotFoundError", "no revision 'v9'"),
        ("no commit", "FileNotFoundError", "no revision '000"),
        ("big", "MemoryError", "0.0 GiB are free"),
        ("dead", "ConnectionError", "the Hub cannot be reached"),
        ("login page", "ConnectionError", "is not the Hub but perhaps a login page"),
        ("moved", "ConnectionError", "is not the Hub but perhaps a login page"),
        ("drip", "ConnectionError", "the Hub answers too slowly"),
        ("drip content", "ConnectionError", "the Hub answers too slowly"),
        ("cache is a file", "OSError", "set HF_HOME"),
        ("dead and half there", "ConnectionError", "the Hub cannot be reached"),
        ("dead and unknown commit", "ConnectionError", "the Hub cannot be reached"),
    ],
)
def test_what_goes_wrong_is_one_sentence(played, label, kind, says):
    result = played[label]
    assert result.get("error") == kind and says in result["text"], result
    assert "\n" not in result["text"] and result["waited"] < LONGEST


def test_no_weights_are_fetched_for_what_is_refused(played):
    for label in ("text", "bare", "big", "gated"):
        for method, path, size in played[label]["requests"]:
            # A header is read in one piece of 100 kB.
            assert "safetensors" not in path or method == "HEAD" or size <= 100_001


def test_the_cache_serves_while_the_hub_is_down_or_gone(played):
    for result in (
        played["down but cached"],
        played["login page but cached"],
        played["dead but cached"],
        played["dead but pinned"],
        played["offline model"],
        played["offline pushed"],
    ):
        assert result.get("answer") == played["local"], result
        assert result["waited"] < LONGEST


@pytest.mark.parametrize("name", ["never", "big", "gated"])
def test_offline_what_is_not_there_is_one_sentence(played, name):
    result = played[f"offline {name}"]
    assert result.get("error") == "ConnectionError", result
    assert "the Hub cannot be reached" in result["text"] and result["waited"] < LONGEST


def test_offline_nothing_is_asked(played):
    assert not [
        result
        for label, result in played.items()
        if label.startswith("offline") and result["requests"]
    ]


@pytest.mark.parametrize(
    "number, kind",
    [(errno.ENOSPC, OSError), (errno.EACCES, PermissionError), (errno.EROFS, OSError)],
)
def test_a_cache_that_cannot_be_written_is_named_with_its_remedy(number, kind):
    from huggingface_hub.constants import HF_HUB_CACHE

    with pytest.raises(kind, match=f"me/model .*{HF_HUB_CACHE} .*set HF_HOME"):
        with sentences("me/model"):
            raise OSError(number, os.strerror(number), "some/blob")
