"""Training: settings, batches, checkpoints and the loop that joins them; `step/` is one step."""
