"""The running service: the pure core joined to files, a store and brokers; time and chance come in here.

``service`` starts the parts that ``parts`` puts together.  A question is ``asking``; what lasts is ``standing``;
``topics`` are kept at the brokers; ``people`` decide and revoke; ``records`` are signed and shown.  ``policy``
follows the folders, ``checks`` says what would be loaded.
"""
