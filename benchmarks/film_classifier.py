"""A transformer that tells praise from blame, trained on one half of the labeled reviews."""

from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from tcsm.data.labels.base import Examples
from tcsm.data.labels.jsonl import LabeledJsonl
from tcsm.data.normalize import verbatim

CHARACTERS = 560  # of a piece: about as long as 128 word pieces


def train(reviews: Path, half: int, tokenizer: Path, out: Path, steps: int, dim: int) -> dict:
    """Fit, save for ``tcsm.rewards.hub``, and tell how good it is on held-out pieces."""
    torch.manual_seed(half)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    labels = LabeledJsonl(reviews, "text", "label", verbatim, CHARACTERS, held_out=0.1)
    pieces = labels.half(half)
    known = AutoTokenizer.from_pretrained(tokenizer)
    config = BertConfig(
        vocab_size=len(known),
        hidden_size=dim,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=4 * dim,
        max_position_embeddings=192,
        id2label={0: "blame", 1: "praise"},
        label2id={"blame": 0, "praise": 1},
    )
    model = BertForSequenceClassification(config).to(device)
    _fit(model, known, pieces["train"], steps)
    model.save_pretrained(out)
    known.save_pretrained(out)
    right, pairs = _ranks(model, known, pieces["test"])
    return {
        "half": half,
        "parameters": sum(p.numel() for p in model.parameters()),
        "train_pieces": len(pieces["train"]),
        "test_pieces": len(pieces["test"]),
        "accuracy": right,
        "auc": pairs,
    }


def _fit(model, known, examples: Examples, steps: int, batch: int = 128) -> None:
    """AdamW, warm-up and linear decay, over pieces drawn anew every step."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.01)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda n: min((n + 1) / 50, max(0.0, 1 - n / steps))
    )
    inputs = known(examples.texts, padding=True, truncation=True, max_length=160)
    ids, mask = (torch.tensor(inputs[key]) for key in ("input_ids", "attention_mask"))
    goal, device = torch.tensor(examples.labels), model.device
    for _ in range(steps):
        at = torch.randint(len(goal), (batch,))
        with torch.autocast(device.type, torch.bfloat16):
            logits = model(ids[at].to(device), mask[at].to(device)).logits
        loss = cross_entropy(logits.float(), goal[at].to(device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rate.step()
        optimizer.zero_grad(set_to_none=True)


@torch.no_grad()
def _ranks(model, known, examples: Examples) -> tuple[float, float]:
    """Accuracy, and the area under the curve by ranks."""
    model.eval()
    odds = []
    for first in range(0, len(examples), 256):
        texts = examples.texts[first : first + 256]
        inputs = known(
            texts, padding=True, truncation=True, max_length=160, return_tensors="pt"
        ).to(model.device)
        logits = model(inputs["input_ids"], inputs["attention_mask"]).logits
        odds.append((logits[:, 1] - logits[:, 0]).double().cpu())
    scores, goal = torch.cat(odds), torch.tensor(examples.labels, dtype=torch.bool)
    rank = scores.argsort().argsort().double() + 1
    good, bad = int(goal.sum()), int((~goal).sum())
    area = (float(rank[goal].sum()) - good * (good + 1) / 2) / (good * bad)
    return float(((scores > 0) == goal).double().mean()), area
