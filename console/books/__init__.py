"""The office's books on their way in: files enter, checked rows and what they change in the database leave.

``files`` reads bytes, ``rows`` says what a row may hold, ``checks`` compares rows with one another and with what is
stored, ``store`` reads and writes, ``place`` finds the installation. Nothing here ever deletes.
"""
