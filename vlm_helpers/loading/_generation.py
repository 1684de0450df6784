"""How `generate` is called: greedily, for one answer, without dropout, and never on NaN.

A checkpoint brings settings for `generate` of its own, in generation_config.json: many sample, some
search with several beams, ask for several answers, or forbid repetitions. `ask` promises the same
thing for every model, the greedy answer, so of these settings only `KEPT` count: what the tokens
mean, where an answer ends, how the cache is kept, and how to sample for those who sample.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from vlm_helpers._words import whole_number

# Enough for the longest answer of the pocket model, an outline.
MAX_NEW_TOKENS = 128
# Options that `generate` passes over while it is greedy.
SAMPLING = (
    "temperature", "top_p", "top_k", "top_h", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff",
)  # fmt: skip
KEPT = {
    *SAMPLING, "bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id",
    "forced_bos_token_id", "bad_words_ids", "suppress_tokens", "begin_suppress_tokens",
    "stop_strings", "use_cache", "cache_implementation", "cache_config", "max_cache_len",
    "prefill_chunk_size", "compile_config", "disable_compile", "low_memory",
    "transformers_version", "_from_model_config",
}  # fmt: skip
# What stands for "not used" where that is not None.
UNUSED = {
    "do_sample": False, "num_beams": 1, "num_beam_groups": 1, "num_return_sequences": 1,
    "min_length": 0, "early_stopping": False, "length_penalty": 1.0, "diversity_penalty": 0.0,
    "repetition_penalty": 1.0, "encoder_repetition_penalty": 1.0, "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0, "remove_invalid_values": False,
    "return_dict_in_generate": False, "output_scores": False,
}  # fmt: skip

_CHANGING = threading.Lock()
# For a model that answers: how many calls do, and the modules that go back to training after them.
_answering: WeakKeyDictionary[Any, tuple[int, list[Any]]] = WeakKeyDictionary()


def options(
    model: Any, processor: Any, given: dict[str, Any], used: int, context: int | None, name: str
) -> dict[str, Any]:
    """What `generate` is called with, `given` being the caller's options.

    `used`: tokens of the prompt; `context`: tokens that prompt and answer may have together;
    `name`: what a sentence calls the model.
    """
    from transformers import GenerationConfig

    _check(given)
    own, tokenizer = model.generation_config, processor.tokenizer
    chosen = dict(given)
    if "generation_config" not in given:
        standard = vars(GenerationConfig())  # what a model adds for itself stays
        chosen = {"do_sample": False} | {
            key: UNUSED.get(key)
            for key, value in own.to_dict().items()
            if key in standard and key not in KEPT and value not in (None, UNUSED.get(key))
        }
        if "max_length" not in given:
            room = (context or 10**9) - used
            chosen |= {"max_length": None, "max_new_tokens": min(MAX_NEW_TOKENS, room)}
        if own.pad_token_id is None:
            pad = tokenizer.pad_token_id
            chosen["pad_token_id"] = tokenizer.eos_token_id if pad is None else pad
        chosen |= given
    sources = (own, given.get("generation_config"))
    if given.get("stop_strings") or any(getattr(one, "stop_strings", None) for one in sources):
        chosen.setdefault("tokenizer", tokenizer)
    chosen["logits_processor"] = [_numbers(name), *(given.get("logits_processor") or [])]
    return chosen


def _check(given: dict[str, Any]) -> None:
    if given.get("max_new_tokens") is not None:
        whole_number("max_new_tokens", given["max_new_tokens"], 1)
    if given.get("num_beams") is not None:
        whole_number("num_beams", given["num_beams"], 1)
    unused = [name for name in SAMPLING if given.get(name) is not None]
    if unused and not {"do_sample", "generation_config"} & set(given):
        raise ValueError(
            f"{unused[0]}={given[unused[0]]!r} is for sampling, and decoding is greedy: add "
            f"do_sample=True to sample, or leave {unused[0]} out."
        )


def _numbers(name: str) -> Any:
    """A logits processor that changes nothing, but stops where what is computed is no number."""

    def check(input_ids: Any, scores: Any) -> Any:
        if not (scores < float("inf")).all():  # so NaN and infinity fail, and -infinity does not
            kind = str(scores.dtype).removeprefix("torch.")
            raise FloatingPointError(
                f"{name} computes NaN or infinity instead of scores for the next token: its "
                "weights are damaged, or its numbers are too large for the precision it is held "
                f"in (the scores are {kind}): try dtype='bfloat16' or 'float32'."
            )
        return scores

    return check


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Answers in the middle of training come without dropout; then training goes on.

    Threads may ask at once: the model goes back to training when the last of them has its answer.
    """
    with _CHANGING:
        calls, paused = _answering.get(model, (0, []))
        if model.training:
            paused = paused + [module for module in model.modules() if module.training]
            model.eval()
        _answering[model] = (calls + 1, paused)
    try:
        yield
    finally:
        with _CHANGING:
            calls, paused = _answering.pop(model)
            if calls > 1:
                _answering[model] = (calls - 1, paused)
            else:
                for module in paused:
                    module.training = True
