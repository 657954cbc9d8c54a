"""The rules of a case: what happened and ``now`` enter, the new case and what is to be done leave; pure, all of it."""
