"""One page that shows a model's forward and backward pass: collected, encoded, served."""
