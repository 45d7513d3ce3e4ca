"""What a comparison says beyond its means."""
