"""From device dialects to the canonical door events, kept on disk until the central broker has them."""
