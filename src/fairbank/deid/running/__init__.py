"""Runs over a plain folder: planned, cleaned series by series, resumed after any end, reviewed. Needs no node."""
