"""Messages that hold arrays of events enter; those of the plain kind pass as columns, without an object an event."""
