"""What `make check` asks of an installation, besides the first notebook: imports and answers."""

import importlib
import pkgutil

import pytest
from PIL import Image

import vlm_helpers as vh

MODULES = [found.name for found in pkgutil.walk_packages(vh.__path__, "vlm_helpers.")]
SHIPPED = sorted(
    file.parent.name for file in vh.loading.pocket_folder().parent.glob("*/model.safetensors")
)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_imported(name):
    importlib.import_module(name)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_model_that_ships_answers_and_looks(name):
    vlm, scene = vh.load(name), vh.scenes.sample(0, "test")
    question = "What is in the picture?"
    answer = vlm.ask(scene.image, question)
    assert answer and answer != vlm.ask(Image.new("RGB", scene.image.size, "grey"), question)


def test_there_are_modules_and_models_to_try():
    assert len(MODULES) > 20 and "pocket-llava" in SHIPPED
