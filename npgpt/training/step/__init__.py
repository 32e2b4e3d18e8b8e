"""One training step: gradients on all cores, activation checkpointing, and AdamW's update."""
