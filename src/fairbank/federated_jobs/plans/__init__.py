"""The compute plans as pure state machines: who trains next, from which model, and what becomes of what they send."""
