import numpy as np


class SoftmaxCrossEntropy:
    def forward(self, logits, labels):
        exps = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.probs = exps / exps.sum(axis=1, keepdims=True)
        self.one_hot = np.eye(logits.shape[1])[labels]
        losses = -(self.one_hot * np.log(self.probs)).sum(axis=1)
        return losses.mean()

    def backward(self):
        n = self.probs.shape[0]
        return (self.probs - self.one_hot) / n


USE = {
    "inputs": "logits=(N=4,C=3) labels=ids(N)<C",
    "forward": "criterion = SoftmaxCrossEntropy()\nout = criterion.forward(logits, labels)",
    "backward": "dlogits = criterion.backward()",
}
