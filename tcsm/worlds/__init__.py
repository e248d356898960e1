"""Laws of data that are known: small enough to list, so that a model is held against the truth."""
