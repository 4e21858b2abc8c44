"""Calls of two users and a service in any order, with a check of all promises after each call."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition

from .actions import may_act, of_batch, picked
from .backend import CALLERS, SERVICE
from .model import KINDS, File, content, may_abort, may_delete
from .promises import Promises
from .races import Races
from .records import UNKNOWN_IDS, UNKNOWN_KEYS, Records
from .steps import CALLER, PICKS, step

CHECKSUMS = ((), ("sha256",), ("md5",), ("md5", "sha256"))
SHAPES = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(CHECKSUMS), st.booleans()), min_size=1, max_size=2)
"""Size, checksums, and whether it is multipart, for each file of a create."""

THEN = st.sampled_from(("", "first", "first, confirmed", "second, confirmed", "html, confirmed"))
"""The steps after a create: a PUT of one kind of bytes, and perhaps a confirm."""

PAUSES = (30, 901, 3700, 43_200, 86_400, 2 * 86_400, 4 * 86_400)
"""Beyond the lifetime of URLs and copies, half a day and a day of an Idempotency-Key, and retentions."""


class Sequences(Races, RuleBasedStateMachine):
    """The state machine; a subclass has its back end."""

    @initialize(variant=st.integers(0, 2))
    def begin(self, variant: int) -> None:
        """Start without uploads."""
        self.backend.begin(variant)
        self.records = Records(self.backend)
        self.promises = Promises(self.backend, self.records)

    def teardown(self) -> None:
        """End the sequence."""
        self.backend.end()

    @invariant()
    def every_promise_holds(self) -> None:
        """Check every promise."""
        self.promises.check()

    @step(
        caller=CALLER,
        shapes=SHAPES,
        name=st.sampled_from(("a.mp3", "b.mp3")),
        key=st.sampled_from((None, "k1", "k2")),
        then=THEN,
    )
    def create(
        self,
        caller: str,
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
        self.create_for((caller, files, key), then)

    @step(caller=CALLER, size=st.integers(0, 2), key=st.sampled_from(("k1", "k2")), kind=st.sampled_from(KINDS))
    def create_both_ways(self, caller: str, size: int, key: str, kind: str) -> None:
        """Create one file by one Idempotency-Key as a PUT that is not sent, and as a multipart upload that is."""
        for in_parts in (False, True):
            self.create_for((caller, (File("d.mp3", self.size_of(size), (), in_parts),), key), "")
        self.send_to(self.records.grants[-1], kind, [])

    @precondition(lambda self: self.records.requests)
    @step(pick=PICKS, other=st.sampled_from(("", "name", "parts", "caller")), then=THEN)
    def create_again(self, pick: int, other: str, then: str) -> None:
        """Repeat an earlier create, or send another one with its Idempotency-Key."""
        caller, files, key = picked(self.records.requests, pick)
        if other == "caller":
            caller = CALLERS[CALLERS.index(caller) - 1]
        if other == "name":
            files = tuple(File("c.mp3", file.size, file.checksums, file.in_parts) for file in files)
        if other == "parts":
            files = tuple(
                File(file.name, file.size, file.checksums, not file.in_parts and not file.checksums) for file in files
            )
        self.create_for((caller, files, key), then)

    @precondition(lambda self: self.records.grants)
    @step(pick=PICKS, kind=st.sampled_from((*KINDS, "short")), numbers=st.lists(st.integers(1, 4), max_size=6))
    def send(self, pick: int, kind: str, numbers: list[int]) -> None:
        """PUT an upload, or some parts by new URLs; without numbers all parts."""
        self.send_to(picked(self.records.grants, pick), kind, numbers)

    @precondition(lambda self: self.records.uploads)
    @step(kind=st.sampled_from(KINDS))
    def replay(self, kind: str) -> None:
        """Use every old URL again; over HTTP the last three of each upload."""
        last = 0 if self.backend.simulates_store else -3
        for upload in self.records.uploads.values():
            for sent in upload.urls[last:]:
                self.put_to(upload, sent, content(upload.file.size, kind))

    @precondition(lambda self: self.records.grants)
    @step(pick=PICKS, caller=CALLER)
    def confirm(self, pick: int, caller: str) -> None:
        """Confirm as any caller."""
        self.confirm_by(picked(self.records.grants, pick), caller)

    @precondition(lambda self: self.records.grants)
    @step(picks=st.lists(PICKS, min_size=1, max_size=5), caller=CALLER, unknown=st.booleans())
    def confirm_many(self, picks: list[int], caller: str, *, unknown: bool) -> None:
        """Confirm a batch with repeated, foreign and unknown ids."""
        grants = [picked(self.records.grants, pick) for pick in picks]
        grants = [*{grant.upload: grant for grant in grants}.values()]
        grants.append(grants[0])
        may = [self.may_confirm(grant, caller) for grant in grants]
        ids = [grant.id for grant in grants] + list(UNKNOWN_IDS) * unknown
        results = self.call(caller, "confirm_many", ids).document["results"]
        assert len(results) == len(ids)
        for grant, each, outcomes in zip(grants, results, may, strict=False):
            self.confirmed(grant, of_batch(each), outcomes)
        assert all(of_batch(each).outcome == "not_found" for each in results[len(grants) :])

    @precondition(lambda self: self.records.grants)
    @step(pick=PICKS, caller=CALLER)
    def look(self, pick: int, caller: str) -> None:
        """Read the status of an upload as any caller."""
        grant = picked(self.records.grants, pick)
        response = self.call(caller, "look", grant.id)
        if may_act(caller, grant.upload):
            assert response.document["status"] in self.may_look(grant), response
        else:
            assert response.outcome == "not_found"

    @precondition(lambda self: self.records.grants)
    @step(pick=PICKS, caller=CALLER)
    def abort(self, pick: int, caller: str) -> None:
        """Abort as any caller."""
        grant = picked(self.records.grants, pick)
        may = may_abort(grant.upload) if may_act(caller, grant.upload) else "not_found"
        response = self.call(caller, "abort", grant.id)
        assert response.outcome == may, response
        if response.status == 204:
            grant.upload.mark_deleted()

    @precondition(lambda self: self.records.uploads)
    @step(pick=PICKS, caller=CALLER)
    def delete(self, pick: int, caller: str) -> None:
        """Delete an object as any caller."""
        upload = picked([*self.records.uploads.values()], pick)
        may = may_delete(upload) if may_act(caller, upload) else "not_found"
        response = self.call(caller, "delete", upload.key)
        assert response.outcome == may, response
        if response.status == 204:
            upload.mark_deleted()

    @precondition(lambda self: self.records.uploads)
    @step(picks=st.lists(PICKS, max_size=3), unknown=st.integers(0, 2), caller=st.sampled_from((SERVICE, *CALLERS)))
    def delete_many(self, picks: list[int], unknown: int, caller: str) -> None:
        """Delete in bulk, with unknown and repeated keys."""
        uploads = [picked([*self.records.uploads.values()], pick) for pick in picks]
        keys = [*(upload.key for upload in uploads), *UNKNOWN_KEYS[:unknown], UNKNOWN_KEYS[0]]
        response = self.call(caller, "delete_many", keys)
        if caller != SERVICE:
            assert response.outcome == "forbidden"
            return
        assert [each["status"] for each in response.document["results"]] == ["deleted"] * len(set(keys))
        for upload in uploads:
            upload.mark_deleted()

    @precondition(lambda self: self.records.uploads)
    @step(pick=PICKS)
    def download(self, pick: int) -> None:
        """Follow a link."""
        self.promises.served(picked([*self.records.uploads.values()], pick))

    @precondition(lambda self: self.records.grants)
    @step(seconds=st.sampled_from(PAUSES))
    def wait(self, seconds: int) -> None:
        """Advance the clock."""
        self.backend.wait(seconds)

    @precondition(lambda self: self.backend.simulates_store and self.records.grants)
    @step(first=st.sampled_from((0, *PAUSES)))
    def clean(self, first: int) -> None:
        """Apply the lifecycle rules, perhaps some time later."""
        self.backend.wait(first)
        self.records.cleaned(self.backend.clean())
