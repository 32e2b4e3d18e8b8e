"""Looking inside a model: every intermediate by name, attention entropy, activity, gradients."""
