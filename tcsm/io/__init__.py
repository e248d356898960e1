"""Files: atomic writes, locks, records with checksums, and the layout of a run's folder."""
