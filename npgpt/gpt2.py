"""GPT2: the thin face that users hold. A config, a dict of parameters, and a few verbs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Sequence

import numpy as np
from numpy.typing import ArrayLike

from . import model as _model
from . import weights
from .budget import check_room_for
from .checked import checked
from .config import GPT2Config
from .fast.ops import FAST, blas_of
from .generation.language_model import LanguageModel
from .generation.quantized import quantize
from .ids import check_ids, check_integers
from .layers.contract import UniformSource
from .ops import Ops
from .params import Params, check_params, init_params
from .suggest import shown
from .tape import Array
from .training.step.gradients import loss_and_grads as _loss_and_grads
from .variants import merged

if TYPE_CHECKING:
    from .text import Tokenizer


class GPT2(LanguageModel):
    """A GPT-2 model: a config, parameters, and the ops it computes with.

        model = GPT2.init(GPT2Config.named("gpt2"), seed=0)
        loss, grads = model.loss_and_grads(ids, targets)

    `params` is a dict of arrays by checkpoint name, free to be changed. `ops` are the fast ones;
    `npgpt.TEXTBOOK` computes the same with the layers as one reads them, and
    `replace(TEXTBOOK, layernorm=Op(...))` with a layer of your own. Raises ValueError, naming
    every parameter that is missing, unknown or of the wrong shape.
    """

    params: Params
    base: str = ""
    """Where the model is that low-rank updates were trained on, if they were loaded with it."""

    def __init__(self, config: GPT2Config, params: Params, ops: Ops = FAST) -> None:
        _check_config(config)
        check_params(config, params)
        if not isinstance(ops, Ops):
            raise ValueError(f"ops must be an Ops, such as npgpt.TEXTBOOK; got {shown(ops)}")
        super().__init__(config, params, ops)

    @classmethod
    def init(
        cls, config: GPT2Config, seed: int = 0, dtype: type | str | np.dtype = np.float32
    ) -> GPT2:
        """A model with initial parameters drawn from `seed`.

        Raises ValueError for another config than a GPT2Config, a seed that is not an integer of at
        least 0, and another dtype than float32 and float64.
        """
        _check_config(config)
        check_room_for(config, dtype)
        return cls(config, init_params(config, seed, dtype))

    @classmethod
    @checked
    def load(
        cls, path: str | Path, dtype: type | str | np.dtype | None = None,
        base: str | Path | None = None,
    ) -> GPT2:
        """A model from its files: what `save` wrote, or any published form of GPT-2's weights.

        `dtype` float32 or float64 converts. `base` is where an adapter's base model is, if not
        where its adapter_config.json says. Raises CheckpointError, saying what does not fit.
        """
        model = cls(*weights.load(Path(path), dtype, base))
        if model.config.lora_rank:
            model.base = str(base or weights.base_at(path))
        return model

    @checked
    def save(
        self, path: str | Path, merge: bool = False, base: str | Path | None = None
    ) -> None:
        """Write a Hugging Face folder: model.safetensors with config.json beside it.

        A path that ends in .safetensors names the file itself. Of a model with low-rank updates,
        `merge` folds them into the weights; without it they alone are written, PEFT's two files,
        which name their base model: `base`, by default the one that they were loaded with. Raises
        ValueError if the parameters do not match the config, and for updates without a base,
        OSError if there is no room or no permission.
        """
        self._save(Path(path), merge, base)

    def _save(
        self, path: Path, merge: bool, base: str | Path | None,
        tokenizer: Tokenizer | None = None, labels: Sequence[str] = (),
    ) -> None:
        config, params, base = self.config, self.params, base or self.base
        if config.lora_rank and not merge:
            if not base:
                raise ValueError("this model has low-rank updates: merge=True folds them into the "
                                 "weights; base= names the model that PEFT adds them to")
            weights.save_peft(path, config, params, base, tokenizer)
            return
        if config.lora_rank:
            config, params = merged(params, config)
        weights.save(path, config, params, tokenizer, labels=labels)

    def logits(self, ids: ArrayLike) -> Array:
        """Scores of the next token at every position: ids (T,) or (B, T) give (T, V) or (B, T, V).

        Raises ValueError for ids outside the vocabulary or more than n_positions of them.
        """
        array = self._checked(ids)
        with blas_of(self.ops, self.config, array.size):
            out = _model.logits(self.params, np.atleast_2d(array), self.config, ops=self.ops)
        return out.reshape(*array.shape, self.config.n_labels or self.config.vocab_size)

    def loss(self, ids: ArrayLike, targets: ArrayLike) -> float:
        """Mean cross-entropy in nats of predicting targets[..., t] from ids[..., :t + 1].

        ids and targets are integers of one shape, (T,) or (B, T); a target of -100 is not counted.
        There is no dropout. Raises ValueError as `logits` does, and for targets of another shape.
        """
        ids, targets = self._checked_pair(ids, targets)
        with blas_of(self.ops, self.config, ids.size):
            return float(_model.loss(self.params, ids, targets, self.config, ops=self.ops))

    @checked
    def loss_and_grads(
        self, ids: ArrayLike, targets: ArrayLike, rng: UniformSource | None = None,
        threads: int | None = None,
    ) -> tuple[float, Params]:
        """What training minimises, in nats, and its gradient for every parameter, by name.

        That is `loss` of ids and targets (T,) or (B, T), -100 not counted, plus the config's
        entropy penalty if it has one. Dropout at the config's probabilities happens only where an
        `rng`, such as a NumPy Generator, is passed. `threads` is by default one for each core. The
        function is training's own, npgpt.training.step.gradients.loss_and_grads.
        Raises ValueError as `loss` does.
        """
        ids, targets = self._checked_pair(ids, targets)
        return _loss_and_grads(self.params, ids, targets, self.config,
                               ops=self.ops, rng=rng, threads=threads)

    def quantized(self) -> LanguageModel:
        """This model with its matrices rounded to 8 bits, for generate, stream, complete, session.

        That is a quarter of the bytes to read for each token, and a little off, see
        npgpt.generation.quantized. Raises ValueError, naming the parameter, for a number that is
        not finite.
        """
        return LanguageModel(self.config, quantize(self.params, self.config), self.ops)

    def n_parameters(self) -> int:
        """How many elements the parameters have."""
        return sum(array.size for array in self.params.values())

    def __repr__(self) -> str:
        c = self.config
        dtype = next(iter(self.params.values())).dtype
        kind = f"classifier of {c.n_labels} labels, " if c.n_labels else ""
        return (f"GPT2({kind}{self.n_parameters():,} parameters in {dtype}: {c.n_layer} layers, "
                f"{c.n_head} heads, {c.n_embd} channels, context {c.n_positions}, "
                f"vocabulary {c.vocab_size})")

    def _checked(self, ids: ArrayLike) -> Array:
        array = check_ids(ids, self.config.vocab_size)
        if array.ndim not in (1, 2):
            raise ValueError(f"token ids must have shape (T,) or (B, T); got {array.shape}")
        if array.shape[-1] > self.config.n_positions:
            raise ValueError(
                f"{array.shape[-1]} tokens are more than the context of "
                f"{self.config.n_positions}; pass the last {self.config.n_positions}"
            )
        return array

    def _checked_pair(self, ids: ArrayLike, targets: ArrayLike) -> tuple[Array, Array]:
        ids = self._checked(ids)
        targets = check_integers(targets, "targets")
        if targets.shape != ids.shape:
            raise ValueError(f"targets {targets.shape} must have the shape of ids {ids.shape}")
        return np.atleast_2d(ids), np.atleast_2d(targets)


def _check_config(config: object) -> None:
    if not isinstance(config, GPT2Config):
        raise ValueError(f"expected a GPT2Config, such as GPT2Config.named('gpt2'); "
                         f"got {shown(config)}")
