"""What the engine costs beside its peers: ``make bench``.

Every comparison is a race: its sides take turns in short batches within one run, so that whatever
else the machine does hits them alike, and medians are compared.  Each side's answer is checked
before it is timed; a wrong answer ends the run, a missed goal is printed and nothing else.
"""
