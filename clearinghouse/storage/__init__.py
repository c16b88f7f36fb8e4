"""What is kept: policies and credentials in folders of files, decisions in a database.

``folders`` reads files, ``holdings`` (pure) makes of them what the clearinghouse believes; ``store`` says
what every store does, ``memory`` does it in dictionaries and ``database`` in SQLite.
"""
