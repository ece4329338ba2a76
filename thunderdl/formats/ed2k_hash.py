"""The ed2k hash, by which eMule names files: MD4 over the MD4 of each chunk of 9,728,000 bytes.

MD4 is broken: two files of one ed2k hash can be made. It tells damage and mix-ups, not an attack; a stronger
checksum beside it is worth giving. OpenSSL 3 has MD4 in its legacy provider only, so pycryptodome computes it (pure
Python does 1 MiB/s), imported when first used.
"""

from __future__ import annotations

CHUNK_BYTES = 9_728_000
DIGEST_BYTES = 16


class Ed2kHasher:
    """Takes bytes in order like any hasher.

    Where the length is a whole number of chunks, programs disagree: eMule counts an empty chunk behind the last one,
    older ones do not (and take the chunk's own MD4 where it is the only one). The digest is then both, eMule's
    first; :meth:`thunderdl.model.Digest.covers` compares with either.
    """

    def __init__(self) -> None:
        from Crypto.Hash import MD4

        self._fresh = MD4.new
        self._chunk, self._in_chunk = MD4.new(), 0
        self._digests = bytearray()

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        view = memoryview(data)
        while view:
            part = view[: CHUNK_BYTES - self._in_chunk]
            self._chunk.update(part)
            self._in_chunk += len(part)
            view = view[len(part) :]
            if self._in_chunk == CHUNK_BYTES:
                self._digests += self._chunk.digest()
                self._chunk, self._in_chunk = self._fresh(), 0

    def digest(self) -> bytes:
        chunks = bytes(self._digests)
        root = self._root(chunks + self._chunk.digest())
        return root if self._in_chunk or not chunks else root + self._root(chunks)

    def copy(self) -> Ed2kHasher:
        other = Ed2kHasher()
        other._chunk, other._in_chunk = self._chunk.copy(), self._in_chunk
        other._digests = self._digests[:]
        return other

    def _root(self, chunks: bytes) -> bytes:
        return chunks if len(chunks) == DIGEST_BYTES else self._fresh(chunks).digest()
