"""A borrowed encoder: ImageNet's rows, read by a pocket decoder that never saw a photograph."""
