"""Levels, signed tables and members of a community: pure, for those who publish and those who receive.

============= =========================================================================
`trust`       what a receiver believes, step by step
`roles`       who may sign what, and the ceremonies in which people say so
`levels`      the level of each member, for each audience
`membership`  how members come, change and go, and what doors may ask about it
`published`   each kind of document: plain values, exact bytes, the next version
`enforced`    what a server is told to let pass
`disclosure`  the least credentials that lead from somebody to somebody
`names`       domain names in their one form
============= =========================================================================
"""

from __future__ import annotations
