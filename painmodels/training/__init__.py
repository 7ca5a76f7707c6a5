"""The training loop, side-by-side training, checkpoints, scaling, and the verdict on whether a network learned."""
