"""What a turn concluded enters; rows, packed for one COPY or as statements, leave, and come back as columns."""
