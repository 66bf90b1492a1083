"""A GPT-2 in PyTorch 1.13, the peer of train-dense: torch.ts starts it and says when it may work.

It reads lines from stdin and answers each with a line of JSON. The first line is the shape and the one batch it trains on;
every further line is "f32 N" or "bf16 N" and asks for one step (forward, backward, AdamW) on the first N sequences of a
model in that precision (bf16: autocast over float32 weights). The models are made when first asked for, from one seed.

No biases and no dropout, as in the model it is held against; learned positions where that one rotates; GELU MLP four times
as wide. Attention is written out: 1.13 has no fused attention for CPUs. AdamW is the plain one: its fused kernel is for
GPUs, and `foreach` was no faster, nor were GELU by tanh, scaling q instead of the scores, and zeroing gradients in place.
"""

import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Norm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, None, 1e-5)


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.norm_1 = Norm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.norm_2 = Norm(dim)
        self.up = nn.Linear(dim, 4 * dim, bias=False)
        self.down = nn.Linear(4 * dim, dim, bias=False)

    def forward(self, x, mask):
        x = x + self.attention(self.norm_1(x), mask)
        return x + self.down(F.gelu(self.up(self.norm_2(x))))

    def attention(self, x, mask):
        batch, length, dim = x.shape
        split = (batch, length, self.heads, dim // self.heads)
        q, k, v = (part.view(split).transpose(1, 2) for part in self.qkv(x).split(dim, dim=2))
        scores = (q @ k.transpose(2, 3)) * (dim // self.heads) ** -0.5
        mixed = F.softmax(scores.masked_fill(mask, float("-inf")), dim=-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(batch, length, dim))


class Gpt(nn.Module):
    def __init__(self, shape):
        super().__init__()
        dim, length = shape["dModel"], shape["length"]
        self.tokens = nn.Embedding(shape["vocabSize"], dim)
        self.positions = nn.Embedding(length, dim)
        self.blocks = nn.ModuleList(Block(dim, shape["numHeads"]) for _ in range(shape["numLayers"]))
        self.norm = Norm(dim)
        self.register_buffer("mask", torch.ones(length, length, dtype=torch.bool).triu(1))
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                residual = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(weight, std=0.02 / (2 * shape["numLayers"]) ** 0.5 if residual else 0.02)

    def forward(self, tokens, targets):
        x = self.tokens(tokens) + self.positions.weight
        for block in self.blocks:
            x = block(x, self.mask)
        logits = F.linear(self.norm(x), self.tokens.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


class Training:
    def __init__(self, setup, precision):
        torch.manual_seed(1)
        self.autocast = precision == "bf16"
        self.model = Gpt(setup["shape"])
        matrices = [weight for weight in self.model.parameters() if weight.dim() > 1]
        others = [weight for weight in self.model.parameters() if weight.dim() == 1]
        rate, decay, betas = setup["learningRate"], setup["weightDecay"], (0.9, 0.95)
        groups = [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=rate, betas=betas)

    def step(self, tokens, targets):
        started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            loss = self.model(tokens, targets)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return {"seconds": time.perf_counter() - started, "loss": loss.item()}


def answer(value):
    print(json.dumps(value), flush=True)


def main():
    setup = json.loads(sys.stdin.readline())
    torch.set_num_threads(setup["threads"])
    shape = (-1, setup["shape"]["length"])
    tokens, targets = (torch.tensor(setup[name]).view(shape) for name in ("tokens", "targets"))
    answer({"version": torch.__version__})
    trainings = {}
    for line in sys.stdin:
        precision, sequences = line.split()
        if precision not in trainings:
            trainings[precision] = Training(setup, precision)
        part = slice(int(sequences))
        answer(trainings[precision].step(tokens[part], targets[part]))


main()
