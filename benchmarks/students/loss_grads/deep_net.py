import numpy as np


def deep_net(layers, X, Y):
    """layers: list of {'W', 'b'}; tanh between them, mean squared error at the end."""
    acts = [X]
    for i, layer in enumerate(layers):
        z = acts[-1] @ layer["W"] + layer["b"]
        acts.append(np.tanh(z) if i < len(layers) - 1 else z)
    m = X.shape[0]
    loss = np.sum((acts[-1] - Y) ** 2) / (2 * m)

    grads = [None] * len(layers)
    delta = (acts[-1] - Y) / m
    for i in range(len(layers) - 1, -1, -1):
        grads[i] = {"W": acts[i].T @ delta, "b": delta.sum(axis=0)}
        if i > 0:
            delta = (delta @ layers[i]["W"].T) * (1 - acts[i] ** 2)
    return loss, grads


USE = {
    "inputs": "W1=(D=4,H=5) b1=(H) W2=(H,K=6) b2=(K) W3=(K,O=2) b3=(O) X=const(N=3,D) "
              "Y=const(N,O)",
    "forward": "layers = [{'W': W1, 'b': b1}, {'W': W2, 'b': b2}, {'W': W3, 'b': b3}]\n"
               "out, grads = deep_net(layers, X, Y)",
    "backward": "dW1, dW2, dW3 = (g['W'] for g in grads)\n"
                "db1, db2, db3 = (g['b'] for g in grads)",
}
