"""Posteriors p(x₁ | x_t), known by their ratios."""
