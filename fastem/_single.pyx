# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The sweeps of `_kernels.pyx` with lanes of float32, for rows of float32: see setup.py."""
include "kernels/sweeps.pxi"
