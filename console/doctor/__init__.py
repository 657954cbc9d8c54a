"""The doctor: an installation enters, a line for each part leaves, with how to mend it."""
