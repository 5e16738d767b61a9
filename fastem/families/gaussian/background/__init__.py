"""Gaussian mixtures with a background: a component of constant density for rows that belong to none of the others."""
