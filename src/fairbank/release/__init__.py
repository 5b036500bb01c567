"""The one door of a node: typed outputs, suppression, gate, outbox, ledger.

It knows what may leave, what has left and what waits to leave, byte for byte. It never opens an image, decides who may
ask for what, or lets another room of the node send a body to the hub.
"""
