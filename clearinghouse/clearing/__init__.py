"""The five steps of every ruling, and the short function that performs them in order (pure).

``request -> facts -> proof -> decision -> enforcement``: see :func:`clearinghouse.clearing.clear.clear`.
"""
