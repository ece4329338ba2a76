"""Hashing behind the writes: right digests, honest failures, no thread left."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import blake3
import pytest

from thunderdl import verify
from thunderdl.errors import StorageError
from thunderdl.formats.content_key import content_key, granule_root, leaf_digests
from thunderdl.formats.hashes import new_hasher
from thunderdl.model import ContentKey, Digest, PieceHashes
from thunderdl.verify import BLOCK_BYTES, PieceVerifier, PrefixHasher, TreeHasher, hash_file, piece_hashes_of

SIZE = 3 * BLOCK_BYTES + 4321
DATA = hashlib.shake_128(b"verify").digest(SIZE)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = set(threading.enumerate()) - before
    assert [thread.name for thread in left if thread.name.startswith("thunderdl")] == []


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "file").write_bytes(DATA)
    return str(tmp_path / "file")


@pytest.fixture
def fd(path: str) -> Iterator[int]:
    number = os.open(path, os.O_RDWR)
    yield number
    os.close(number)


def sha256(data: bytes) -> Digest:
    return Digest("sha256", hashlib.sha256(data).digest())


class TestPrefixHasher:
    def test_follows_the_prefix(self, fd: int) -> None:
        hasher = PrefixHasher(fd, "sha256")
        for end in (1, 1000, BLOCK_BYTES, BLOCK_BYTES + 5, 100, SIZE):
            hasher.advance(end)
        assert asyncio.run(hasher.finish(SIZE)) == sha256(DATA)
        assert hasher.hashed_bytes == SIZE
        hasher.close()

    def test_finish_alone_reads_all(self, fd: int) -> None:
        hasher = PrefixHasher(fd, "blake3")
        assert asyncio.run(hasher.finish(SIZE)).value == blake3.blake3(DATA).digest()
        hasher.close()

    def test_an_empty_file(self, fd: int) -> None:
        hasher = PrefixHasher(fd, "sha256")
        assert asyncio.run(hasher.finish(0)) == sha256(b"")
        hasher.close()

    def test_a_piece_replaced_after_it_was_hashed(self, fd: int) -> None:
        hasher = PrefixHasher(fd, "sha256")
        asyncio.run(hasher.finish(SIZE))
        hasher.reset(10)
        assert hasher.hashed_bytes == 0
        os.pwrite(fd, b"other", 10)
        assert asyncio.run(hasher.finish(SIZE)) == sha256(DATA[:10] + b"other" + DATA[15:])
        hasher.close()

    def test_a_piece_replaced_while_its_block_is_read(self, fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
        hasher = PrefixHasher(fd, "sha256")
        preadv = os.preadv
        reads = []

        def replaced_behind_the_read(fd: int, buffers: list[memoryview], start: int) -> int:
            count = preadv(fd, buffers, start)
            reads.append(start)
            if len(reads) == 2:
                hasher.reset(start)
                os.pwrite(fd, b"other", start)
                hasher.advance(SIZE)
            return count

        monkeypatch.setattr(os, "preadv", replaced_behind_the_read)
        found = asyncio.run(hasher.finish(SIZE))
        assert found == sha256(DATA[:BLOCK_BYTES] + b"other" + DATA[BLOCK_BYTES + 5 :])
        hasher.close()

    def test_reset_beyond_what_was_hashed_keeps_it(self, fd: int) -> None:
        hasher = PrefixHasher(fd, "sha256")
        asyncio.run(hasher.finish(SIZE))
        hasher.reset(SIZE)
        assert hasher.hashed_bytes == SIZE
        hasher.close()

    def test_checkpoints_save_the_start(self, fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(verify, "CHECKPOINT_BYTES", BLOCK_BYTES)
        hasher = PrefixHasher(fd, "sha256")
        asyncio.run(hasher.finish(SIZE))
        hasher.reset(2 * BLOCK_BYTES + 7)
        assert hasher.hashed_bytes == 2 * BLOCK_BYTES
        assert asyncio.run(hasher.finish(SIZE)) == sha256(DATA)
        hasher.close()

    def test_checkpoints_stay_few(self, fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(verify, "CHECKPOINT_BYTES", BLOCK_BYTES)
        monkeypatch.setattr(verify, "CHECKPOINTS_KEPT", 2)
        hasher = PrefixHasher(fd, "sha256")
        asyncio.run(hasher.finish(SIZE))
        hasher.reset(2 * BLOCK_BYTES + 7)
        assert hasher.hashed_bytes == 2 * BLOCK_BYTES
        hasher.close()

    def test_a_file_cut_short(self, fd: int) -> None:
        os.ftruncate(fd, 100)
        hasher = PrefixHasher(fd, "sha256", "some.part")
        with pytest.raises(StorageError, match=r"some\.part: ends at byte 100"):
            asyncio.run(hasher.finish(SIZE))
        hasher.reset()
        os.pwrite(fd, DATA, 0)
        assert asyncio.run(hasher.finish(SIZE)) == sha256(DATA)
        hasher.close()

    def test_close_cancels_a_waiter(self, fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
        hasher = PrefixHasher(fd, "sha256")
        preadv = os.preadv
        taken_back = threading.Event()

        def taken_back_behind_the_read(fd: int, buffers: list[memoryview], start: int) -> int:
            hasher.reset()
            taken_back.set()
            return preadv(fd, buffers, start)

        async def close_while_waiting() -> None:
            waiting = asyncio.ensure_future(hasher.finish(SIZE))
            await asyncio.to_thread(taken_back.wait)
            hasher.close()
            await waiting

        monkeypatch.setattr(os, "preadv", taken_back_behind_the_read)
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(close_while_waiting())
        hasher.close()

    def test_misuse(self, fd: int) -> None:
        hasher = PrefixHasher(fd, "sha256")
        hasher.advance(100)
        with pytest.raises(ValueError, match="longer than 99"):
            asyncio.run(hasher.finish(99))
        hasher.close()
        with pytest.raises(ValueError, match="closed"):
            asyncio.run(hasher.finish(100))
        hasher.advance(200)


@pytest.mark.parametrize("algorithm", ["crc-of-my-own", "shake_128"])
def test_algorithms_that_do_not_serve(algorithm: str) -> None:
    with pytest.raises(ValueError, match=algorithm):
        new_hasher(algorithm)


class TestPieceVerifier:
    PIECE = 1_500_000

    def hashes(self, path: str) -> PieceHashes:
        return piece_hashes_of(path, "sha1", self.PIECE)

    def test_good_and_bad_pieces(self, fd: int, path: str) -> None:
        verifier = PieceVerifier(fd, SIZE, self.hashes(path))
        os.pwrite(fd, b"wrong", self.PIECE + 9)

        async def all_pieces() -> list[bool]:
            return await asyncio.gather(*(verifier.check(index) for index in range(3)))

        assert asyncio.run(all_pieces()) == [True, False, True]
        assert verifier.submit(0, 0, self.PIECE).result()
        verifier.close()

    def test_a_file_cut_short(self, fd: int, path: str) -> None:
        verifier = PieceVerifier(fd, SIZE, self.hashes(path))
        os.ftruncate(fd, 5)
        with pytest.raises(StorageError):
            asyncio.run(verifier.check(1))
        verifier.close()


class TestTreeHasher:
    STEP = 64 * 16384

    def root(self, index: int) -> bytes:
        return granule_root(leaf_digests(memoryview(DATA)[index * self.STEP : (index + 1) * self.STEP]), SIZE)

    def key(self) -> ContentKey:
        return content_key(SIZE, b"".join(map(self.root, range(4))))

    def test_all_from_the_file(self, fd: int) -> None:
        assert asyncio.run(TreeHasher().finish(fd, SIZE)) == self.key()
        assert asyncio.run(TreeHasher(16).finish(fd, SIZE)) == self.key()
        assert asyncio.run(TreeHasher(1024).finish(fd, SIZE)) == self.key()

    def test_what_was_offered_is_not_read(self, fd: int) -> None:
        tree = TreeHasher()
        for index in (3, 0, 2, 1):
            tree.offer(index, self.root(index))
        assert asyncio.run(tree.finish(-1, SIZE)) == self.key()

    def test_what_was_dropped_is_read(self, fd: int) -> None:
        tree = TreeHasher()
        tree.offer(0, self.root(0))
        tree.offer(1, bytes(32))
        tree.drop(1)
        tree.drop(99)
        assert asyncio.run(tree.finish(fd, SIZE)) == self.key()

    def test_an_empty_file(self, fd: int) -> None:
        assert asyncio.run(TreeHasher().finish(fd, 0)) == ContentKey(0, bytes(32))

    def test_a_file_cut_short(self, fd: int) -> None:
        os.ftruncate(fd, 5)
        with pytest.raises(StorageError, match="ends at byte"):
            asyncio.run(TreeHasher().finish(fd, SIZE))


def test_hash_file(path: str) -> None:
    seen: list[tuple[int, int]] = []
    assert hash_file(path, "sha256", lambda done, size: seen.append((done, size))) == sha256(DATA)
    assert seen[0] == (BLOCK_BYTES, SIZE)
    assert seen[-1] == (SIZE, SIZE)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        hash_file(str(tmp_path / "absent"), "sha256")
    with pytest.raises(StorageError, match="directory"):
        hash_file(str(tmp_path), "sha256")


def test_piece_hashes_of(path: str) -> None:
    hashes = piece_hashes_of(path, "md5", BLOCK_BYTES)
    assert [len(digest) for digest in hashes.digests] == [16] * 4
    assert hashes.digests[3] == hashlib.md5(DATA[3 * BLOCK_BYTES :]).digest()
    with pytest.raises(ValueError, match="0 bytes"):
        piece_hashes_of(path, "md5", 0)
