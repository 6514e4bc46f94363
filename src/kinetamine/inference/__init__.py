"""Learn from one person."""
