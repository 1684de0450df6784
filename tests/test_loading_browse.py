"""Browsing the Hub by task, with the Hub played by `tests/hub.py` on the loopback.

Its address is read on import, so this runs in a process of its own:
`python -m tests.test_loading_browse` plays it and prints what came out.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub import child_environment

ROOT = Path(__file__).parents[1]
MODELS = {
    "me/large": {"pipeline_tag": "image-text-to-text", "downloads": 90, "likes": 1, "gated": "auto",
                 "createdAt": "2026-03-01T10:00:00.000Z", "cardData": {"license": "other"},
                 "safetensors": {"parameters": {"BF16": 7_000_000_000}, "total": 7_000_000_000}},
    "me/small": {"pipeline_tag": "image-text-to-text", "downloads": 50, "likes": 9, "gated": False,
                 "createdAt": "2026-01-01T10:00:00.000Z", "cardData": {"license": "mit"},
                 "safetensors": {"parameters": {"F32": 256_000_000}, "total": 256_000_000}},
    "me/bare": {"pipeline_tag": "image-text-to-text", "downloads": 1, "likes": 0, "gated": False},
    "me/words": {"pipeline_tag": "text-generation", "downloads": 900, "likes": 900, "gated": False},
    **{f"me/more-{n}": {"pipeline_tag": "image-text-to-text", "downloads": 0, "likes": 0,
                        "gated": False} for n in range(4)},
}  # fmt: skip


def play():
    from tests.hub import Hub

    hub = Hub()
    os.environ["HF_ENDPOINT"] = hub.url
    hub.about.update(MODELS)
    from vlm_helpers import loading

    out = {}

    def browse(label, **options):
        before = len(hub.requests)
        try:
            table = loading.browse(**options)
            out[label] = json.loads(table.to_json(orient="index"))
        except Exception as error:
            out[label] = [type(error).__name__, str(error)]
        out[label + " pages"] = len(hub.requests) - before - 1

    browse("all")
    browse("likes", sort="likes", limit=2)
    browse("named", search="SMALL")
    browse("no task", task="image-text-to-txt")
    browse("no name", search="nobody")
    browse("no sort", sort="size")
    browse("no limit", limit=0)
    for how in ("broken", "login page"):
        hub.fail("the listing", how)
        browse(how)
    hub.close()
    browse("unreachable")
    print(json.dumps(out))


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    done = subprocess.run(
        [sys.executable, "-m", "tests.test_loading_browse"],
        cwd=ROOT,
        env=child_environment(tmp_path_factory.mktemp("hub")) | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]) | {"said": done.stderr}


def test_the_models_of_a_task_come_page_by_page_the_most_downloaded_first(outcome):
    assert list(outcome["all"])[:3] == ["me/large", "me/small", "me/bare"]
    assert len(outcome["all"]) == 7  # three pages
    assert outcome["all pages"] == 3
    large, small, bare = (outcome["all"][f"me/{name}"] for name in ("large", "small", "bare"))
    assert (large["parameters"], large["license"], large["gated"]) == (7.0, "other", True)
    assert (small["downloads"], small["likes"], small["parameters"]) == (50, 9, 0.256)
    assert (bare["parameters"], bare["license"], bare["created"]) == (None, None, None)


def test_sorted_cut_off_and_searched(outcome):
    assert list(outcome["likes"]) == ["me/small", "me/large"]
    assert outcome["likes pages"] == 1
    assert list(outcome["named"]) == ["me/small"]


@pytest.mark.parametrize(
    "label, error, words",
    [
        ("no task", "ValueError", "no model under the task 'image-text-to-txt'"),
        ("no name", "ValueError", "whose name contains 'nobody'"),
        ("no sort", "ValueError", "sort must be"),
        ("no limit", "ValueError", "limit must be"),
        ("broken", "ConnectionError", "does not answer as it should"),
        ("login page", "ConnectionError", "vh.catalog.table()"),
        ("unreachable", "ConnectionError", "cannot be reached"),
    ],
)
def test_what_cannot_be_is_one_sentence(outcome, label, error, words):
    kind, text = outcome[label]
    assert kind == error and words in text
    assert text.endswith(".") and "\n" not in text


def test_without_a_network_the_client_is_not_heard_retrying(outcome):
    assert "Retrying" not in outcome["said"]


if __name__ == "__main__":
    play()
