"""Tools that turn images into measurements, and the merging of results. It never talks to the network."""
