"""The hub's HTTP application and its client; assembles the routers of the rooms below. It holds no rule of access."""
