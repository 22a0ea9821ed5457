"""What each part of the paths could do alone, and what share of it the paths reach."""
