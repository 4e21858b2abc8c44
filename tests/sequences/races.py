"""Concurrent calls, in one process or in several, with their requests to the store in any order."""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import precondition

from .actions import Actions, picked
from .backend import SERVICE, USERS, Call, Response
from .model import File, Grant, Upload, content
from .steps import PICKS, step

RACERS = ("confirm", "abort", "delete", "delete_many", "put", "confirm_by_another_id")
ORDER = st.lists(st.integers(0, 5), min_size=1, max_size=40)
FINAL = {("abort", 204), ("delete", 204), ("delete_many", 200)}


class Races(Actions):
    """Races for one upload."""

    @precondition(lambda self: self.backend.simulates_store and self.records.grants)
    @step(
        pick=PICKS,
        racers=st.lists(st.sampled_from(RACERS), min_size=2, max_size=3),
        order=ORDER,
    )
    def race(self, pick: int, racers: list[str], order: list[int]) -> None:
        """Perform concurrent calls for one upload, in any order of their requests to the store."""
        self._race(picked(self.records.grants, pick), racers, order)

    @precondition(lambda self: self.backend.simulates_store)
    @step(
        shape=st.tuples(st.integers(0, 2), st.booleans()),
        racers=st.lists(st.sampled_from(RACERS), min_size=1, max_size=2),
        order=ORDER,
    )
    def race_to_confirm(self, shape: tuple[int, bool], racers: list[str], order: list[int]) -> None:
        """Confirm a new upload for the first time, with concurrent calls."""
        number, in_parts = shape
        file = File("e.mp3", self.size_of(number), (), in_parts)
        self.create_for((USERS[0], (file,), None), "first")
        self._race(self.records.grants[-1], ["confirm", *racers], order)

    def _race(self, grant: Grant, racers: Sequence[str], order: Sequence[int]) -> None:
        calls = [call for racer in racers for call in self._racer(racer, grant)]
        was_ready = grant.upload.is_ready
        responses = self.backend.race(calls, order)
        for call, response in zip(calls, responses, strict=True):
            self.outcomes[f"race: {call.name} {response.outcome}"] += 1
            assert response.status < 500, (call, response)
        self._settle(grant, calls, responses)
        if any(response.outcome == "upload_confirmed" for response in responses):
            assert was_ready or any(call.name == "confirm" for call in calls)

    def _racer(self, racer: str, grant: Grant) -> list[Call]:
        upload = grant.upload
        if racer == "confirm_by_another_id":
            alike = [each for each in upload.grants if each.parts in (None, grant.parts)]
            return [Call(SERVICE, "confirm", (alike[0].id,))] if alike else []
        if racer == "put":
            single = [sent for sent in upload.urls if not sent.parts]
            body = content(upload.file.size, "second")
            return [Call("", "put", (sent.url, sent.headers, body)) for sent in single[-1:]]
        if racer == "delete_many":
            return [Call(SERVICE, racer, ([upload.key],))]
        return [Call(upload.owner, racer, (upload.key if racer == "delete" else grant.id,))]

    def _settle(self, grant: Grant, calls: Sequence[Call], responses: Sequence[Response]) -> None:
        """Record the result of a race: the new state must follow from the responses."""
        upload = grant.upload
        confirms = [response for call, response in zip(calls, responses, strict=True) if call.name == "confirm"]
        outcomes = {(call.name, response.status) for call, response in zip(calls, responses, strict=True)}
        if ("put", 200) in outcomes:
            upload.staged = content(upload.file.size, "second")
            if grant.parts and not grant.parts.is_gone:
                grant.parts.is_gone = None  # a confirm may have aborted them as left over
        status = self.call(upload.owner, "look", grant.id).document["status"]
        was_confirmed = any(response.status == 200 for response in confirms)
        if was_confirmed or (confirms and status in ("ready", "uploaded")):
            grant.joins()
        if was_confirmed or (confirms and status == "ready"):
            upload.ready = upload.ready or upload.staged
        for response in confirms:
            if response.status == 200:
                self.promises.receipt(upload, response.document)
        self._end(upload, status, is_deleted=bool(outcomes & FINAL), calls=calls)
        assert status in self.may_look(grant), (status, calls, responses)

    def _end(self, upload: Upload, status: str, *, is_deleted: bool, calls: Sequence[Call]) -> None:
        if is_deleted:
            upload.mark_deleted()
        elif status == "deleted" and not upload.is_deleted:
            assert any(call.name in ("abort", "delete", "delete_many") for call in calls)
            upload.mark_deleted()
