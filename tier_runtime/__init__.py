"""What every tier needs to be a tier; it knows no tier."""
