"""Products, attention and scans in C, compiled for several kinds of processor and chosen when they
are loaded.
"""
