"""What is unsafe about a server that federates, or about an agent, and how to mend it.

Each check looks at facts that were gathered before, and has a stable id; ``docs/reference/doctor.md`` lists all of
them.  What is not known is not judged: a check that finds no facts of its kind says nothing.
"""
