"""# Load GPT-2, and measure

OpenAI's GPT-2 with 124 million parameters, in NumPy: how large it is, what it expects next, how
well it predicts a story, how fast it writes, and where its heads look.

The weights are 0.5 GB; `npgpt pull gpt2` downloads them once. Without them the notebook runs all
the same, with a small stand-in of the same form that learns one short story for a few seconds: then
its numbers say how to measure, and nothing about GPT-2.
"""
# %%
import time
from pathlib import Path

import numpy as np

from npgpt import open_model
from npgpt.book.story import story
from npgpt.budget import budget
from npgpt.demos.attention import attention_demo, attention_picture
from npgpt.display import drawing
from npgpt.evaluation.text import score_text
from npgpt.probe.entropy import attention_entropy, causal_bound
from npgpt.probe.heatmap import heat_picture, heat_text
from npgpt.probe.trace import trace
from npgpt.text import load_corpus
from npgpt.training.loop import new_state, train
from npgpt.training.progress import Progress
from npgpt.training.settings import resolve
from npgpt.weights.hub import found

STAND_IN_STEPS = 100

# %%
folder = found("gpt2")
if folder is None:
    print("GPT-2 is not on this machine (npgpt pull gpt2): a small stand-in learns a story instead")
    folder = Path("runs/stand-in")
    Path("story.txt").write_text(story(), encoding="utf-8")
    corpus = load_corpus("story.txt", "gpt2")
    run = resolve(flags={"n_layer": 3, "n_head": 4, "n_embd": 64, "n_positions": 64,
                         "batch_size": 4, "max_steps": STAND_IN_STEPS, "warmup_steps": 10,
                         "learning_rate": 5e-3, "sample_every": 0})
    with Progress(run.train, 0) as progress:
        train(folder, new_state(run, corpus), corpus, progress)
model, tokenizer = open_model(folder)
cost = budget(model.config)
print(f"{model.config.n_layer} blocks, {model.config.n_head} heads, {model.config.n_embd} channels")
print(f"{cost.parameters:,} parameters, {cost.parameter_bytes / 2**20:,.0f} MiB in float32")

# %% [markdown]
# ## What comes next
#
# The model gives every one of the 50,257 tokens a score; softmax makes them probabilities.
# Trained, a few tokens have most of it.

# %%
prompt = "The capital of France is"
logits = model.logits(tokenizer.encode(prompt))[-1].astype(np.float64)
p = np.exp(logits - logits.max())
p /= p.sum()
best = np.argsort(-p)[:10]
for token in best:
    print(f"{tokenizer.decode([token])!r:>14}  {p[token]:7.2%}  {'#' * round(50 * p[token])}")
print(f"{np.exp(-(p * np.log(p)).sum()):,.0f} tokens, all equally probable, would be as uncertain")

# %% [markdown]
# ## How well it predicts
#
# The loss is the mean of -log p of the token that really comes. A model that knows nothing has
# log 50257 = 10.825 nats, and perplexity 50,257. Bits per byte compare models of different
# vocabularies; a good compression program needs about 2 for English.

# %%
text = story()[:4000]
ids = tokenizer.encode(text)
score = score_text(model.params, model.config, ids, start_id=tokenizer.eot_id,
                   token_bytes=tokenizer.token_bytes)
print(f"{len(text):,} characters of a story are {len(ids):,} tokens")
print(f"loss {score.loss:.3f} nats, perplexity {score.perplexity:,.1f}, "
      f"{score.bits_per_byte:.2f} bits per byte")

# %% [markdown]
# Which tokens surprise it? One forward pass gives the loss of each.

# %%
window = ids[:min(120, model.config.n_positions)]
logits = model.logits(window).astype(np.float64)
logits -= logits.max(axis=-1, keepdims=True)
log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
loss = -log_p[np.arange(len(window) - 1), window[1:]]
figure = drawing.new_figure(1, 1, (11, 3))
(axes,) = figure.axes
axes.bar(range(1, len(window)), loss, color=drawing.BLUE)
for place in np.argsort(-loss)[:8]:
    axes.annotate(repr(tokenizer.decode([window[place + 1]])), (place + 1, loss[place]),
                  rotation=60, rotation_mode="anchor", fontsize=8)
axes.set(title="loss of each token of the story", xlabel="position", ylabel="-log p, nats",
         ylim=(0, 1.4 * loss.max()))
figure

# %% [markdown]
# ## How fast it writes
#
# The prompt is read in one pass (prefill); then each new token takes one pass of its own, in
# which the keys and values of those before come from a cache.

# %%
prompt_ids = tokenizer.encode("In a shocking finding, scientists discovered")
start = time.perf_counter()
written = model.generate(prompt_ids, 40, temperature=0.8, top_k=40, seed=0)
seconds = time.perf_counter() - start
print(tokenizer.decode(written))
print(f"\n40 tokens in {seconds:.1f} s: {40 / seconds:.1f} tokens a second")

# %% [markdown]
# ## Where its heads look
#
# In GPT-2 some heads look at the token before, some at an earlier place of the same token, and many
# at the very first token, where they rest.

# %%
attention = attention_demo("The cat sat on the mat because it was tired", model=folder,
                           layer=min(4, model.config.n_layer - 1))
attention_picture(attention)

# %% [markdown]
# The entropy of every head over 64 tokens: 0 looks at one place, the bound at all of them alike.

# %%
sequence = ids[None, :65]
kept = trace(model.params, sequence[:, :-1], sequence[:, 1:], model.config).activations
entropies = np.array([attention_entropy(kept[f"h.{layer}.attn.weights"][0])
                      for layer in range(model.config.n_layer)])
print(heat_text(entropies, causal_bound(64)))

# %%
heat_picture(entropies, causal_bound(64), 64, folder.name)

# %% [markdown]
# To go on: other sizes (`npgpt pull gpt2-medium`), a text of your own in place of the story,
# HellaSwag and other measures (`npgpt eval --help`), or your own training run:
# `open_model("runs/...")`.
