"""Kinds of image source, each behind the same protocol; a source is only ever read."""
