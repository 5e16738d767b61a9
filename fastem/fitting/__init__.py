"""EM from one start, and from several."""
