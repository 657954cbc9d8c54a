"""What people see and do: pages, live stream, JSON API and the command line, each within what its reader may see."""
