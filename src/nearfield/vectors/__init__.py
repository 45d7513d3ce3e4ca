"""Encoding of inputs of any size: a shard at a time, each row accounted for, and going on where it
was killed.
"""
