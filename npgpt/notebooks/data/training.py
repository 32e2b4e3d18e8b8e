"""# Train, and look inside

A GPT-2 of two blocks learns Python's own documentation, character by character, in half a minute.
Then you look inside: what it writes, where its heads look, and how large the gradients are.

It needs no network: the text is on every machine that has Python.
"""
# %%
from pathlib import Path

import numpy as np

from npgpt import GPT2, open_model
from npgpt.demos.attention import attention_demo, attention_picture, attention_text
from npgpt.display import drawing
from npgpt.evaluation.text import score_text
from npgpt.probe.entropy import attention_entropy, causal_bound
from npgpt.probe.heatmap import heat_text
from npgpt.probe.trace import trace
from npgpt.text import load_corpus
from npgpt.training.loop import new_state, train
from npgpt.training.progress import Progress
from npgpt.training.settings import resolve

STEPS = 800
RUN = Path("runs/notebook")

# %% [markdown]
# ## The text
#
# A corpus is the tokens of a text, and the last tenth of it is held out: the model never trains on
# that part, so its loss there says how well it predicts what it has not seen.

# %%
corpus = load_corpus("python-docs")
print(f"{len(corpus.train):,} tokens to train on, {len(corpus.val):,} held out, "
      f"{corpus.tokenizer.vocab_size} different ones")
print(corpus.tokenizer.decode(corpus.train[:300]))

# %% [markdown]
# ## Train
#
# `resolve` collects the settings: what is not named here has the default that `npgpt train` has.
# The run is saved in a folder; `npgpt generate runs/notebook` can write with it afterwards.
#
# Before training, all characters are about equally probable, and the loss is near the logarithm of
# their number.

# %%
run = resolve(flags={
    "n_layer": 2, "n_head": 4, "n_embd": 64, "n_positions": 64, "batch_size": 12,
    "max_steps": STEPS, "warmup_steps": 20, "learning_rate": 4e-3, "eval_every": 200,
    "eval_batches": 5, "sample_every": 0, "checkpoint_every": STEPS,
})
state = new_state(run, corpus)
untrained = GPT2(state.config, {name: array.copy() for name, array in state.params.items()})
print(f"{untrained.n_parameters():,} parameters; log {corpus.tokenizer.vocab_size} = "
      f"{np.log(corpus.tokenizer.vocab_size):.3f}")

# %% [markdown]
# Below the bar, what the run gives shows itself: loss and held-out loss, learning rate, gradient
# norm and tokens per second. `npgpt.plot(RUN)` shows the same, of several runs side by side too.

# %%
with Progress(run.train, state.step) as progress:
    outcome = train(RUN, state, corpus, progress)
print(f"{outcome.reason} at step {outcome.step}; held-out loss {outcome.val_loss:.3f} nats")
outcome

# %% [markdown]
# ## What it writes
#
# The same model before and after, from the same start and the same random numbers.

# %%
model, tokenizer = open_model(RUN)
prompt = tokenizer.encode("The function ")
for name, writer in (("untrained", untrained), ("trained", model)):
    written = writer.generate(prompt, 50, temperature=0.5, seed=3)
    score = score_text(writer.params, writer.config, corpus.val[:4000])
    print(f"--- {name}, perplexity {score.perplexity:.1f}\n{tokenizer.decode(written)}\n")

# %% [markdown]
# ## Where its heads look
#
# Attention, step by step, in the first block: every row is a character that looks, every column one
# that it looks at. Change the text, `layer` and `head`.

# %%
attention = attention_demo("return ", model=RUN, layer=0, head=1)
print(attention_text(attention))

# %%
attention_picture(attention)

# %% [markdown]
# A head whose weights lie on one place has entropy 0; one that looks at everything it may see has
# the causal bound. `trace` runs a text forward and backward and keeps every intermediate by name.

# %%
sequence = corpus.val[:65][None]
traces = {name: trace(m.params, sequence[:, :-1], sequence[:, 1:], m.config)
          for name, m in (("untrained", untrained), ("trained", model))}
for name, kept in traces.items():
    weights = [kept.activations[f"h.{layer}.attn.weights"][0] for layer in range(2)]
    print(f"--- {name}")
    print(heat_text(np.array([attention_entropy(w) for w in weights]), causal_bound(64)))

# %% [markdown]
# ## The way back
#
# The same trace has the gradient of the loss for every intermediate. Along the residual stream it
# does not vanish on its way from the last block to the first: that is what residual connections
# are for.

# %%
stream = ["embedding.sum", *(f"h.{layer}.residual_{n}" for layer in range(2) for n in (1, 2))]
print(f"{'gradient, root mean square':32}{'untrained':>12}{'trained':>12}")
for name in stream:
    sizes = [np.sqrt((t.dactivations[name] ** 2).mean()) for t in traces.values()]
    print(f"{name:32}" + "".join(f"{size:12.2e}" for size in sizes))

# %%
figure = drawing.new_figure(1, 2, (10, 3.2))
for axes, (name, kept) in zip(figure.axes, traces.items()):
    grads = {key: np.sqrt((grad**2).mean()) for key, grad in kept.grads.items() if grad.ndim == 2}
    axes.barh(list(grads), list(grads.values()), color=drawing.BLUE)
    axes.set(title=f"{name}: gradient of each matrix", xlabel="root mean square")
    axes.tick_params(labelsize=7)
figure

# %% [markdown]
# To go on: train longer (`STEPS`), take another text (`load_corpus("my.txt")`), or one block
# instead of two. On the command line: `npgpt train --help`, `npgpt entropy runs/notebook`.
