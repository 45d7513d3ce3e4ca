"""Objectives made of another objective."""
