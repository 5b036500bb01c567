"""Heads from whose volume a face could be made: found, held, defaced and checked, or kept in place."""
