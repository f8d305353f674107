"""What runs on the node: Python 3.6, standard library, ASCII. `program` joins the files in one namespace.

Imports of each other fall away when joined, so no two files may use one top-level name for two things.
Modules that are slow to import (subprocess, ssl, http.client, hashlib) are imported where they are used.
"""
