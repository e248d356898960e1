"""Models of clean data p₁ itself."""
