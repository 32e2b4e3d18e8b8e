import numpy as np


def info_nce(img, txt, temperature=0.5):
    """Row i of img belongs to row i of txt, all others are negatives; both directions."""
    N = img.shape[0]
    logits = img @ txt.T / temperature
    idx = np.arange(N)

    p_rows = np.exp(logits - logits.max(axis=1, keepdims=True))
    p_rows /= p_rows.sum(axis=1, keepdims=True)
    p_cols = np.exp(logits - logits.max(axis=0, keepdims=True))
    p_cols /= p_cols.sum(axis=0, keepdims=True)
    loss = -np.log(p_rows[idx, idx]).mean() - np.log(p_cols[idx, idx]).mean()

    dlogits = (p_rows - np.eye(N)) / N
    dlogits += (p_cols - np.eye(N)) / N
    dimg = dlogits @ txt / temperature
    dtxt = dlogits.T @ img / temperature
    return loss / 2, (dimg / 2, dtxt / 2)


USE = {
    "inputs": "img=(N=4,D=3) txt=(N,D)",
    "forward": "out, grads = info_nce(img, txt)",
    "backward": "dimg, dtxt = grads",
}
