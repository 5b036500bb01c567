"""The pages of a node, on its own machine: what waits for its people, what leaves, and what they decide about it."""
