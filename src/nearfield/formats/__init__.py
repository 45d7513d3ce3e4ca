"""What the files of each model folder layout say, read without torch."""
