"""How weights change: step, gradient cache, loop, checkpoint, group."""
