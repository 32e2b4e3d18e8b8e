def bn_forward(hprebn, bngain, bnbias):
    n = hprebn.shape[0]
    mean = hprebn.mean(0, keepdims=True)
    var = ((hprebn - mean) ** 2).sum(0, keepdims=True) / (n - 1)
    inv = (var + 1e-5) ** -0.5
    raw = (hprebn - mean) * inv
    return bngain * raw + bnbias, (raw, inv, bngain)


def bn_backward(dh, cache):
    raw, inv, bngain = cache
    n = dh.shape[0]
    dbngain = (dh * raw).sum(0, keepdims=True)
    dbnbias = dh.sum(0, keepdims=True)
    dhprebn = bngain * inv / n * (n * dh - dh.sum(0) - n / (n - 1) * raw * (dh * raw).sum(0))
    return dhprebn, dbngain, dbnbias


USE = {
    "inputs": "hprebn=(N=4,H=3) bngain=(1,H) bnbias=(1,H)",
    "forward": "out, cache = bn_forward(hprebn, bngain, bnbias)",
    "backward": "dhprebn, dbngain, dbnbias = bn_backward(dout, cache)",
}
