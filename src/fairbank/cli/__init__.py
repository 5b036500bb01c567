"""The command line: parse, call, print. It decides nothing."""
