"""Secure aggregation: the hub learns the sum of the sites' updates, and no single one of them."""
