"""De-identified series on their way out, from the research store of a node to a research archive; nothing else goes."""
