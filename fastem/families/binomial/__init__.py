"""Binomial mixtures."""
