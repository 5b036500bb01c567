"""Rules of a site: recipes in the format of the `deid` library, read, checked and compiled for the engine.

A recipe can make the profile stricter, and relax it only where the profile's options would. It never runs code.
"""
