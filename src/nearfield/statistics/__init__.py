"""Intervals, paired tests, power and equivalence groups: numbers in, numbers out."""
