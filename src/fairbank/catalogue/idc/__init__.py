"""The public mirror of the NCI Imaging Data Commons: its index of series becomes datasets of a node that the hub keeps.

It reads an index, never an image, and publishes counts of whole collections, never a series or a subject.
"""
