"""Poisson mixtures."""
