"""Compiled loops, and the only code that calls them."""
