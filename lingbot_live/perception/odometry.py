"""The way of a camera through a still scene: key views, tracking between them, places seen again.

Every view is laid on the last key view, starting from where the camera would be if it went on as
it did. So errors add up per key view, not per view. A motion that its own uncertainty explains is
none: a camera that stands still stays where it is. Where a place is seen again, the error that
gathered since is spread over the key views between (`Odometry.closed`). A view that fits nowhere
is missed; after some of them the camera counts as lost, and is found again by the look of any key
view that it comes back to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from lingbot_live.frame import Matrix
from lingbot_live.perception.alignment import (
    Fit,
    Surface,
    by_depth,
    fitted,
    step_of,
    surface_of,
    tells_all,
)
from lingbot_live.perception.landmarks import (
    Landmarks,
    Looked,
    Sighting,
    View,
    landmarks_of,
    projected,
    recognise,
    track,
)
from lingbot_live.perception.pose_graph import Edge, optimised

# A view so far from the last key view, or with so little in common, becomes the next one.
_KEY_M, _KEY_DEGREES, _KEY_SHARE = 0.15, 9.0, 0.4
_STILL, _STILL_BY_DEPTH = 22.0, 100.0  # of chi squared with 6 degrees of freedom (99.9 % is 22.5)
_STILL_PX = 0.05  # by which landmarks moved in the median; less is the flow's own error
# A key view so near to this one in pose, though not in time, may show the same place.
_SAME_M, _SAME_DEGREES, _APART_KEYS = 1.0, 40.0, 4
_MOST_MISSED = 5  # views over which a motion is expected to go on; beyond, the camera is lost
_TRIED_KEYS = 3  # that a lost camera's view is compared with, before the next view is there
_LEAST_SAMPLES = 30  # of depth in a first view
_LEAST_SEEN_AGAIN = 40  # landmarks
_WORTH_CLOSING_M = 0.01  # smaller gaps are the error of recognising, not of the way


class TrackState(str, Enum):
    """Whether it is known where the camera is."""

    TRACKING = "tracking"
    LOST = "lost"


@dataclass(frozen=True, slots=True, eq=False)
class KeyView:
    """A view that later ones are laid on."""

    looked: Looked
    landmarks: Landmarks
    surface: Surface
    T_first_key: Matrix  # (4, 4), as it is known; `Odometry.closed` knows better

    @classmethod
    def of(cls, looked: Looked, T_first_key: Matrix) -> KeyView:
        """Prepare a view for being tracked against."""
        return cls(looked, landmarks_of(looked.view), surface_of(looked), T_first_key)

    @property
    def view(self) -> View:
        """What was seen."""
        return self.looked.view


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where one view was taken from, by its key view: the key view may be moved later."""

    key: int  # number of the key view
    T_key_now: Matrix  # (4, 4)
    T_first_now: Matrix  # (4, 4), as it was found


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """The whole way after places seen again were brought together."""

    keys: tuple[Matrix, ...]  # T_first_key of every key view
    loops: int  # how many places were recognised
    drift_m: float  # the largest gap found there; 0 without loops
    was_moved: bool  # whether the gaps were worth closing

    def pose(self, place: Place) -> Matrix:
        """Return ``T_first_now`` (4, 4) of a view on this way."""
        out: Matrix = self.keys[place.key] @ place.T_key_now
        return out


