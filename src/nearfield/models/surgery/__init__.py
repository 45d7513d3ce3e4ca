"""Models made from models by their weights alone: merged, with fewer layers, with a smaller
vocabulary, at half the size.
"""
