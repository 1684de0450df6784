"""The ONNX graphs of a LLaVA answer as its model does in torch."""

import pytest
import torch
from PIL import Image

from recipes.export import OnnxVLM, export, to_int8
from tests import tiny
from vlm_helpers import VLM


def test_graphs_answer_as_the_model(tmp_path):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason="pip install -r recipes/shipping.txt")
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = tiny.llava(tmp_path / "llava")
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(folder)
    end = model.generation_config.eos_token_id
    pictures = [Image.new("RGB", (40, 24), color) for color in ("red", "blue")]
    questions = ["What is it?", "What color is the thing to the left?"]
    wanted = [
        VLM(model, processor).ask(*pair, max_new_tokens=6) for pair in zip(pictures, questions)
    ]
    paths = export(model, tmp_path / "onnx")
    assert [path.name for path in paths] == ["eyes.onnx", "embeddings.onnx", "decoder.onnx"]
    for path in paths:
        assert str(tmp_path.parent).encode() not in path.read_bytes()
        assert b".py" not in path.read_bytes(), f"{path.name} names source files of this machine"
    exported = OnnxVLM(tmp_path / "onnx", processor, end, most=6)
    assert exported.ask(pictures, questions) == wanted
    to_int8(tmp_path / "onnx", tmp_path / "int8")
    for path in paths:
        assert (tmp_path / "int8" / path.name).stat().st_size < path.stat().st_size, path.name
    eighths = OnnxVLM(tmp_path / "int8", processor, end, most=6).ask(pictures, questions)
    assert [type(answer) for answer in eighths] == [str, str]
