"""Train a network of your own, score and sample it, by public names alone: python own_network.py."""

import math

import torch
from torch import nn

from tcsm import evaluation, models, nets, noise, objectives, process, samplers
from tcsm.divergences import scoring_rules

V, L = 27, 16  # letters, and the length of a text


class Recurrent(nets.Net):
    """A bidirectional LSTM: features of the chosen positions, and a head to V logits."""

    causal, timed, chunk, vocabulary, states = False, False, None, V, V + 1  # one more: the mask

    def __init__(self, dim: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(self.states, dim)
        self.layer = nn.LSTM(dim, dim // 2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(dim, V)

    def features(self, x: torch.Tensor, t: torch.Tensor | None, rows: torch.Tensor) -> torch.Tensor:
        """Return features (n, D) at selected rows of the flattened batch."""
        return self.layer(self.embedding(x))[0].flatten(0, 1)[rows]


def texts(count: int) -> torch.Tensor:
    """Return alphabets that begin with a random letter, log 27/16 nats a letter."""
    return (torch.arange(L) + torch.randint(V, (count, 1))) % V


torch.manual_seed(0)
path = process.Path(process.Mask(V), process.Linear())
model = models.Factorized(Recurrent(), path)
objective = objectives.DistributionMatching(
    process.CountSampling(path), objectives.OpenMean(), scoring_rules.KL()
)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
for step in range(80):
    loss = objective(model, texts(32), noise.batch_noise(seed=0, step=step, size=32))["loss"]
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

draws = evaluation.Count(path)(model, texts(64), torch.arange(64), seed=1, draws=8)
nats = float(draws.nats.mean()) / L
print(f"at most {nats:.2f} nats a letter; chance: {math.log(V):.2f}; exact: {math.log(V) / L:.2f}")
for row in samplers.FirstHitting(steps=L, path=path)(model, count=4, length=L, seed=0).tokens:
    print("".join(" abcdefghijklmnopqrstuvwxyz"[token] for token in row))
