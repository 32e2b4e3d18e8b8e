class LayerNorm:
    def __init__(self, gain, shift, eps=1e-5):
        self.gain, self.shift, self.eps = gain, shift, eps

    def forward(self, x):
        self.mean = x.mean(-1, keepdims=True)
        self.centred = x - self.mean
        self.var = (self.centred ** 2).mean(-1, keepdims=True)
        self.inv = (self.var + self.eps) ** -0.5
        self.norm = self.centred * self.inv
        return self.norm * self.gain + self.shift

    def backward(self, dy):
        D = dy.shape[-1]
        self.dgain = (dy * self.norm).sum(axis=(0, 1))
        self.dshift = dy.sum(axis=(0, 1))
        dnorm = dy * self.gain
        dinv = (dnorm * self.centred).sum(-1, keepdims=True)
        dvar = dinv * -0.5 * self.inv ** 3
        dcentred = dnorm * self.inv
        dcentred += 2 * self.centred * dvar / D
        dmean = -dcentred.sum(-1, keepdims=True)
        return dcentred + dmean / D


USE = {
    "inputs": "x=(B=2,T=3,D=5) gain=(D) shift=(D)",
    "forward": "ln = LayerNorm(gain, shift, eps=1e-2)\nout = ln.forward(x)",
    "backward": "dx = ln.backward(dout)\ndgain, dshift = ln.dgain, ln.dshift",
}
