"""Who is on duty, who stands in, and whether every minute has somebody."""
