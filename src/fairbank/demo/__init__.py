"""The staged federation of `fairbank demo`. It calls public functions only, and no room imports it."""
