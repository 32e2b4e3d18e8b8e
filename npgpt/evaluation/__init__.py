"""How well a model predicts: loss and perplexity of a text, multiple-choice questions."""
