"""Rows, wherever they are."""
