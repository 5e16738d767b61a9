"""Gaussian mixtures by variational Bayes: a posterior of the parameters in the place of their values."""
