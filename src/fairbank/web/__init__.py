"""The hub's HTTP application and its client: assembles the routers of the rooms below. It never holds a rule of access."""
