"""From valid plays to facts: each play with its engagement, and the tiles whose sums make every window."""
