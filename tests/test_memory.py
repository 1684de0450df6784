"""The one formula for memory, and what a machine has free."""

import pytest
import torch

from vlm_helpers._memory import (
    Tensor,
    _container_free,
    dtype_name,
    free_memory,
    weights_gib,
)


def test_quantised_checkpoints_count_as_they_are_stored():
    stored = [Tensor("layer.qweight", "I32", (100, 10)), Tensor("b", "U8", (7,))]
    assert weights_gib(stored, "float32") * 2**30 == 4 * 1000 + 7
    tensors = [
        Tensor("embed_tokens.weight", "F16", (10, 4)),
        Tensor("lm_head.weight", "F16", (10, 4)),
        Tensor("norm.weight", "F32", (4,)),
        Tensor("mlp.weight", "BF16", (100, 4)),
    ]
    assert weights_gib(tensors, "float16", "8bit") * 2**30 == 2 * 84 + 400


def test_free_memory_of_containers(tmp_path):
    assert _container_free(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 300\n")
    assert _container_free(tmp_path) is None
    (tmp_path / "memory.max").write_text("5000\n")
    assert _container_free(tmp_path) == 5000 - 1000 + 300
    old = tmp_path / "old" / "memory"
    old.mkdir(parents=True)
    (old / "memory.limit_in_bytes").write_text("2000")
    (old / "memory.usage_in_bytes").write_text("3000")
    (old / "memory.stat").write_text("total_rss 1\n")
    assert _container_free(tmp_path / "old") == 0
    assert 0.05 < free_memory("cpu") < 10_000


@pytest.mark.parametrize("same", ["bf16", "bfloat16", "torch.bfloat16", torch.bfloat16])
def test_a_precision_has_several_names(same):
    assert dtype_name(same) == "bfloat16"


def test_a_precision_that_is_none():
    with pytest.raises(ValueError, match="dtype must be 'float32', .* not torch.int8"):
        dtype_name(torch.int8)
