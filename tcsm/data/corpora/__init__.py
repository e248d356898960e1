"""Where text comes from: one file a family of sources."""
