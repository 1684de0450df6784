"""The fonts of pages: the table says what the files hold, and layouts follow the table alone."""

import string

import numpy as np
import pytest
from fontTools.ttLib import TTFont

from recipes import fonts as recipe
from vlm_helpers._draws import Draws
from vlm_helpers.pages import fonts

NAMES = tuple(fonts.table())
PRINTED = string.ascii_letters + string.digits + string.punctuation + "€£"


def test_the_table_has_the_fonts_of_the_recipe_and_the_card_names_them():
    assert NAMES == tuple(recipe.FONTS)
    card = (recipe.FOLDER / "README.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert f"`{name}`" in card and (recipe.FOLDER / fonts.table()[name]["file"]).is_file()
    for license_ in (recipe.FOLDER / "licenses").iterdir():
        assert f"licenses/{license_.name}" in card


@pytest.mark.parametrize("name", NAMES)
def test_the_table_says_what_the_file_measures(name):
    row = fonts.table()[name]
    font = TTFont(recipe.FOLDER / row["file"])
    assert recipe.measures(font) == {
        key: row[key] for key in ("above", "below", "x_height", "widths")
    }
    assert "fpgm" not in font and "GPOS" not in font  # no hinting, no kerning


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("crisp", [True, False])
def test_every_character_has_ink_about_where_the_table_says(name, crisp):
    for size in (8, 12):
        for character in PRINTED:
            ink, left, top = fonts.glyph(name, size, crisp, character, 0)
            wide = fonts.advance(name, size, crisp, character)
            assert ink.max() > 40, character
            assert left >= -0.3 * size and left + ink.shape[1] <= wide + 0.3 * size + 1
            assert -1.1 * size <= top <= 0.4 * size
        assert fonts.width("Total", name, size, crisp) == sum(
            fonts.advance(name, size, crisp, character) for character in "Total"
        )


def test_smooth_letters_move_by_parts_of_a_pixel():
    places = []
    for shift in range(fonts.FINE):
        ink, left, _ = fonts.glyph("deja", 10, False, "l", shift)
        weights = ink.astype(float).sum(0)
        places.append(left + (weights * np.arange(len(weights))).sum() / weights.sum())
    assert np.diff(places) == pytest.approx([1 / fonts.FINE] * (fonts.FINE - 1), abs=0.06)


def test_held_out_fonts_are_for_unseen_styles_only():
    for style in ("sans", "serif", "mono"):
        train, unseen = (
            {fonts.pick(Draws(f"{i}"), split, style) for i in range(60)}
            for split in ("train", "unseen_styles")
        )
        assert train and unseen and not train & unseen
        assert all(fonts.table()[name]["style"] == style for name in train | unseen)
    assert fonts.bold("deja") == "deja-bold" and fonts.bold("comic") == "comic"
