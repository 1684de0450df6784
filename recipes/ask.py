"""Asks a model a whole benchmark, on one process or several.

    python -m recipes.ask pocket-mmbench --out runs/mmbench.jsonl
    accelerate launch --config_file recipes/accelerate/cpu.yaml -m recipes.ask pocket-mmbench \\
        --out runs/mmbench.jsonl

Each process asks its share of the batches, and the file that comes out is the same. A run that was
killed goes on where it was, with as many processes as one likes. `--help` lists the options.
"""

from __future__ import annotations

import argparse

import vlm_helpers as vh


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("benchmark", help="a pocket benchmark, or the Hub's id of a real one")
    parser.add_argument("--model", help="as for vh.load; by default $VLM_MODEL, or pocket-llava")
    parser.add_argument("--out", required=True, help="the JSON Lines file to keep the run in")
    parser.add_argument("--seed", type=int, help="draw a pocket benchmark anew")
    parser.add_argument("--n", type=int, help="how many items, the first ones")
    parser.add_argument("--like", help="which benchmark's columns another set has")
    parser.add_argument("--blind", action="store_true", help="show grey pictures")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-new-tokens", type=int, default=24)
    args = parser.parse_args(arguments)
    import torch
    import torch.distributed.nn  # before there is a group, which it would keep: docs/upstream.md
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available())
    if state.num_processes > 1 and state.device.type == "cpu":
        torch.set_num_threads(1)  # processes share the cores
    try:
        vlm = vh.load(args.model, device=str(state.device))
        items = vh.evaluation.benchmark(args.benchmark, seed=args.seed, n=args.n, like=args.like)
        run = vh.evaluation.quiz(
            vlm, items, score=items.score, batch_size=args.batch_size, out=args.out, progress=True,
            grey=args.blind, accelerator=state, max_new_tokens=args.max_new_tokens,
        )  # fmt: skip
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from error
    finally:
        state.destroy_process_group()
    if state.is_main_process:
        print(run.by().round(3).to_string())
        print(f"{args.benchmark}, rule {items.score.name}: {run}")


if __name__ == "__main__":
    main()
