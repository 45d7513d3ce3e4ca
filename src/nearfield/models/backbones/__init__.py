"""What makes token states: transformers' own models, run on packed rows."""
