"""The order of all rows: numbers in, numbers out."""
