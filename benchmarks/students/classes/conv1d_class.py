import numpy as np


class Conv1d:
    def __init__(self, weight, bias, stride=1, padding=0):
        self.weight, self.bias = weight, bias   # (F, C, K), (F,)
        self.stride, self.padding = stride, padding

    def forward(self, x):
        N, C, L = x.shape
        F, _, K = self.weight.shape
        p, s = self.padding, self.stride
        self.xp = np.pad(x, ((0, 0), (0, 0), (p, p)))
        self.out_len = (L + 2 * p - K) // s + 1
        out = np.zeros((N, F, self.out_len))
        for t in range(self.out_len):
            piece = self.xp[:, :, t * s:t * s + K]
            out[:, :, t] = np.tensordot(piece, self.weight, axes=([1, 2], [1, 2])) + self.bias
        return out

    def backward(self, dout):
        K, p, s = self.weight.shape[2], self.padding, self.stride
        dxp = np.zeros_like(self.xp)
        self.dweight = np.zeros_like(self.weight)
        self.dbias = dout.sum(axis=(0, 2))
        for t in range(self.out_len):
            piece = self.xp[:, :, t * s:t * s + K]
            g = dout[:, :, t]
            self.dweight += np.tensordot(g, piece, axes=(0, 0))
            dxp[:, :, t * s:t * s + K] += np.tensordot(g, self.weight, axes=(1, 0))
        return dxp[:, :, p:-p] if p else dxp


USE = {
    "inputs": "x=(N=2,C=5,L=7) weight=(F=4,C,K=3) bias=(F)",
    "forward": "conv = Conv1d(weight, bias, stride=2, padding=1)\n"
               "out = conv.forward(x)",
    "backward": "dx = conv.backward(dout)\n"
                "dweight, dbias = conv.dweight, conv.dbias",
}
