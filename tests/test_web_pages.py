"""`data/web-pages/`: the HTML is the recipe's, says what the screens say, and fits the PNGs."""

import json

import numpy as np
import pytest
from PIL import Image

from recipes import web_pages
from recipes.experiments import web_pages as experiment
from vlm_helpers import pages

NAMES = [*map(str, web_pages.SEEDS), "notice"]
BOXES = json.loads((web_pages.FOLDER / "boxes.json").read_text(encoding="utf-8"))


def stored(name):
    return (web_pages.FOLDER / f"{name}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("seed", web_pages.SEEDS)
def test_a_page_is_what_the_recipe_writes_and_says_what_the_drawn_screen_says(seed):
    assert stored(seed) == web_pages.html(seed)
    facts, drawn = web_pages.read(stored(seed)), web_pages.page(seed).fields
    assert facts == {name: value for name, value in drawn.items() if name not in ("app", "icons")}


def test_the_notice_changes_no_fact():
    first = web_pages.SEEDS[0]
    assert stored("notice") == web_pages.html(first, notice=True) != stored(first)
    assert web_pages.read(stored("notice")) == web_pages.read(stored(first))
    assert web_pages.visible(stored("notice")).endswith(web_pages.NOTICE)
    assert "sold out" not in web_pages.visible(stored("notice"))


@pytest.mark.parametrize("name", NAMES)
def test_pages_are_single_files_without_scripts(name):
    assert not any(word in stored(name) for word in ("<script", "http", "url(", "src="))


@pytest.mark.parametrize("name", NAMES)
def test_every_box_holds_ink_and_the_picture_fits_the_tiles(name):
    picture = Image.open(web_pages.FOLDER / f"{name}.png")
    assert picture.size == (web_pages.SIDE,) * 2 and picture.size in pages.SIZES
    grey = np.asarray(picture.convert("L"), dtype=float)
    for element, box in BOXES[name].items():
        x0, y0, x1, y1 = (round(v * web_pages.SIDE) for v in box)
        part = grey[y0:y1, x0:x1]
        if (name, element) != ("notice", "rows.2"):  # the one that is covered
            assert np.ptp(part[2:-2, 2:-2]) > 60, element
    beside = [BOXES[name][key] for key in BOXES[name] if key.startswith("buttons")]
    assert len({box[1] for box in beside}) == 1  # leftmost and rightmost are unambiguous
    assert beside == sorted(beside)


def test_boxes_have_the_names_of_the_drawn_elements():
    for seed in web_pages.SEEDS:
        drawn = web_pages.page(seed)
        assert all(drawn.get(name) for name in BOXES[str(seed)])
    assert set(BOXES) == set(NAMES)


def test_questions_have_their_answers_among_the_candidates_and_none_comes_twice():
    for picture in ("drawn", "browser"):
        items = experiment.questions(picture)
        assert len({(item["seed"], item["question"]) for item in items}) == len(items)
        for item in items:
            if item["skill"] == "click":
                assert any(experiment.score(one, item) for one in item["candidates"])
            elif item["skill"] != "read":
                assert item["answer"] in item["candidates"]
    assert {item["skill"] for item in items} >= {"tab", "ticked", "price", "click", "read"}


def test_what_is_too_long_for_the_picture_is_refused(monkeypatch):
    dom = 'boxes:{"buttons.3": [0.9, 0.5, 1.1, 0.6]};'
    monkeypatch.setattr(web_pages, "_chromium", lambda *_: dom)
    with pytest.raises(ValueError, match="buttons.3 does not lie within the picture"):
        web_pages.boxes("<body></body>")


def test_a_changed_file_is_named(tmp_path):
    for path in web_pages.FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert web_pages.differences(tmp_path) == []
    with Image.open(tmp_path / "218.png") as picture:
        changed = picture.convert("RGB")
    changed.putpixel((5, 5), (1, 2, 3))
    changed.save(tmp_path / "218.png")
    (tmp_path / "notice.html").write_text("else")
    assert web_pages.differences(tmp_path) == ["218.png", "notice.html"]


def test_the_card_says_what_is_there_and_the_folder_is_small():
    card = (web_pages.FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(font in card for font in web_pages.FONTS) and "Chromium 1" in card
    assert "python -m recipes.web_pages" in card
    assert sum(path.stat().st_size for path in web_pages.FOLDER.iterdir()) < 300_000


def test_without_a_browser_nothing_is_written(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(web_pages, "write", None)
    with pytest.raises(SystemExit, match="no chromium on the path"):
        web_pages.main([])
