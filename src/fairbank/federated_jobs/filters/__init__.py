"""Update filters: what changes in an update before it leaves a site, and how the hub takes that back."""
