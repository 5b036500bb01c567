"""Differential privacy of training at a site: what is spent, reckoned and kept by the site."""
