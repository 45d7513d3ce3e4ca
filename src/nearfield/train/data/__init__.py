"""What a step learns from: sampling, mining, teachers, held-out texts."""
