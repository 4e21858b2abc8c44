"""Calls in any order by two users and a service, and all promises after each of them."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition

from .acts import may_act, of_batch, picked
from .backend import EVERYBODY, SERVICE
from .book import UNKNOWN_KEYS, UNKNOWN_TICKETS, Book
from .model import KINDS, File, content, may_abort, may_delete
from .promises import Promises
from .races import Races
from .steps import PEOPLE, PICKS, step

CHECKSUMS = ((), ("sha256",), ("md5",), ("md5", "sha256"))
SHAPES = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(CHECKSUMS), st.booleans()), min_size=1, max_size=2)
"""Size, checksums, and whether it comes in parts, of each file of a create."""

THEN = st.sampled_from(("", "first", "first, confirmed", "second, confirmed", "html, confirmed"))
"""What follows a create at once: bytes of a kind, and a confirm."""

PAUSES = (30, 901, 3700, 43_200, 86_400, 2 * 86_400, 4 * 86_400)
"""URLs, copies, half of an idempotency day, all of it, and what the lifecycle keeps."""


class Sequences(Races, RuleBasedStateMachine):
    """The state machine; a subclass has its back end."""

    @initialize(variant=st.integers(0, 2))
    def begin(self, variant: int) -> None:
        """Start without uploads."""
        self.backend.begin(variant)
        self.book = Book(self.backend)
        self.promises = Promises(self.backend, self.book)

    def teardown(self) -> None:
        """End the sequence."""
        self.backend.end()

    @invariant()
    def every_promise_holds(self) -> None:
        """Check every promise."""
        self.promises.check()

    @step(
        who=PEOPLE,
        shapes=SHAPES,
        name=st.sampled_from(("a.mp3", "b.mp3")),
        key=st.sampled_from((None, "k1", "k2")),
        then=THEN,
    )
    def create(
        self,
        who: str,
        shapes: list[tuple[int, tuple[str, ...], bool]],
        name: str,
        key: str | None,
        then: str,
    ) -> None:
        """Create uploads, and perhaps send or confirm them at once."""
        files = tuple(
            File(name, self.size_of(size), () if in_parts else checksums, in_parts)
            for size, checksums, in_parts in shapes
        )
        self.create_for((who, files, key), then)

    @step(who=PEOPLE, size=st.integers(0, 2), key=st.sampled_from(("k1", "k2")), kind=st.sampled_from(KINDS))
    def create_both_ways(self, who: str, size: int, key: str, kind: str) -> None:
        """Create one file by one Idempotency-Key as a PUT that is not sent, and as a multipart upload that is."""
        for in_parts in (False, True):
            self.create_for((who, (File("d.mp3", self.size_of(size), (), in_parts),), key), "")
        self.send_to(self.book.grants[-1], kind, [])

    @precondition(lambda self: self.book.requests)
    @step(pick=PICKS, other=st.sampled_from(("", "name", "parts", "person")), then=THEN)
    def create_again(self, pick: int, other: str, then: str) -> None:
        """Repeat an earlier create, or send another one with its Idempotency-Key."""
        who, files, key = picked(self.book.requests, pick)
        if other == "person":
            who = EVERYBODY[EVERYBODY.index(who) - 1]
        if other == "name":
            files = tuple(File("c.mp3", file.size, file.checksums, file.in_parts) for file in files)
        if other == "parts":
            files = tuple(
                File(file.name, file.size, file.checksums, not file.in_parts and not file.checksums) for file in files
            )
        self.create_for((who, files, key), then)

    @precondition(lambda self: self.book.grants)
    @step(pick=PICKS, kind=st.sampled_from((*KINDS, "short")), numbers=st.lists(st.integers(1, 4), max_size=6))
    def send(self, pick: int, kind: str, numbers: list[int]) -> None:
        """PUT an upload, or some parts by new URLs; without numbers all parts."""
        self.send_to(picked(self.book.grants, pick), kind, numbers)

    @precondition(lambda self: self.book.uploads)
    @step(kind=st.sampled_from(KINDS))
    def replay(self, kind: str) -> None:
        """Use every old URL again; over HTTP the last three of each upload."""
        last = 0 if self.backend.plays_store else -3
        for upload in self.book.uploads.values():
            for sent in upload.urls[last:]:
                self.put_to(upload, sent, content(upload.file.size, kind))

    @precondition(lambda self: self.book.grants)
    @step(pick=PICKS, who=PEOPLE)
    def confirm(self, pick: int, who: str) -> None:
        """Confirm as any caller."""
        self.confirm_by(picked(self.book.grants, pick), who)

    @precondition(lambda self: self.book.grants)
    @step(picks=st.lists(PICKS, min_size=1, max_size=5), who=PEOPLE, unknown=st.booleans())
    def confirm_many(self, picks: list[int], who: str, *, unknown: bool) -> None:
        """Confirm a batch with repeated, foreign and unknown ids."""
        grants = [picked(self.book.grants, pick) for pick in picks]
        grants = [*{grant.upload: grant for grant in grants}.values()]
        grants.append(grants[0])
        may = [self.may_confirm(grant, who) for grant in grants]
        ids = [grant.id for grant in grants] + list(UNKNOWN_TICKETS) * unknown
        results = self.ask(who, "confirm_many", ids).document["results"]
        assert len(results) == len(ids)
        for grant, each, outcomes in zip(grants, results, may, strict=False):
            self.confirmed(grant, of_batch(each), outcomes)
        assert all(of_batch(each).outcome == "not_found" for each in results[len(grants) :])

    @precondition(lambda self: self.book.grants)
    @step(pick=PICKS, who=PEOPLE)
    def look(self, pick: int, who: str) -> None:
        """Read the status of an upload as any caller."""
        grant = picked(self.book.grants, pick)
        answer = self.ask(who, "look", grant.id)
        if may_act(who, grant.upload):
            assert answer.document["status"] in self.may_look(grant), answer
        else:
            assert answer.outcome == "not_found"

    @precondition(lambda self: self.book.grants)
    @step(pick=PICKS, who=PEOPLE)
    def abort(self, pick: int, who: str) -> None:
        """Abort as any caller."""
        grant = picked(self.book.grants, pick)
        may = may_abort(grant.upload) if may_act(who, grant.upload) else "not_found"
        answer = self.ask(who, "abort", grant.id)
        assert answer.outcome == may, answer
        if answer.status == 204:
            grant.upload.bury()

    @precondition(lambda self: self.book.uploads)
    @step(pick=PICKS, who=PEOPLE)
    def delete(self, pick: int, who: str) -> None:
        """Delete an object as any caller."""
        upload = picked([*self.book.uploads.values()], pick)
        may = may_delete(upload) if may_act(who, upload) else "not_found"
        answer = self.ask(who, "delete", upload.key)
        assert answer.outcome == may, answer
        if answer.status == 204:
            upload.bury()

    @precondition(lambda self: self.book.uploads)
    @step(picks=st.lists(PICKS, max_size=3), unknown=st.integers(0, 2), who=st.sampled_from((SERVICE, *EVERYBODY)))
    def delete_many(self, picks: list[int], unknown: int, who: str) -> None:
        """Delete in bulk, with unknown and repeated keys."""
        uploads = [picked([*self.book.uploads.values()], pick) for pick in picks]
        keys = [*(upload.key for upload in uploads), *UNKNOWN_KEYS[:unknown], UNKNOWN_KEYS[0]]
        answer = self.ask(who, "delete_many", keys)
        if who != SERVICE:
            assert answer.outcome == "forbidden"
            return
        assert [each["status"] for each in answer.document["results"]] == ["deleted"] * len(set(keys))
        for upload in uploads:
            upload.bury()

    @precondition(lambda self: self.book.uploads)
    @step(pick=PICKS)
    def download(self, pick: int) -> None:
        """Follow a link."""
        self.promises.served(picked([*self.book.uploads.values()], pick))

    @precondition(lambda self: self.book.grants)
    @step(seconds=st.sampled_from(PAUSES))
    def wait(self, seconds: int) -> None:
        """Advance the clock."""
        self.backend.wait(seconds)

    @precondition(lambda self: self.backend.plays_store and self.book.grants)
    @step(first=st.sampled_from((0, *PAUSES)))
    def clean(self, first: int) -> None:
        """Apply the lifecycle rules, perhaps some time later."""
        self.backend.wait(first)
        self.book.cleaned(self.backend.clean())