class Odometry:
    """Follows one camera, view by view; all views must have the same intrinsics.

    ``length_m`` is how far it went. Memory grows by one key view for about every 0.15 m or 9
    degrees (3 MB at 640x480). Every ``look_every``th key view is compared with older ones near.
    """

    def __init__(self, look_every: int = 1) -> None:
        self.length_m = 0.0
        self._look_every = look_every
        self._keys: list[KeyView] = []
        self._edges: list[Edge] = []
        self._gaps_m: list[float] = []
        self._T_key_last = np.eye(4)
        self._T_last_now = np.eye(4)  # the motion that is expected to go on
        self._missed = 0  # views since the last that was placed
        self._current = 0  # the key view that views are laid on
        self._tried = 0  # key views that a lost camera was compared with
        self.found_again = 0  # times

    @property
    def state(self) -> TrackState:
        """Whether it is known where the camera is."""
        is_lost = self._missed > _MOST_MISSED
        return TrackState.LOST if is_lost else TrackState.TRACKING

    @property
    def loops(self) -> int:
        """How many places were seen again."""
        return len(self._gaps_m)

    @property
    def keys(self) -> int:
        """How many key views there are."""
        return len(self._keys)

    def follow(self, view: View) -> Place | None:
        """Return where the next view was taken from; None if it fits nowhere."""
        looked = Looked(view)
        if not self._keys:
            return self._begun(looked)
        is_lost = self.state is TrackState.LOST
        found, seen = self._recovered(looked) if is_lost else self._located(looked)
        if found is None:
            self._missed += 1
            return None
        self.found_again += is_lost
        self._missed = 0
        return self._placed(looked, found, seen)

    def _begun(self, looked: Looked) -> Place | None:
        """Begin with the first view that has something to be laid on."""
        key = KeyView.of(looked, np.eye(4))
        if len(key.surface.points_m) < _LEAST_SAMPLES:
            return None
        self._keys.append(key)
        return Place(0, np.eye(4), np.eye(4))

    def _placed(self, looked: Looked, found: Fit, seen: Sighting | None) -> Place:
        number, key = self._current, self._keys[self._current]
        T_key_now = found.T_key_now
        if self._is_still(found, seen, looked.view):
            T_key_now = self._T_key_last
        self._T_last_now = np.linalg.inv(self._T_key_last) @ T_key_now
        self.length_m += float(np.linalg.norm(self._T_last_now[:3, 3]))
        self._T_key_last = T_key_now
        place = Place(number, T_key_now, key.T_first_key @ T_key_now)
        share = found.share if seen is None else seen.share
        if is_beyond(T_key_now, _KEY_M, _KEY_DEGREES) or share < _KEY_SHARE:
            self._new_key(looked, place, found)
        return place

    def closed(self) -> Way:
        """Return the way with the places that were seen again brought together (Open3D)."""
        poses = [key.T_first_key for key in self._keys]
        drift_m = max(self._gaps_m, default=0.0)
        is_worth = drift_m > _WORTH_CLOSING_M
        if is_worth:
            poses = optimised(poses, self._edges)
        return Way(tuple(poses), len(self._gaps_m), drift_m, is_worth)

    def settle(self) -> float:
        """Go on from the way as it is `closed`; return by how much that moved it, metres."""
        keys = self.closed().keys
        moved_m = [
            float(np.linalg.norm(pose[:3, 3] - key.T_first_key[:3, 3]))
            for pose, key in zip(keys, self._keys, strict=True)
        ]
        self._keys = [
            replace(key, T_first_key=pose) for key, pose in zip(self._keys, keys, strict=True)
        ]
        return max(moved_m, default=0.0)

    def pose(self, place: Place) -> Matrix:
        """Return ``T_first_now`` (4, 4) of a view, as it is known by now."""
        out: Matrix = self._keys[place.key].T_first_key @ place.T_key_now
        return out

    def _located(self, looked: Looked) -> tuple[Fit | None, Sighting | None]:
        """Try where it should be, then where it was, then by look and by depth alone."""
        key, view, starts = self._keys[self._current], looked.view, self._starts()
        for start in starts:
            seen = track(key.view, key.landmarks, view, start)
            if seen is not None:
                return fitted(key.surface, looked, seen.T_key_now, seen), seen
        seen = recognise(key.looked, looked)
        if seen is not None:
            return fitted(key.surface, looked, seen.T_key_now, seen), seen
        tell = key.surface.tells_place and surface_of(looked).tells_place
        for start in starts if tell else ():
            T_key_now = by_depth(key.view, view, start)
            found = None if T_key_now is None else fitted(key.surface, looked, T_key_now, None)
            if found is not None and _is_sure(found):
                return found, None
        return None, None

    def _recovered(self, looked: Looked) -> tuple[Fit | None, Sighting | None]:
        """Compare a lost camera's view with the next few key views, by their look alone."""
        for _ in range(min(_TRIED_KEYS, len(self._keys))):
            number = (self._current - self._tried) % len(self._keys)
            self._tried += 1
            key = self._keys[number]
            seen = recognise(key.looked, looked)
            if seen is None:
                continue
            found = fitted(key.surface, looked, seen.T_key_now, seen)
            if found is not None:
                self._stand_at(number, found.T_key_now)
                return found, seen
        return None, None

    def _stand_at(self, number: int, T_key_now: Matrix) -> None:
        """Go on from a key view, as if the camera had always been there."""
        self._current, self._tried = number, 0
        self._T_key_last, self._T_last_now = T_key_now, np.eye(4)

    def _starts(self) -> list[Matrix]:
        """Where the view may be: gone on as before, for as many steps as were missed; or not."""
        steps = min(self._missed, _MOST_MISSED) + 1
        gone: Matrix = self._T_key_last @ np.linalg.matrix_power(self._T_last_now, steps)
        return [gone, self._T_key_last]

    def _is_still(self, found: Fit, seen: Sighting | None, view: View) -> bool:
        """Whether the step from the last view is within its own error."""
        step = step_of(np.linalg.inv(self._T_key_last) @ found.T_key_now)
        likely = _STILL if seen is not None else _STILL_BY_DEPTH
        if step @ found.information @ step < likely:
            return True
        if seen is None:
            return False
        before, after = (
            projected(seen.points_m, T, view.intrinsics)
            for T in (self._T_key_last, found.T_key_now)
        )
        return float(np.median(np.linalg.norm(after - before, axis=1))) < _STILL_PX

    def _new_key(self, looked: Looked, place: Place, found: Fit) -> None:
        number = len(self._keys)
        self._edges.append(Edge(place.key, number, place.T_key_now, found.information))
        key = KeyView.of(looked, place.T_first_now)
        self._keys.append(key)
        self._current, self._T_key_last = number, np.eye(4)
        for old in self._near(number) if number % self._look_every == 0 else ():
            seen = recognise(self._keys[old].looked, looked)
            if seen is None or len(seen.points_m) < _LEAST_SEEN_AGAIN:
                continue
            again = fitted(self._keys[old].surface, looked, seen.T_key_now, seen)
            if again is not None:
                self._close(old, number, again)

    def _near(self, number: int) -> list[int]:
        """The older key view nearest in pose, if any may show the same place."""
        here = self._keys[number].T_first_key
        apart = {
            old: float(np.linalg.norm((np.linalg.inv(key.T_first_key) @ here)[:3, 3]))
            for old, key in enumerate(self._keys[: number - _APART_KEYS])
            if old % self._look_every == 0  # what it looks like was asked for then
            and not is_beyond(np.linalg.inv(key.T_first_key) @ here, _SAME_M, _SAME_DEGREES)
        }
        return [min(apart, key=apart.__getitem__)] if apart else []

    def _close(self, old: int, number: int, again: Fit) -> None:
        self._edges.append(Edge(old, number, again.T_key_now, again.information, is_loop=True))
        expected = self._keys[old].T_first_key @ again.T_key_now
        gap = expected[:3, 3] - self._keys[number].T_first_key[:3, 3]
        self._gaps_m.append(float(np.linalg.norm(gap)))


def is_beyond(motion: Matrix, most_m: float, most_degrees: float) -> bool:
    """Whether a motion (4, 4) goes farther or turns more than that."""
    turn = np.degrees(np.linalg.norm(step_of(motion)[:3]))
    return bool(np.linalg.norm(motion[:3, 3]) > most_m or turn > most_degrees)


def _is_sure(found: Fit) -> bool:
    """Whether depth alone tells the place in all directions."""
    return tells_all(found.information[3:, 3:])
