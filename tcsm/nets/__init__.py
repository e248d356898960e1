"""Networks: features at every site, logits at the chosen ones."""
