"""What plugins keep on the host's disk: a private folder each, that belongs to a digest."""
