"""Stored history enters, with policies; what each would have made of it leaves, in numbers alone."""
