"""What background jobs do: one module for each, and what runs them."""
