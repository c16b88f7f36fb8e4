"""Today's white-lists, read as they are: Prosody, ejabberd, plain text, CSV.

Each reader gives what a list says, with the file and the line, and says of everything that it could not
read, or that a list of domains cannot hold, what it is and where.  Nothing is run, and nothing is lost silently.
"""
