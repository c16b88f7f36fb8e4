"""What is kept: policies and credentials in folders of files, decisions and all that follows in a database.

``folders`` reads files, ``settling`` waits until they are whole, ``holdings`` (pure) makes of them what is believed.  ``store`` says
what every store does, ``changes`` what is written.  ``memory`` keeps it in dictionaries, ``sql_store`` in
SQLite: ``batch`` (pure) turns changes into rows and log entries, ``writer`` gathers what comes together,
``connection`` makes it durable, and ``reader`` reads it.
"""
