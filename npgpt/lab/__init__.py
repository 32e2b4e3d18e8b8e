"""The entropy lab: what happens inside a model, and studies that compare many training runs."""
