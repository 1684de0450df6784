"""The speed of `AnswerCollator`, beside TRL's collator and beside the image processor alone.

    python -m recipes.collator_speed

Eight pictures of 640 × 480, made 336 × 336 by the processor of a LLaVA-1.5, on one thread; the
three take turns, and the median of their times counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

ROWS, ROUNDS = 8, 20


def rows() -> list[dict]:
    """Noise, with a question and an answer of some twenty words each."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    found = []
    for _ in range(ROWS):
        picture = Image.fromarray(rng.integers(0, 255, (480, 640, 3), dtype=np.uint8))
        question = [{"type": "image"}, {"type": "text", "text": "What is it, and where? " * 4}]
        answer = [{"type": "text", "text": "A red star, left of a blue circle. " * 3}]
        found.append(
            {
                "images": [picture],
                "prompt": [{"role": "user", "content": question}],
                "completion": [{"role": "assistant", "content": answer}],
            }
        )
    return found


def measure() -> dict[str, float]:
    """Rows a second, by what prepares them."""
    import torch
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    import vlm_helpers as vh

    processor = vh.zoo.build("llava-1.5").processor
    processor.chat_template = vh.prompts.template("llava-1.5")
    data = rows()
    ours = vh.collators.AnswerCollator(processor)
    theirs = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
    pictures = [row["images"][0] for row in data]
    ways: dict[str, Callable[[], object]] = {
        "AnswerCollator": lambda: ours(data),
        "TRL's collator": lambda: theirs([dict(row) for row in data]),  # it changes its rows
        "the image processor alone": lambda: processor.image_processor(
            pictures, return_tensors="pt"
        ),
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS + 1):
        for name, run in ways.items():
            began = time.perf_counter()
            run()
            if turn:  # the first turn warms up
                seconds[name].append(time.perf_counter() - began)
    torch.set_num_threads(threads)
    return {name: ROWS / statistics.median(times) for name, times in seconds.items()}


def table_rows(found: dict[str, float]) -> list[tuple[str, str, str]]:
    """(what, rows a second, as a ratio to the first)."""
    first = next(iter(found.values()))
    return [(name, f"{speed:.0f}", f"{speed / first:.2f}") for name, speed in found.items()]


if __name__ == "__main__":
    for line in table_rows(measure()):
        print("{:28}{:>5} rows/s, {} of AnswerCollator's".format(*line))
