"""Data of which a task measures something, and which are neither a collection nor pairs."""
