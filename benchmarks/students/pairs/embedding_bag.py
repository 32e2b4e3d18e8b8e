import numpy as np


def embedding_bag_forward(table, bags):
    """Each bag of word ids becomes the mean of its vectors."""
    vectors = table[bags]            # (N, L, D)
    out = vectors.mean(axis=1)
    return out, (table.shape, bags)


def embedding_bag_backward(dout, cache):
    shape, bags = cache
    N, L = bags.shape
    dtable = np.zeros(shape)
    spread = np.repeat(dout[:, None, :] / L, L, axis=1)
    np.add.at(dtable, bags, spread)
    return dtable


USE = {
    "inputs": "table=(V=6,D=3) bags=ids(N=2,L=4)<V",
    "forward": "out, cache = embedding_bag_forward(table, bags)",
    "backward": "dtable = embedding_bag_backward(dout, cache)",
}
