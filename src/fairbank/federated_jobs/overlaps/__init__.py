"""How many subjects two sites have in common: counted by both, with neither shown the other's, and none at the hub."""
