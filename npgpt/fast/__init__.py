"""The same meaning, quicker: ops under the names of `npgpt.ops`, and a training step made of them.

    from npgpt import fast
    loss, grads = fast.step.loss_and_grads(params, ids, targets, config)

Every op here is proven equal to its textbook in `npgpt.layers`. What makes it quicker is plain:
blocks that stay in the processor's cache, work in place on arrays that the op allocated itself,
two or more Python threads where they pay, and no array that nobody needs.

Fast ops take float32 and float64. Complex steps belong to the textbook.
"""
