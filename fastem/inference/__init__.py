"""What a fit tells beyond its parameters: standard errors and a diagnosis."""
