"""Ways to damage a component: its bytes, its sections, its text."""
