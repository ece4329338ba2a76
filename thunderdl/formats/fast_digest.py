"""The quick checksum of the journal: XXH3-64, 8 bytes. Against torn writes and rot, never against an attacker."""

from __future__ import annotations

import xxhash

DIGEST_BYTES = 8
fast_hasher = xxhash.xxh3_64
