"""Target Concrete Score Matching: one objective for discrete diffusion (arXiv 2504.16431)."""
