"""The second look: outputs are read again from their bytes and judged without the engine that made them."""
