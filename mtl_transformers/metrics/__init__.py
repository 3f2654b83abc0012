"""Metrics: named, bounded, computed over a whole corpus."""
