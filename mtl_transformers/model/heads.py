"""Heads: one task's output module, as a plain spec describes it.

Owns `Head` and the initialisation of a new head. Which parts a head has is ``head_spec.py``'s; what its logits mean,
``tasks/``'s. Never reads the encoder: it is handed a pooler.

Shapes: ``S`` sequences, ``L`` tokens, ``D`` hidden, ``M`` vectors a target names, ``C`` outputs.
"""

from collections.abc import Mapping
from hashlib import blake2b

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import ACT2FN

from mtl_transformers.batch import Target
from mtl_transformers.model.encoded import Encoded
from mtl_transformers.model.head_spec import HeadSpec


class Head(nn.Module):
    """One task's output layers; parameters as far as the spec has their part.

    ``mix`` ``[layers]``, ``query`` ``[D]``, ``dense.*``, ``norm.*``, and of the output ``out.*``, ``cuts`` ``[C]`` or
    ``bias`` ``[C]``.
    """

    def __init__(self, spec: HeadSpec) -> None:
        super().__init__()
        self.spec = spec
        size = spec.in_features
        self.mix = nn.Parameter(torch.empty(spec.num_mixed)) if spec.layer == "mix" else None
        self.query = nn.Parameter(torch.empty(size)) if spec.pooling == "attention" else None
        self.input_dropout = nn.Dropout(spec.input_dropout)
        inner = spec.dense_features or size
        self.dense = None if spec.activation is None else nn.Linear(size, inner, bias=spec.dense_bias)
        self.activation = None if spec.activation is None else ACT2FN[spec.activation]
        self.num_inner = inner = size if self.dense is None else inner
        self.norm = None if spec.norm_eps is None else nn.LayerNorm(inner, spec.norm_eps, bias=spec.norm_bias)
        self.output_dropout = nn.Dropout(spec.output_dropout)
        self.out: nn.Linear | None = None
        self.cuts: nn.Parameter | None = None
        self.bias: nn.Parameter | None = None
        match spec.output:
            case "linear":
                self.out = nn.Linear(inner, spec.out_features)
            case "ordinal":
                self.out = nn.Linear(inner, 1, bias=False)
                self.cuts = nn.Parameter(torch.empty(spec.out_features))
            case "tied":
                self.bias = nn.Parameter(torch.empty(spec.out_features))

    def forward(self, encoded: Encoded, target: Target) -> Tensor:
        """Return logits ``[M, C]`` of the vectors that the target names.

        Args:
            encoded: the micro-batch.
            target: which sequences (and positions) to read.
        """
        return self._score(self._gather(self._layer(encoded), encoded.mask, target), encoded)

    def everywhere(self, encoded: Encoded) -> Tensor:
        """Return the logits of all that a target could name: of every sequence ``[S, C]``, or token ``[S, L, C]``."""
        hidden = self._layer(encoded)
        return self._score(hidden if self.spec.vectors == "token" else self._pool(hidden, encoded.mask), encoded)

    def _score(self, vectors: Tensor, encoded: Encoded) -> Tensor:
        """Return the logits ``[…, C]`` of vectors ``[…, D]``."""
        vectors = self.input_dropout(vectors)
        if self.dense is not None and self.activation is not None:
            vectors = self.activation(self.dense(vectors))
        if self.norm is not None:
            vectors = self.norm(vectors)
        return self._output(self.output_dropout(vectors), encoded)

    def _output(self, vectors: Tensor, encoded: Encoded) -> Tensor:
        """Return ``[…, C]``."""
        if self.bias is not None:
            assert encoded.embeddings is not None  # the network gives them to tied heads
            scores: Tensor = functional.linear(vectors, encoded.embeddings, self.bias)
            return scores
        if self.out is None:
            return vectors
        logits: Tensor = self.out(vectors)
        return logits if self.cuts is None else logits - ascending(self.cuts)

    def _layer(self, encoded: Encoded) -> Tensor:
        """Return ``[S, L, D]``, the layer that is read, or the mix of all."""
        if self.mix is not None:
            return torch.einsum("n,nsld->sld", self.mix.softmax(dim=0), torch.stack(encoded.layers))
        return encoded.last if self.spec.layer is None else encoded.layers[int(self.spec.layer)]

    def _gather(self, hidden: Tensor, mask: Tensor, target: Target) -> Tensor:
        """Return ``[M, D]``, the vectors that the target names and no others."""
        if self.spec.vectors == "token":
            return hidden[target.sequences, target.positions]
        if self.spec.pooling == "first":
            return hidden[target.sequences, 0]
        return self._pool(hidden[target.sequences], mask[target.sequences])

    def _pool(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return ``[M, D]``, one vector for each sequence of tokens ``[M, L, D]``, of which a mask tells the real."""
        if self.spec.pooling == "first":
            return tokens[:, 0]
        real = mask.unsqueeze(-1)  # [M, L, 1]
        if self.spec.pooling == "max":
            return tokens.masked_fill(real == 0, -torch.inf).amax(dim=1)
        if self.query is None:
            return (tokens * real).sum(dim=1) / real.sum(dim=1)
        scores = (tokens @ self.query).unsqueeze(-1).float() / self.spec.in_features**0.5
        attention = scores.masked_fill(real == 0, -torch.inf).softmax(dim=1)
        pooled: Tensor = (tokens * attention).sum(dim=1)
        return pooled


def ascending(cuts: Tensor) -> Tensor:
    """Return cut points ``[C]`` that ascend, from a first one and what each lies above the one before it."""
    return torch.cat([cuts[:1], functional.softplus(cuts[1:])]).cumsum(dim=0)


def build_head(
    spec: HeadSpec,
    *,
    seed: int,
    task: str,
    initializer_range: float,
    pooler: Mapping[str, Tensor] | None = None,
) -> Head:
    """Build a head whose weights depend on (seed, task name) only: normal weights, zero biases, unit norms.

    Args:
        spec: its parts.
        seed: of the run.
        task: its name.
        initializer_range: standard deviation of the weights (the encoder's ``config.initializer_range``).
        pooler: ``weight`` and ``bias`` of a pretrained dense (`encoder.head_pooler`), copied into the head's
            own when it reads sequences.
    """
    with torch.device("meta"):  # layers would initialise themselves from the global generator
        head = Head(spec)
    head.to_empty(device="cpu")
    digest = blake2b(f"{seed}/head/{task}".encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            if name.startswith("norm."):
                parameter.fill_(1.0 if name == "norm.weight" else 0.0)
            elif name == "cuts":
                parameter.copy_(_even_cuts(spec.out_features))
            elif name.endswith("bias") or name in ("mix", "query"):
                parameter.zero_()  # all layers, or all tokens, weigh the same at first
            else:
                parameter.normal_(0.0, initializer_range, generator=generator)
        if pooler is not None and head.dense is not None and spec.vectors != "token":
            head.dense.load_state_dict(dict(pooler))
    return head


def _even_cuts(count: int) -> Tensor:
    """Return cut points, as `ascending` takes them, under which all labels are equally probable at 0."""
    points = torch.arange(1, count + 1, dtype=torch.float64).div(count + 1).logit()
    return torch.cat([points[:1], points.diff().expm1().log()]).float()
