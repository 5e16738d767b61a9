"""The search for where a fit begins: several beginnings, splits and merges, on a subsample of the rows."""
