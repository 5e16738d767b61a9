"""How many components: candidates, their table, and a test."""
