"""The record of who looked and who acted, its ends kept outside, and what an auditor should look at."""
