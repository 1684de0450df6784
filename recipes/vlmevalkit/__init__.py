"""VLMEvalKit on the pocket benchmarks: its tables (`tsv`) and a model for it (`models`).

It is not on PyPI. In a checkout of github.com/open-compass/VLMEvalKit, in its own environment, with
the course installed beside it:

    LMUData=COURSE/runs/LMUData python -m recipes.vlmevalkit.models \\
        --data pocket-mmbench_circular --model pocket-llava --judge exact_matching

With `--served http://127.0.0.1:8000/v1` the model is asked by OpenAI's protocol.
"""
